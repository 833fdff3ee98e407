"""What every kind of source promises, whatever its images come from."""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medray.data.arrays import medmnist
from medray.data.listing.list_source import list_source
from medray.data.load_data import load_data
from medray.data.source import FILE_KINDS, OPTIONS, parse_source
from tests.conftest import write_npz
from tests.data.decoding.file_samples import dicom, noise, saved
from tests.data.listing.folders.folder_trees import grow, refusal

IMAGES = 40  # in two classes, so that each split that medray makes holds some of both


@dataclass(frozen=True)
class Made:
    """One source that a test has made, and the slips that a person may make in it."""

    text: str
    missing: str  # the same without its files, and how that is refused
    missing_line: str
    option: str  # the same with a misspelt option
    option_line: str
    kind: str  # the same with a misspelt kind
    kind_line: str


def make_folder(root: Path) -> Made:
    files = {f"films/{'ab'[n % 2]}/{n}.png": saved(noise(8, 8, seed=n), "PNG") for n in range(IMAGES)}
    text = f"folder:{grow(root, files) / 'films'}"
    return Made(
        text, f"folder:{root / 'film'}", f"no such folder: {root / 'film'}",
        f"{text}?patient=folder", "unknown option 'patient' (did you mean 'patients'?); valid: patients, subgroups, exclude",
        f"foldr:{root}", "did you mean 'folder'?",
    )  # fmt: skip


def make_csv(root: Path) -> Made:
    files = {f"{n}.png": saved(noise(8, 8, seed=n), "PNG") for n in range(IMAGES)}
    rows = [f"{n}.png,{'ab'[n % 2]}" for n in range(IMAGES)]
    text = f"csv:{grow(root, {**files, 'films.csv': chr(10).join(['image,label', *rows])}) / 'films.csv'}"
    return Made(
        text, f"csv:{root / 'film.csv'}", f"no such file: {root / 'film.csv'}",
        f"{text}?labl=x", "unknown option 'labl' (did you mean 'label'?); valid: image, label, split",
        f"cvs:{root}", "did you mean 'csv'?",
    )  # fmt: skip


def make_dicom(root: Path) -> Made:
    files = {f"films/{'ab'[n % 2]}/{n}.dcm": dicom(noise(8, 8, seed=n), PatientID=f"P{n}") for n in range(IMAGES)}
    text = f"dicom:{grow(root, files) / 'films'}"
    return Made(
        text, f"dicom:{root / 'film'}", f"no such folder: {root / 'film'}",
        f"{text}?exclud=a", "unknown option 'exclud' (did you mean 'exclude'?); valid: patients, subgroups, exclude",
        f"dicm:{root}", "did you mean 'dicom'?",
    )  # fmt: skip


def make_medmnist(root: Path) -> Made:
    """Make a copy of a set in $MEDRAY_DATA, whose MD5 the fixture states as MedMNIST's."""
    root.mkdir(exist_ok=True)
    write_npz(root / "bloodmnist.npz", size=8)
    text = "medmnist:bloodmnist"
    return Made(
        text, "medmnist:bloodmnst", "unknown 2-D MedMNIST set 'bloodmnst' (did you mean 'bloodmnist'?)",
        f"{text}:32", "medmnist:bloodmnist has no size '32'; valid: 28, 64, 128, 224",
        "medmist:bloodmnist", "did you mean 'medmnist'?",
    )  # fmt: skip


def make_npz(root: Path) -> Made:
    root.mkdir(exist_ok=True)
    text = str(write_npz(root / "films.npz", size=8))
    return Made(
        text, str(root / "film.npz"), f"no such file: {root / 'film.npz'}",
        f"{text}?size=8", "or a path ending in .npz", f"{root / 'films.npy'}", "or a path ending in .npz",
    )  # fmt: skip


def make_phantom(root: Path) -> Made:
    return Made(
        "phantom:covid?size=16&images=100", "phantom:covd", "unknown phantom 'covd' (did you mean 'covid'?)",
        "phantom:covid?image=100", "unknown option 'image' (did you mean 'images'?); valid: seed, size, images",
        "phantm?images=100", "did you mean 'phantom'?",
    )  # fmt: skip


MAKERS: dict[str, Callable[[Path], Made]] = {
    "folder": make_folder, "csv": make_csv, "dicom": make_dicom,
    "medmnist": make_medmnist, "npz": make_npz, "phantom": make_phantom,
}  # fmt: skip


