"""What `--data` names: .npz files of MedMNIST's form, and MedMNIST's own files without a network."""

import gc
import hashlib
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medray.audit.audit import find_leaks
from medray.data.arrays import medmnist
from medray.data.arrays.npz import read_npz
from medray.data.calibration_split import with_calibration
from medray.data.decoding.fit import fit
from medray.data.decoding.picture import Picture
from medray.data.load_data import load_data
from medray.errors import DataError
from medray.space.preparation import Preparation

SPLITS = ("train", "val", "test")
COUNTS = (8, 4, 6)
NOWHERE = "http://127.0.0.1:9"  # the port that discards: a connection is refused at once


def arrays(*, channels: int = 0, classes: int = 2, size: int = 5, **changes: Any) -> dict[str, Any]:
    """The arrays of a small file; a change to None takes one away."""
    rng = np.random.default_rng(0)
    content: dict[str, Any] = {}
    for name, count in zip(SPLITS, COUNTS, strict=True):
        shape = (count, size, size, channels) if channels else (count, size, size)
        content[f"{name}_images"] = rng.integers(0, 256, size=shape, dtype=np.uint8)
        content[f"{name}_labels"] = (np.arange(count, dtype=np.uint8) % classes)[:, None]
    return {name: array for name, array in (content | changes).items() if array is not None}


def write(path: Path, **changes: Any) -> Path:
    np.savez(path, **arrays(**changes))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.npz"


def refusal(source: object) -> str:
    """The one line with which a source is refused."""
    with pytest.raises(DataError) as caught:
        load_data(str(source))
    message = str(caught.value)
    assert "\n" not in message
    return message


# -- .npz


@pytest.mark.parametrize("channels", [0, 1, 3])
def test_npz_is_read_whole(path: Path, channels: int) -> None:
    dataset = load_data(str(write(path, channels=channels)))
    content = arrays(channels=channels)
    assert dataset.shape == (5, 5, channels or 1)
    assert dataset.source == str(path)
    assert {name: len(dataset.splits[name]) for name in dataset.splits} == dict(zip(SPLITS, COUNTS, strict=True))
    for name in SPLITS:
        part = dataset.split(name)
        images, labels = part.take(np.arange(len(part)))
        assert (images.reshape(content[f"{name}_images"].shape) == content[f"{name}_images"]).all()
        assert (labels == content[f"{name}_labels"][:, 0]).all()
        assert labels.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_may_be_a_column_or_a_row_of_any_whole_numbers(path: Path, dtype: type) -> None:
    rows = {f"{s}_labels": (np.arange(n) % 2).astype(dtype) for s, n in zip(SPLITS, COUNTS, strict=True)}
    columns = {name: row[:, None] for name, row in rows.items()}
    assert load_data(str(write(path, **rows))).fingerprint == load_data(str(write(path, **columns))).fingerprint


def test_a_compressed_file_is_the_same(path: Path) -> None:
    plain = load_data(str(write(path))).fingerprint
    np.savez_compressed(path, **arrays())
    assert load_data(str(path)).fingerprint == plain


