"""`medray init` on real files: each kind of source and the awkward ones; what is written, said and refused."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from medray.data.listing.list_source import list_source
from medray.data.listing.side_cars.side_words import SIDE_WORDS
from medray.data.load_data import load_data
from medray.data.source import parse_source
from medray.init.init_command import init
from medray.init.naming import complete_source
from medray.space.loading import load_space
from medray.space.search_space import SearchSpace
from tests.audit.audit_samples import blobs, encoded
from tests.conftest import write_npz
from tests.data.decoding.file_samples import dicom
from tests.data.listing.folders.folder_trees import grow


def run(name: str, source: object, *more: object) -> Result:
    return CliRunner().invoke(init, [name, "--data", str(source), *map(str, more)])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images(count: int, *, size: int = 40, channels: int = 1) -> list[bytes]:
    return [encoded(image) for image in blobs(count, size=size, channels=channels)]


def scans(root: Path, classes: dict[str, int], **look: int) -> Path:
    """Class folders of so many different images each."""
    drawn = iter(images(sum(classes.values()), **look))
    return grow(
        root, {f"{name}/{number}.png": next(drawn) for name, count in classes.items() for number in range(count)}
    )


def written(name: str, result: Result) -> SearchSpace:
    assert result.exit_code == 0, result.output
    return load_space(f"{name}.yaml")


def refused(result: Result, *fragments: str) -> None:
    assert result.exit_code == 2, result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith("medray: ")
    assert "Traceback" not in result.output
    for fragment in fragments:
        assert fragment in last


def test_folders_become_a_study(here: Path) -> None:
    scans(here / "films", {"benign": 20, "malignant": 8})
    result = run("films", "folder:films")
    space = written("films", result)
    assert space.data == f"folder:{here}/films"
    assert space.metric == "auc"
    assert space.preparation.images.image_size == (40, 40)
    assert "films: 28 images in 2 classes (16 train, 6 val, 6 test)." in result.stdout
    assert "val has 6 images, so a metric on it is a matter of chance" in result.stdout
    assert "folds of" not in result.stdout
    assert "medray search films.yaml --trials 4 --max-epochs 2 --out runs/films-try" in result.stdout


def test_a_table_names_its_columns_and_the_same_images(here: Path) -> None:
    tree = scans(here / "cells", {"a": 12, "b": 12}, channels=3)
    rows = [
        f"{path.relative_to(tree)},{path.parent.name},p{n // 3}"
        for n, path in enumerate(sorted(tree.rglob("*.png")))
    ]
    rows[0] = rows[0].replace(",a,", ",,")
    grow(tree, {"t?&.csv": "\n".join(["file & name?,dx,subject", *rows, "gone.png,a,p0"])})
    source = "csv:cells/t?&.csv"
    table = Path("cells/t?&.csv")
    table.write_text(table.read_text().replace("file & name?", "path"))
    refused(
        run("cells", source),
        "cells/t?&.csv?image=path&label=dx&patient=subject: 1 of 25 rows without a file (first: line 26: gone.png)",
        "`?pattern=` behind the source",
        "`--missing drop`",
    )
    result = run("cells", source, "--missing", "drop")
    space = written("cells", result)
    assert space.data == f"csv:{here}/cells/t?&.csv?image=path&label=dx&patient=subject"
    assert list_source(parse_source(space.data)).images == list_source(parse_source(source)).images
    assert space.preparation.images.missing == space.preparation.labels.blank == "drop"
    assert "columns, by their names: image is 'path', label is 'dx', patient is 'subject'" in result.stdout
    assert "of 8 patients in 2 classes" in result.stdout
    assert "exposed" in space.transforms


def test_options_that_were_given_stay_and_odd_columns_are_escaped(here: Path) -> None:
    grow(here, {"a.png": images(1)[0], "t.csv": "100%&?,label,split\na.png,x,\na.png,x,\nb.png,y,"})
    source, guessed = complete_source(parse_source("csv:t.csv?image=100%25%26%3F&split="))
    assert str(source) == f"csv:{here}/t.csv?image=100%25%26%3F&split=&label=label"
    assert guessed == {"label": "label"}
    assert complete_source(source) == (source, {})
    assert len(list_source(source)) == 1


def test_a_level_of_patients_stands_in_the_file(here: Path) -> None:
    classes = {f"{name}/SOB/case {n}/40X": 3 for name in ("a", "b") for n in range(4)}
    result = run("tissue", f"folder:{scans(here / 'set', classes)}")
    written("tissue", result)
    comment = " ".join(line.strip("# ") for line in (here / "tissue.yaml").read_text().splitlines())
    assert "Images may be of one patient: " in comment
    assert "level 2 'case 0' (8 folders, cases)" in comment
    assert "`?patients=2` behind the source" in comment
    result = run("cases", f"folder:{here / 'set'}?patients=2")
    assert written("cases", result).data.endswith("?patients=2")
    assert "Images may be" not in (here / "cases.yaml").read_text()


def test_dicom_tells_its_patients(here: Path) -> None:
    pixels = blobs(24, size=20)
    files = {
        f"{'ab'[number % 2]}/{number}.dcm": dicom(image[..., 0], PatientID=f"p{number // 2}")
        for number, image in enumerate(pixels)
    }
    grow(here / "ct", files)
    result = run("ct", "dicom:ct")
    space = written("ct", result)
    assert space.preparation.images.channels == 1
    assert "24 images of 12 patients" in result.stdout
    assert "by class and patient" in space.text


def test_arrays_stay_as_they_are(here: Path, npz: Path) -> None:
    space = written("corners", run("corners", npz))
    assert space.data == str(npz)
    assert not {"images", "labels", "splits"} & set(yaml.safe_load(space.text))
    assert "arrays of 12×12" in space.text


def test_a_leak_is_told_with_what_the_search_will_do(here: Path) -> None:
    write_npz(here / "x.npz")
    arrays = dict(np.load(here / "x.npz"))
    arrays["test_images"][:3] = arrays["train_images"][:3]
    np.savez(here / "x.npz", **arrays)
    result = run("leaky", "x.npz")
    written("leaky", result)
    assert "leak: " in result.stdout
    assert "`medray search` refuses to start on it without --allow-leaks" in result.stdout
    assert "medray data audit" in result.stdout


def test_phantoms_are_named_in_full() -> None:
    result = run("drawn", "phantom?images=600&size=16")
    assert written("drawn", result).data == "phantom:organs?images=600&size=16"
    assert "synthetic drawings" in result.stdout


def test_two_sizes_and_a_broken_file(here: Path) -> None:
    tree = scans(here / "films", {"a": 9, "b": 9}, size=50)
    for path in sorted(tree.rglob("*.png"))[:4]:
        Image.open(path).resize((80, 50)).save(path)
    (tree / "a" / "x.png").write_bytes(b"half a picture")
    result = run("films", "folder:films")
    rules = written("films", result).preparation.images
    assert (rules.aspect, rules.unreadable) == ("pad", "drop")
    assert "left out: 1 of 19 images" in result.stdout
    assert "unreadable: drop (1 file can't be read, the first a/x.png: " in result.stdout


def test_twelve_images_and_forty_classes(here: Path) -> None:
    scans(here / "tiny", {"a": 6, "b": 6}, size=16)
    tiny = written("tiny", run("tiny", "folder:tiny"))
    assert max(value for _, value in tiny.values_of("batch_size")) <= 8
    scans(here / "many", {f"class {number}": 3 for number in range(40)}, size=16)
    result = run("many", "folder:many")
    assert written("many", result).metric == "accuracy"
    assert (
        "than the 5 folds of `medray crossval`: class 0 (2), class 1 (2), class 2 (2) and 37 more" in result.stdout
    )
    assert "medray crossval runs/many --folds 2 " in result.stdout


def test_no_file_is_written_over(here: Path, npz: Path) -> None:
    (here / "corners.yaml").write_text("mine")
    refused(run("corners", npz), "corners.yaml exists already", "--out")
    assert (here / "corners.yaml").read_text() == "mine"
    assert run("corners", npz, "--out", "new/one.yml").exit_code == 0
    assert load_space("new/one.yml").name == "corners"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("my study", "'my study' is not a valid name (did you mean 'my-study'?); valid: "),
        ("../x", "(did you mean 'x'?)"),
        ("x.yaml", "'x.yaml' is a file, not a name (did you mean 'x'?)"),
        ("organs", "'organs' is a search space that ships with medray"),
        ("a\nb", "'a\\nb' is not a valid name"),
        ("x" * 101, "at most 100 letters"),
    ],
)
def test_a_name_that_is_none_is_refused_before_the_data_is_read(name: str, line: str) -> None:
    refused(run(name, "folder:nowhere"), line)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("folder:nowhere", "no such folder"),
        ("folder:void", "void: no images"),
        ("folder:one", "one class only, 'a'"),
        ("folder:t.csv", "is a file, not a folder"),
        ("folder:broken", "none of its 2 images can be read (first: a/1.png"),
        ("csv:t.csv", "no column for the label"),
        ("csv:t.csv?lable=x", "unknown option 'lable' (did you mean 'label'?)"),
        ("dicom:ct", "none of its 1 images has one label"),
        ("x.npz", "no such file"),
        ("phantom:covit", "did you mean 'covid'?"),
    ],
)
def test_a_source_that_is_none_is_one_line(here: Path, source: str, line: str) -> None:
    (image,) = images(1)
    (here / "void").mkdir()
    pixels = dicom(blobs(1, size=20)[0, ..., 0])
    grow(here, {"one/a/1.png": image, "t.csv": "image\none/a/1.png", "broken/a/1.png": "", "broken/b/1.png": ""})
    grow(here, {"ct/1.dcm": pixels})
    refused(run("x", source), line)
    assert not (here / "x.yaml").exists()


def test_a_wrong_option_names_the_right_one_and_help_has_examples() -> None:
    refused(run("x", "phantom", "--uot", "y.yaml"), "did you mean '--out'?")
    refused(run("x", "phantom", "--out", "y.txt"), "must end in .yaml (did you mean 'y.yaml'?)")
    assert "medray init cells --data csv:cells/labels.csv" in CliRunner().invoke(init, ["--help"]).output


def test_a_class_that_the_val_split_of_a_table_lacks_is_left_out_with_the_reason(here: Path) -> None:
    films = scans(here, {"films": 60})
    rows = [(n, "common" if n % 3 else "rare", ("train", "val", "test")[n % 5 // 2]) for n in range(60)]
    rows = [(n, label, "train" if label == "rare" and split == "val" else split) for n, label, split in rows]
    rows = [(n, "other" if label == "common" and n % 2 else label, split) for n, label, split in rows]
    table = "file,label,split\n" + "".join(f"films/{n}.png,{label},{split}\n" for n, label, split in rows)
    grow(films, {"t.csv": table})
    result = run("films", f"csv:{films}/t.csv")
    space = written("films", result)
    assert space.preparation.labels.leave_out == ("rare",)
    assert (
        "leave_out: ['rare'] (val has no rare (20 in all), so no model could be measured on it)" in result.output
    )
    dataset = load_data(space.data, preparation=space.preparation)
    assert dataset.class_names == ("common", "other")


def test_masks_beside_images_are_left_out_in_the_file_with_the_reason(here: Path) -> None:
    films = scans(here / "films", {"benign": 8, "malignant": 8})
    masks = {path.with_name(f"{path.stem}_mask.png"): path.read_bytes() for path in films.glob("*/*.png")}
    grow(films, {str(path.relative_to(films)): content for path, content in masks.items()})
    grow(films, {"benign/masks/1.png": images(1)[0]})
    result = run("films", f"folder:{films}")
    space = written("films", result)
    assert space.data == f"folder:{films}?exclude=*_mask*,masks"
    assert len(list_source(parse_source(space.data))) == 16
    assert "17 files made from images (masks, labels, overlays), as benign/" in result.output
    comment = " ".join(line.lstrip("# ") for line in Path("films.yaml").read_text().splitlines())
    assert "Left out by exclude: 17 files made from images" in comment
    assert "`side_cars=keep` in its place keeps them" in comment


def test_a_table_of_images_and_masks_leaves_out_the_masks(here: Path) -> None:
    films = scans(here, {"films": 16})
    names = [f"{n}{end}.png" for n in range(16) for end in ("", "-seg")]
    grow(films, {f"films/{n}-seg.png": content for n, content in enumerate(images(16))})
    grow(films, {"t.csv": "file,label\n" + "".join(f"films/{name},{'ab'[int(name[0]) % 2]}\n" for name in names)})
    space = written("films", run("films", f"csv:{films}/t.csv"))
    assert space.data is not None
    source = parse_source(space.data)
    assert source.options["exclude"] == "*-seg*"
    assert len(list_source(source)) == 16


def test_masks_of_other_names_are_left_out_by_their_two_values(here: Path) -> None:
    films = scans(here / "films", {"benign": 10, "malignant": 10})
    mask = np.zeros((40, 40), np.uint8)
    for n in range(12):
        mask[5 : 15 + n, 8:30] = 255
        Image.fromarray(mask).save(films / "benign" / f"{50 + n}.png")
    result = run("films", f"folder:{films}")
    space = written("films", result)
    assert space.preparation.images.two_valued == "drop"
    assert "12 files of one or two values only, as masks have, the first benign/50.png" in result.output
    assert "films: 20 images in 2 classes" in result.output
    drawings = here / "drawings"
    for n in range(24):
        (drawings / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        mask[n : n + 3] = 255 - mask[n : n + 3]
        Image.fromarray(mask).save(drawings / "ab"[n % 2] / f"{n}.png")
    assert written("drawings", run("drawings", f"folder:{drawings}")).preparation.images.two_valued == "fail"


def test_side_cars_that_no_pattern_leaves_out_are_refused(here: Path) -> None:
    words = sorted(SIDE_WORDS)[::3]
    grow(
        here,
        {
            f"films/{kind}/{n}{end}.png": b"x"
            for kind in "xy"
            for n, word in enumerate(words)
            for end in ("", f"_{word}")
        },
    )
    count = f"{2 * len(words)} images lie beside the images that they are made from"
    refused(run("films", "folder:films"), count, "; move them to a folder elsewhere; `?side_cars=keep`")


def test_a_shortcut_is_a_warning(tmp_path: Path) -> None:
    """Each class in folders of a hospital of its own, and of another size."""
    for number, image in enumerate(blobs(60, size=40)[..., 0]):
        path = tmp_path / "scans" / ("sick/north" if number % 2 else "well/south") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[: 40 - number % 2 * 8]).save(path)
    result = run("lungs", f"folder:{tmp_path / 'scans'}")
    assert result.exit_code == 0, result.output
    assert "a shortcut: images may come from elsewhere" in result.output
    assert "folder 'north'" in result.output or "folder 'south'" in result.output
    assert "by height" in result.output