@pytest.fixture(params=MAKERS)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MEDRAY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    made = MAKERS[request.param](tmp_path / "data")
    if request.param == "medmnist":
        table: Any = medmnist._table()
        content = (tmp_path / "data" / "bloodmnist.npz").read_bytes()
        monkeypatch.setitem(table["bloodmnist"], "MD5", hashlib.md5(content).hexdigest())
        monkeypatch.setattr(medmnist, "class_names", lambda name: ("a", "b", "c"))
    return made


def test_its_text_gives_it_back(made: Made) -> None:
    assert str(parse_source(made.text)) == made.text
    assert parse_source(str(parse_source(made.text))) == parse_source(made.text)


def test_it_loads_as_bytes_labels_and_splits_that_share_no_image_and_leave_none(made: Made) -> None:
    dataset = load_data(made.text)
    assert dataset.images.dtype == np.uint8
    assert dataset.images.ndim == 4
    assert dataset.images.shape == (len(dataset), *dataset.shape)
    assert dataset.shape[2] in (1, 3)
    assert dataset.labels.dtype == np.int64
    assert dataset.labels.shape == (len(dataset),)
    assert set(dataset.labels.tolist()) == set(range(len(dataset.class_names)))
    assert list(dataset.splits) == ["train", "val", "test"]
    assert sorted(np.concatenate(list(dataset.splits.values())).tolist()) == list(range(len(dataset)))
    assert all(len(positions) for positions in dataset.splits.values())


def test_a_second_load_is_the_same(made: Made) -> None:
    first, second = load_data(made.text), load_data(made.text)
    assert second.fingerprint == first.fingerprint
    assert {name: rows.tolist() for name, rows in second.splits.items()} == {
        name: rows.tolist() for name, rows in first.splits.items()
    }


def test_the_data_sets_source_loads_it_again_from_any_folder(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run notes the source so, and is resumed elsewhere."""
    monkeypatch.chdir(tmp_path)
    short = parse_source(made.text.replace(f"{tmp_path}/", ""))
    first, kept = load_data(short), str(short.absolute())
    assert kept == made.text
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_data(kept).fingerprint == first.fingerprint
    assert parse_source(kept).absolute() == parse_source(kept)


@pytest.mark.parametrize("slip", ["missing", "option", "kind"])
def test_a_slip_is_one_line_that_names_what_is_right(made: Made, slip: str) -> None:
    refusal(lambda: load_data(getattr(made, slip)), getattr(made, f"{slip}_line"))


def test_what_belongs_to_images_is_as_long_as_they_are(made: Made) -> None:
    dataset = load_data(made.text)
    columns = {**dataset.subgroups, "groups": dataset.groups}
    assert all(column.shape == (len(dataset),) for column in columns.values() if column is not None)
    for positions in [*dataset.splits.values(), *(part for fold in dataset.folds or () for part in fold)]:
        assert positions.dtype == np.int64
        assert len(set(positions.tolist())) == len(positions)
        assert {*positions.tolist()} <= {*range(len(dataset))}


def test_what_it_notes_are_lines_of_text(made: Made) -> None:
    notes = load_data(made.text).notes
    assert all(note.strip() and note.isprintable() for note in notes)
    assert len({*notes}) == len(notes)


def test_it_is_pickled_with_all_that_it_holds(made: Made) -> None:
    """A worker gets it so, of the same machine or of another."""
    dataset = load_data(made.text)
    for copy in (pickle.loads(pickle.dumps(dataset)), pickle.loads(pickle.dumps(dataset.unmapped()))):
        assert copy.fingerprint == dataset.fingerprint
        assert (copy.source, copy.notes, copy.class_names) == (dataset.source, dataset.notes, dataset.class_names)
        assert not copy.images.flags.writeable


@pytest.mark.parametrize("made", FILE_KINDS, indirect=True)
def test_files_are_listed_in_the_same_order_by_the_source_and_by_its_text(made: Made) -> None:
    first = list_source(parse_source(made.text))
    for text in (made.text, first.source, str(parse_source(first.source).absolute())):
        again = list_source(parse_source(text))
        assert again.images == first.images
        assert again.notes == first.notes
    assert len({image.path for image in first.images}) == len(first) == IMAGES
    assert all(image.path.is_absolute() and image.path.is_file() for image in first.images)
    assert all(text.isprintable() for text in (*first.notes, *first.ignored, *first.missing))
    assert pickle.loads(pickle.dumps(first)) == first


def test_every_kind_keeps_these_promises() -> None:
    """Whoever adds a kind adds it here."""
    assert set(MAKERS) == set(OPTIONS)