def test_a_path_may_start_at_home(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path)
    monkeypatch.setenv("HOME", str(path.parent))
    assert len(load_data("~/mine.npz")) == sum(COUNTS)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no labels": ({"val_labels": None}, "lacks the array 'val_labels'; it holds: train_images, train_labels"),
    "floats": ({"train_images": np.zeros((8, 5, 5))}, "train_images is float64 (8, 5, 5), not uint8"),
    "16 bits": ({"val_images": np.zeros((4, 5, 5), np.uint16)}, "val_images is uint16 (4, 5, 5), not uint8"),
    "flat": ({"test_images": np.zeros((6, 25), np.uint8)}, "test_images is uint8 (6, 25), not uint8"),
    "3-D": ({"test_images": np.zeros((6, 5, 5, 5, 1), np.uint8)}, "test_images is uint8 (6, 5, 5, 5, 1), not"),
    "4 channels": ({"channels": 4}, "images have 4 channels; 1 or 3 can be used"),
    "two sizes": ({"val_images": np.zeros((4, 6, 5), np.uint8)}, "images differ in shape from split to split"),
    "float labels": ({"val_labels": np.zeros(4)}, "val_labels is float64 (4,), not whole numbers (N,) or (N, 1)"),
    "bool labels": ({"val_labels": np.zeros(4, bool)}, "val_labels is bool (4,), not whole numbers"),
    "text labels": ({"val_labels": np.array(["a"] * 4)}, "val_labels is <U1 (4,), not whole numbers"),
    "several labels": ({"train_labels": np.zeros((8, 14), int)}, "train_labels is int64 (8, 14), not whole"),
    "labels too few": ({"train_labels": np.arange(7) % 2}, "not one for each image"),
    "labels shifted": ({"train_labels": np.arange(7) % 2, "val_labels": np.arange(5) % 2}, "train_labels"),
    "negative": ({"train_labels": np.arange(8) % 2 - 1}, "labels run from -1 to 1, but there are 2 classes"),
    "one class": ({"classes": 1}, "1 class; at least two are needed"),
    "names too few": ({"classes": 3, "class_names": np.array(["a", "b"])}, "labels run from 0 to 2, but there"),
    "groups of one split": ({"train_groups": np.arange(8)}, "groups must be given for every image of every split"),
    "groups too few": (
        {"train_groups": np.arange(7), "val_groups": np.arange(4), "test_groups": np.arange(6)},
        "not one for each image",
    ),
    "groups shifted": (
        {"train_groups": np.arange(7), "val_groups": np.arange(5), "test_groups": np.arange(6)},
        "not one for each image",
    ),
    "groups as columns": (
        {f"{s}_groups": np.arange(n)[:, None] for s, n in zip(SPLITS, COUNTS, strict=True)},
        "groups are [(8, 1), (4, 1), (6, 1)], not one patient (N,) for each image",
    ),
    "groups of two forms": (
        {"train_groups": np.arange(8)[:, None], "val_groups": np.arange(4), "test_groups": np.arange(6)},
        "not one patient (N,) for each image",
    ),
    "one name": ({"class_names": np.array("a")}, "class_names"),
    "names that are no text": (
        {"class_names": np.array([b"\xff", b"b"])}, "class_names is bytes that are no UTF-8"
    ),
    "a fold of train alone": (
        {"train_fold": np.arange(8)}, "a fold must be given for every image of train and of val, or not at all"
    ),
    "folds too few": (
        {"train_fold": np.arange(7), "val_fold": np.arange(4)}, "train_fold holds 7 values for 8 images, not one for"
    ),
    "folds shifted": (
        {"train_fold": np.arange(7), "val_fold": np.arange(5)}, "train_fold holds 7 values for 8 images, not one for"
    ),
    "folds that are floats": (
        {"train_fold": np.arange(8.0), "val_fold": np.arange(4)}, "train_fold is float64 (8,), not whole numbers (N,)"
    ),
    "folds that are names": (
        {"train_fold": np.arange(8), "val_fold": np.array(list("abcd"))}, "val_fold is <U1 (4,), not whole numbers"
    ),
    "folds that are yes and no": (
        {"train_fold": np.zeros(8, bool), "val_fold": np.ones(4, bool)}, "train_fold is bool (8,), not whole numbers"
    ),
    "folds as columns": (
        {"train_fold": np.zeros((8, 1), int), "val_fold": np.ones((4, 1), int)}, "train_fold is int64 (8, 1), not"
    ),
    "folds of two forms": (
        {"train_fold": np.zeros((8, 1), int), "val_fold": np.ones(4, int)}, "train_fold is int64 (8, 1), not whole"
    ),
    "folds below 0": (
        {"train_fold": np.arange(8) - 1, "val_fold": np.arange(4)}, "not whole numbers (N,) of 0 or more"
    ),
    "a subgroup of one split": (
        {"train_subgroup_sex": np.array(list("fmfmfmfm"))},
        "subgroup 'sex' must have one value for each image of every split",
    ),
    "a subgroup of no split": (
        {"tarin_subgroup_sex": np.array(list("fmfmfmfm"))},
        "subgroup 'sex' must have one value for each image of every split",
    ),
    "a subgroup too short": (
        {f"{s}_subgroup_sex": np.full(n - (s == "val"), "f") for s, n in zip(SPLITS, COUNTS, strict=True)},
        "val_subgroup_sex holds 3 values for 4 images, not one for each image",
    ),
    "a subgroup as columns": (
        {f"{s}_subgroup_sex": np.full((n, 2), "f") for s, n in zip(SPLITS, COUNTS, strict=True)},
        "subgroup 'sex' must have one value for each image of every split",
    ),
    "one value for all": (
        {f"{s}_subgroup_sex": np.array("f") for s in SPLITS}, "subgroup_sex holds one values for 8 images"
    ),
    "a subgroup of measured values": (
        {f"{s}_subgroup_age": np.linspace(30, 90, n) for s, n in zip(SPLITS, COUNTS, strict=True)},
        "subgroup 'age' is float64 (8,), not text or whole numbers (N,)",
    ),
    "a subgroup that is no text": (
        {f"{s}_subgroup_sex": np.full(n, b"\xff") for s, n in zip(SPLITS, COUNTS, strict=True)},
        "subgroup 'sex' is bytes that are no UTF-8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_an_npz_that_does_not_fit_is_refused_in_one_line(path: Path, name: str) -> None:
    changes, problem = BAD[name]
    message = refusal(write(path, **changes))
    assert str(path) in message
    assert problem in message


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    assert "no such file" in refusal(tmp_path / "folder.npz")


def test_an_object_array_is_refused_and_nothing_in_it_is_run(path: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    names = np.array([Bomb(), "b"], dtype=object)
    assert "can't be read as .npz" in refusal(write(path, class_names=names))
    path.write_bytes(pickle.dumps(Bomb()))
    assert "can't be read as .npz" in refusal(path)
    assert not (tmp_path / "ran").exists()


def not_npz(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("this is no archive\n" * 10)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros((8, 5, 5), np.uint8))
    elif kind == "zip of text":
        with zipfile.ZipFile(path, "w") as archive:
            for name in arrays():
                archive.writestr(name, "no array")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name in arrays():
                archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00\x10\x00{no header")


@pytest.mark.parametrize("kind", ["text", "empty", "npy", "zip of text", "zip of broken arrays"])
def test_a_file_of_another_kind_is_refused(path: Path, kind: str) -> None:
    not_npz(path, kind)
    assert str(path) in refusal(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    content = write(path).read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert f"{path}: can't be read as .npz: " in refusal(path)
    gc.collect()  # a file that was left open is a warning here, and so an error of this test


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_is_refused(path: Path, compressed: bool) -> None:
    images = {
        name: array & 7 for name, array in arrays(size=60).items()
    }  # that a compressor can do something with
    (np.savez_compressed if compressed else np.savez)(path, **images)
    content = bytearray(path.read_bytes())
    content[3000:3300] = bytes(range(30)) * 10
    path.write_bytes(content)
    assert f"{path}: can't be read as .npz: " in refusal(path)


# -- class names and groups


def test_class_names_are_the_files_own(path: Path) -> None:
    dataset = load_data(str(write(path, class_names=np.array(["benign", "malign é"]))))
    assert dataset.class_names == ("benign", "malign é")
    assert dataset.notes == ("class names: the file's own",)


def test_class_names_may_be_bytes(path: Path) -> None:
    assert load_data(str(write(path, class_names=np.array([b"benign", b"malign"])))).class_names == (
        "benign",
        "malign",
    )


def test_class_names_are_numbers_where_none_are_known(path: Path) -> None:
    dataset = load_data(str(write(path, classes=3)))
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.notes == ("class names: none in the file, so numbers",)


@pytest.mark.parametrize("name", ["breastmnist.npz", "breastmnist_64.npz"])
def test_class_names_are_medmnists_where_the_file_is_named_so(tmp_path: Path, name: str) -> None:
    dataset = load_data(str(write(tmp_path / name)))
    assert dataset.class_names == ("malignant", "normal, benign")
    assert dataset.notes == ("class names: MedMNIST's for breastmnist, by the file's name",)


def test_a_files_own_class_names_come_before_those_of_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "breastmnist.npz", class_names=np.array(["a", "b"]))
    assert load_data(str(path)).class_names == ("a", "b")


def test_a_name_of_medmnist_with_other_classes_is_a_coincidence(tmp_path: Path) -> None:
    assert load_data(str(write(tmp_path / "breastmnist.npz", classes=3))).class_names == ("0", "1", "2")


def test_given_class_names_come_first(path: Path) -> None:
    dataset = read_npz(write(path, class_names=np.array(["a", "b"])), source="x", class_names=("c", "d"))
    assert dataset.class_names == ("c", "d")
    assert dataset.source == "x"


def test_groups_follow_their_images(path: Path) -> None:
    groups = {
        f"{s}_groups": np.array([f"{s}-{i // 2}" for i in range(n)]) for s, n in zip(SPLITS, COUNTS, strict=True)
    }
    dataset = load_data(str(write(path, **groups)))
    assert dataset.groups is not None
    for name in SPLITS:
        assert dataset.groups[dataset.splits[name]].tolist() == groups[f"{name}_groups"].tolist()


# -- a calibration split


def test_a_calibration_split_of_the_file_is_kept(path: Path) -> None:
    more: dict[str, Any] = {
        "calibration_images": np.full((4, 5, 5), 7, np.uint8),
        "calibration_labels": np.arange(4) % 2,
        "train_fold": np.arange(8) % 2,
        "val_fold": np.arange(4) % 2,
        **{f"{s}_groups": np.array([f"{s}-{i}" for i in range(n)]) for s, n in zip(SPLITS, COUNTS, strict=True)},
        "calibration_groups": np.array(list("abcd")),
    }
    dataset = load_data(str(write(path, **more)))
    assert list(dataset.splits) == [*SPLITS, "calibration"]
    positions = dataset.splits["calibration"]
    assert (dataset.images[positions] == 7).all()
    assert dataset.labels[positions].tolist() == [0, 1, 0, 1]
    assert dataset.groups is not None
    assert dataset.groups[positions].tolist() == list("abcd")
    assert with_calibration(dataset, 0.5) is dataset
    assert dataset.folds is not None
    assert not any(np.intersect1d(np.append(*fold), positions).size for fold in dataset.folds)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"calibration_images": np.zeros((4, 5, 5), np.uint8)}, "and lacks 'calibration_labels'; give both"),
        ({"calibration_labels": np.arange(4)}, "and lacks 'calibration_images'; give both images and labels"),
        (
            {"calibration_images": np.zeros((4, 5, 5), np.uint8), "calibration_labels": np.arange(3) % 2},
            "calibration_labels holds 3 values for 4 images",
        ),
    ],
)
def test_half_a_calibration_split_is_refused(path: Path, changes: dict[str, Any], line: str) -> None:
    assert line in refusal(write(path, **changes))


# -- folds and subgroups


def test_folds_hold_out_their_own_images_and_never_those_of_test(path: Path) -> None:
    """In `train_fold` and `val_fold` stands where an image is held out, by any whole numbers."""
    train, val = np.array([4, 0, 4, 9, 9, 0, 4, 4], np.uint8), np.array([0, 9, 9, 4], np.int32)
    dataset = load_data(str(write(path, train_fold=train, val_fold=val)))
    assert dataset.folds is not None
    everything = np.append(train, val)
    assert [held_out.tolist() for _, held_out in dataset.folds] == [
        np.flatnonzero(everything == number).tolist() for number in (0, 4, 9)
    ]
    for side, held_out in dataset.folds:
        assert sorted([*side.tolist(), *held_out.tolist()]) == list(range(12))
    assert load_data(str(write(path))).folds is None


@pytest.mark.parametrize("kind", ["text", "bytes", "numbers", "yes and no", "mixed"])
def test_subgroups_follow_their_images(path: Path, kind: str) -> None:
    form: dict[str, Any] = {
        "text": lambda i: f"klinik é {i}", "bytes": lambda i: f"klinik é {i}".encode(), "numbers": lambda i: i,
        "yes and no": lambda i: bool(i), "mixed": lambda i: i,
    }  # fmt: skip
    columns = {
        f"{s}_subgroup_by_site": np.array([form[kind](i % 2) for i in range(n)])
        for s, n in zip(SPLITS, COUNTS, strict=True)
    }
    if kind == "mixed":
        columns["val_subgroup_by_site"] = columns["val_subgroup_by_site"].astype(str)
    dataset = load_data(str(write(path, **columns, test_subgroup_a=np.arange(6), val_subgroup_a=np.arange(4),
                                  train_subgroup_a=np.arange(8))))  # fmt: skip
    assert list(dataset.subgroups) == ["a", "by_site"]
    column = dataset.subgroups["by_site"]
    assert column.dtype.kind == "U"
    for name, count in zip(SPLITS, COUNTS, strict=True):
        words = [form[kind](i % 2) for i in range(count)]
        expected = [word.decode() if isinstance(word, bytes) else str(word) for word in words]
        assert column[dataset.splits[name]].tolist() == expected
    assert sorted(dataset.subgroups) == ["a", "by_site"]


# -- names of sources


@pytest.mark.parametrize(
    ("source", "fragments"),
    [
        ("breast", ["unknown data source 'breast'", "phantom", "medmnist:NAME[:SIZE]", ".npz"]),
        ("images.zip", ["unknown data source 'images.zip'"]),
        ("", ["unknown data source ''"]),
        ("medmnist:", ["unknown 2-D MedMNIST set ''", "pathmnist"]),
        ("medmnist:organmnist3d", ["unknown 2-D MedMNIST set 'organmnist3d'", "organsmnist"]),
        ("medmnist:nodulemnist3d:64", ["unknown 2-D MedMNIST set 'nodulemnist3d'"]),
        ("medmnist:breastmnist:64:x", ["no size '64:x'; valid: 28, 64, 128, 224"]),
        ("phantom:livr?size=32", ["unknown phantom 'livr'", "valid: bloodcells, chest, covid"]),
        ("phantom?size=8", ["phantom?size=8: size is '8', not a whole number from 16 to 1024"]),
        ("phantom?images=2e3", ["images is '2e3', not a whole number from 100 to 100000"]),
        ("phantom?seed=-1", ["seed is '-1', not a whole number from 0"]),
        ("phantom:organs?images=100&size=16", ["val has no image of femur-left: ask for more images"]),
    ],
)
def test_a_source_that_is_none_is_refused(source: str, fragments: list[str]) -> None:
    message = refusal(source)
    for fragment in fragments:
        assert fragment in message


# -- MedMNIST's own files


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with empty folders of its own and no network; returns $MEDRAY_DATA."""
    for name, value in offline(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path / "data"


def offline(folder: Path) -> dict[str, str]:
    """The environment of a machine without a network whose folders are in `folder`."""
    for name in ("home", "data"):
        (folder / name).mkdir()
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
    return {
        "HOME": str(folder / "home"),
        "MEDRAY_DATA": str(folder / "data"),
        "no_proxy": "",
        "NO_PROXY": "",
        **proxies,
    }


def trust(monkeypatch: pytest.MonkeyPatch, name: str, path: Path, key: str = "MD5") -> None:
    """State the MD5 of a file of our own as MedMNIST's."""
    table: Any = medmnist._table()
    monkeypatch.setitem(table[name], key, hashlib.md5(path.read_bytes()).hexdigest())


def test_a_copy_of_other_content_is_refused(store: Path) -> None:
    path = write(store / "breastmnist.npz")
    message = refusal("medmnist:breastmnist")
    assert message.startswith(f"{path}: its MD5 is {hashlib.md5(path.read_bytes()).hexdigest()}, ")
    assert medmnist._table()["breastmnist"]["MD5"] in message
    assert "delete it" in message


@pytest.mark.parametrize(("size", "suffix"), [("", ""), (":28", ""), (":64", "_64"), (":224", "_224")])
def test_a_right_copy_is_used_without_a_network(
    store: Path, monkeypatch: pytest.MonkeyPatch, size: str, suffix: str
) -> None:
    path = write(store / f"breastmnist{suffix}.npz")
    trust(monkeypatch, "breastmnist", path, f"MD5{suffix}")
    dataset = load_data(f"medmnist:breastmnist{size}")
    assert dataset.source == f"medmnist:breastmnist{size}"
    assert dataset.class_names == ("malignant", "normal, benign")
    assert dataset.notes == ("class names: MedMNIST's",)
    assert len(dataset) == sum(COUNTS)


def test_a_copy_in_medmnists_own_folder_is_used(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home" / ".medmnist"
    folder.mkdir()
    path = write(folder / "pneumoniamnist.npz")
    trust(monkeypatch, "pneumoniamnist", path)
    assert medmnist.locate("pneumoniamnist") == path
    first = write(store / "pneumoniamnist.npz")
    assert medmnist.locate("pneumoniamnist") == first  # $MEDRAY_DATA comes first
    monkeypatch.delenv("MEDRAY_DATA")
    assert medmnist.locate("pneumoniamnist") == path


def test_every_flat_set_has_its_classes_and_sums_in_the_packages_table() -> None:
    table = medmnist._table()
    assert set(medmnist.FLAT_SETS) == {name for name in table if "3d" not in name}
    for name in medmnist.FLAT_SETS:
        assert len(medmnist.class_names(name)) == len(table[name]["label"])
        for size in medmnist.SIZES:
            assert len(table[name]["MD5" if size == "28" else f"MD5_{size}"]) == 32
    assert {n for n in medmnist.FLAT_SETS if table[n]["task"].startswith("multi-label")} == set(
        medmnist.MULTI_LABEL
    )
    assert medmnist.class_names("organsmnist")[0] == "bladder"
    assert medmnist.class_names("organsmnist")[10] == "spleen"


@pytest.mark.component
def test_without_a_copy_and_a_network_both_ways_out_are_named(tmp_path: Path) -> None:
    """In a process of its own: the medmnist package makes a folder in $HOME when it is imported."""
    code = """
from medray import MedrayError, load_data
try:
    load_data("medmnist:breastmnist:64")
except MedrayError as error:
    print(type(error).__name__, error, sep="|")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[2], env=os.environ | offline(tmp_path),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, done.stdout
    kind, message = done.stdout.strip().split("|")
    assert kind == "DataError"
    assert message.startswith("medmnist:breastmnist is not on this machine and can't be downloaded")
    assert "put breastmnist_64.npz into" in message
    assert f"{tmp_path / 'data'} or {tmp_path / 'home' / '.medmnist'}" in message
    assert message.endswith("or use --data phantom")
    assert not list((tmp_path / "data").glob("*.npz"))


@pytest.mark.parametrize(
    ("images", "shape", "aspect", "notes"),
    [
        (
            {"image_size": [30, 20], "channels": 3}, (30, 20, 3), "stretch",
            ["96 images of 12×12×1 colourised", "96 images of 12×12×1 resized", "96 images of 12×12×1 stretched"],
        ),
        (
            {"image_size": [8, 16], "aspect": "pad"}, (8, 16, 1), "pad",
            ["96 images of 12×12×1 padded", "96 images of 12×12×1 resized"],
        ),
    ],
)  # fmt: skip
def test_arrays_get_the_size_that_a_space_asks_for(
    npz: Path, images: dict[str, Any], shape: tuple[int, int, int], aspect: str, notes: list[str]
) -> None:
    """As image files do; the second time from the cache."""
    asked, before = Preparation.from_dict({"images": images}), load_data(str(npz))
    for _ in range(2):
        dataset = load_data(str(npz), preparation=asked)
        assert dataset.original is not None
        assert pickle.loads(pickle.dumps(dataset)).original is None
        assert find_leaks(dataset) == find_leaks(before)
        assert (dataset.shape, dataset.aspect) == (shape, aspect)
        assert list(dataset.notes[-len(notes) :]) == notes
        assert (dataset.labels == before.labels).all()
        for position in (0, 95):
            small = Image.fromarray(before.images[position, :, :, 0])
            assert (dataset.images[position] == fit(Picture(small, (12, 12)), shape, aspect)[0]).all()
    assert dataset.mapped is not None
    assert Path(dataset.mapped).is_file()


@pytest.mark.parametrize("source", ["npz", "phantom:organs?images=400"])
def test_arrays_of_the_size_that_is_asked_for_are_taken_as_they_are(source: str, npz: Path) -> None:
    """Drawings have the size that their source says."""
    source = str(npz) if source == "npz" else source
    asked = Preparation.from_dict({"images": {"image_size": 12}})
    before, after = load_data(source), load_data(source, preparation=asked)
    note = "drawn as the source says, 28×28 in grey: the space's `images`, 12×12 in grey, are not for drawings"
    assert after.notes == (before.notes if source == str(npz) else (*before.notes, note))
    assert after.mapped is None
    assert (after.images == before.images).all()
