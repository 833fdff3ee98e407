"""Image files become a data set: decoded once, kept by content, and nothing left out without a line."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medray.audit.audit import find_leaks
from medray.audit.data_command import data
from medray.data import build as building
from medray.data.build import build_dataset
from medray.data.cache import array_cache
from medray.data.dataset import Fold, ImageDataset
from medray.data.decoding import decode
from medray.data.labels import choose_labels, merge_classes
from medray.data.listing.listing import ListedImage, Listing
from medray.data.load_data import load_data
from medray.data.phantoms import load_phantom
from medray.data.splits import make_splits
from medray.errors import ConfigError, DataError
from medray.space.preparation import Images, Labels, Preparation, Shares
from tests.data.listing.folders.folder_trees import list_text

ODD = ((), ("a",), ("b",), ("b", "b"), ("a", "b"), ("rare",))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(seed: int, size: tuple[int, int] = (12, 10), mode: str = "L") -> bytes:
    """A PNG of noise, (width, height)."""
    channels = 3 if mode == "RGB" else 1
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise[:, :, 0] if mode == "L" else noise).save(file, "PNG")
    return file.getvalue()


def make_listing(folder: Path, count: int = 40, **more: Any) -> Listing:
    """Images of two classes in turn."""
    folder.mkdir(exist_ok=True)
    images = []
    for number in range(count):
        path = folder / f"{number:03}.png"
        path.write_bytes(picture(number))
        images.append(ListedImage(path, path.name, ("sick" if number % 2 else "well",)))
    return Listing("folder:here", folder, tuple(images), **more)


def changed(listing: Listing, index: int, **values: Any) -> Listing:
    images = list(listing.images)
    images[index] = ListedImage(**{**images[index].__dict__, **values})
    return Listing(**{**listing.__dict__, "images": tuple(images)})


def prepared(**sections: Any) -> Preparation:
    return Preparation.from_dict(sections)


# -- the pixels


def test_the_pixels_are_those_of_the_files(cache: Path, tmp_path: Path) -> None:
    listing = make_listing(tmp_path / "images")
    dataset = build_dataset(listing, Preparation())
    assert dataset.shape == (10, 12, 1)
    assert dataset.class_names == ("sick", "well")
    for image, listed, label in zip(dataset.images, listing.images, dataset.labels, strict=True):
        assert (image == decode(listed.path.read_bytes(), (10, 12, 1)).pixels).all()
        assert dataset.class_names[label] == listed.labels[0]


def test_a_second_time_nothing_is_decoded(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = make_listing(tmp_path / "images")
    first = build_dataset(listing, prepared(images={"image_size": 8, "channels": 1}))
    monkeypatch.setattr(building, "decode_file", None)
    again = build_dataset(listing, prepared(images={"image_size": 8, "channels": 1}))
    assert again.fingerprint == first.fingerprint
    moved = tmp_path / "moved"
    listing.root.rename(moved)
    images = tuple(ListedImage(moved / image.where, image.where, image.labels) for image in listing.images)
    assert build_dataset(Listing("folder:there", moved, images), prepared(images={"image_size": 8, "channels": 1}))
    with pytest.raises(TypeError):
        build_dataset(make_listing(tmp_path / "images"), prepared(images={"image_size": 9, "channels": 1}))


def test_another_content_under_the_same_name_is_seen(cache: Path, tmp_path: Path) -> None:
    listing = make_listing(tmp_path / "images")
    before = build_dataset(listing, Preparation())
    listing.images[3].path.write_bytes(picture(1003))
    after = build_dataset(listing, Preparation())
    assert (after.images[3] != before.images[3]).any()
    assert (after.images[4] == before.images[4]).all()


def test_colour_is_kept_where_any_image_has_it(cache: Path, tmp_path: Path) -> None:
    listing = make_listing(tmp_path / "images")
    listing.images[30].path.write_bytes(picture(30, mode="RGB"))
    assert build_dataset(listing, Preparation()).shape == (10, 12, 3)
    assert build_dataset(listing, prepared(images={"channels": 1})).shape == (10, 12, 1)


def test_sizes_that_differ_need_a_size(cache: Path, tmp_path: Path) -> None:
    listing = make_listing(tmp_path / "images")
    listing.images[7].path.write_bytes(picture(7, size=(20, 10)))
    with pytest.raises(
        DataError, match=r"1 of 40 images are not 10×12 as the first is; say .*image_size: \[10, 12\]"
    ):
        build_dataset(listing, Preparation())
    stretched = build_dataset(listing, prepared(images={"image_size": [10, 12]}))
    padded = build_dataset(listing, prepared(images={"image_size": [10, 12], "aspect": "pad"}))
    assert "1 images stretched" in stretched.notes
    assert "1 images padded" in padded.notes
    assert padded.aspect == "pad"
    assert not padded.images[7, [0, 1, 8, 9]].any()
    assert padded.images[7, 2:8].all(axis=1).any()
    assert (padded.images[6] == stretched.images[6]).all()


def test_photographs_that_are_stored_turned_have_the_size_in_which_they_are_seen(
    cache: Path, tmp_path: Path
) -> None:
    listing, turn = make_listing(tmp_path), Image.Exif()
    turn[274] = 6
    for index in range(0, len(listing), 2):
        upright = Image.open(listing.images[index].path)
        upright.transpose(Image.Transpose.ROTATE_90).save(listing.images[index].path, exif=turn)
    dataset = build_dataset(listing, Preparation())
    assert dataset.shape == (10, 12, 1)
    assert f"{len(listing) // 2} images turned" in dataset.notes


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40))
def test_padding_keeps_the_ratio(width: int, height: int, rows: int, columns: int) -> None:
    file = io.BytesIO()
    Image.new("L", (width, height), 255).save(file, "PNG")
    pixels = decode(file.getvalue(), (rows, columns, 1), aspect="pad").pixels[:, :, 0]
    inside = np.argwhere(pixels > 0)
    tall, wide = inside.max(axis=0) - inside.min(axis=0) + 1
    scale = min(rows / height, columns / width)
    assert abs(tall - height * scale) <= 1
    assert abs(wide - width * scale) <= 1
    assert tall == rows or wide == columns
    assert pixels[inside[:, 0].min() :, inside[:, 1].min() :][:tall, :wide].all()


# -- what can't be used


def test_unreadable_files_are_named_or_dropped_with_a_line(cache: Path, tmp_path: Path) -> None:
    listing = make_listing(tmp_path / "images")
    listing.images[5].path.write_bytes(b"no image")
    listing.images[9].path.unlink()
    with pytest.raises(DataError, match=r"2 files can't be read \(first: 005.png: .*unreadable: drop"):
        build_dataset(listing, Preparation())
    for _ in range(2):
        dataset = build_dataset(listing, prepared(images={"unreadable": "drop"}))
        assert len(dataset) == 38
        assert any(
            note.startswith("left out: 2 files that can't be read (first: 005.png") for note in dataset.notes
        )
        kept = [image for index, image in enumerate(listing.images) if index not in (5, 9)]
        assert (dataset.images[5] == decode(kept[5].path.read_bytes(), (10, 12, 1)).pixels).all()
        assert dataset.class_names[dataset.labels[5]] == kept[5].labels[0]


def test_nothing_can_be_read(cache: Path, tmp_path: Path) -> None:
    listing = make_listing(tmp_path / "images", 4)
    for image in listing.images:
        image.path.write_bytes(b"")
    with pytest.raises(DataError, match="none of its 4 images can be read"):
        build_dataset(listing, Preparation())


def test_rows_without_a_file(cache: Path, tmp_path: Path) -> None:
    listing = make_listing(tmp_path / "images", missing=("line 3: x.png", "line 9: y.png"))
    with pytest.raises(DataError, match=r"2 rows without a file \(first: line 3: x.png\); .*missing: drop"):
        build_dataset(listing, Preparation())
    assert any(
        "2 rows without a file" in note
        for note in build_dataset(listing, prepared(images={"missing": "drop"})).notes
    )


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(ODD), min_size=4, max_size=40),
    st.sampled_from(["drop", "first"]),
    st.integers(1, 3),
)
def test_every_image_is_kept_or_counted(labels: list[tuple[str, ...]], multiple: str, least: int) -> None:
    images = tuple(ListedImage(Path(str(i)), str(i), names) for i, names in enumerate(labels))
    listing = Listing("csv:here", Path(), images)
    try:
        labelled = choose_labels(listing, Labels("drop", multiple, least))
    except DataError as error:
        assert "at least two are needed" in str(error)  # noqa: PT017
        return
    classes = [labelled.class_names[label] for label in labelled.labels]
    assert classes == [labels[index][0] for index in labelled.positions]
    assert min(classes.count(name) for name in labelled.class_names) >= least
    left_out = {index for index in range(len(labels)) if index not in labelled.positions}
    blank = sum(not names for names in labels)
    several = sum(len(set(names)) > 1 for names in labels) if multiple == "drop" else 0
    rare = sum(len(set(labels[index])) == 1 or multiple == "first" for index in left_out if labels[index])
    if multiple == "drop":
        rare = sum(len(set(labels[index])) == 1 for index in left_out)
    assert len(left_out) == blank + several + rare
    notes = " ".join(labelled.notes)
    assert (f"{blank} blank label" in notes) == (blank > 0)


def test_blank_and_several_labels_need_a_rule(tmp_path: Path) -> None:
    listing = changed(make_listing(tmp_path / "images"), 3, labels=())
    with pytest.raises(DataError, match=r"1 blank label \(first: 003.png\); `labels: {blank: drop}`"):
        choose_labels(listing, Labels())
    listing = changed(make_listing(tmp_path / "images"), 3, labels=("a", "b"))
    with pytest.raises(DataError, match=r"1 image \(first: 003.png\) with several labels; .*multiple: drop"):
        choose_labels(listing, Labels())


# -- merged classes

FOUR = {"COVID": 6, "Lung_Opacity": 7, "Normal": 9, "Viral Pneumonia": 5}
NOT_COVID = {"merge": {"not COVID": ["Normal", "Lung_Opacity", "Viral Pneumonia"]}}


def radiography(folder: Path) -> Path:
    """Films in the layout of the COVID-19 Radiography Database, with their masks."""
    for name, count in FOUR.items():
        for kind in ("images", "masks"):
            (folder / name / kind).mkdir(parents=True)
            for number in range(count):
                (folder / name / kind / f"{name}-{number + 1}.png").write_bytes(picture(100 * len(name) + number))
    return folder


def test_four_classes_of_a_public_set_become_two(cache: Path, tmp_path: Path) -> None:
    listing = list_text(f"folder:{radiography(tmp_path / 'covid')}?exclude=masks")
    dataset = build_dataset(listing, prepared(labels={**NOT_COVID, "min_count": 6}))
    assert dataset.class_names == ("COVID", "not COVID")
    assert np.bincount(dataset.labels).tolist() == [6, 21]
    assert all(len(np.unique(dataset.labels[part])) == 2 for part in dataset.splits.values())
    note = "merged into one class, not COVID: Normal (9), Lung_Opacity (7), Viral Pneumonia (5)"
    assert note in dataset.notes
    assert "left out by exclude: 'masks' (folders: 4, images: 27, other files: 0)" in dataset.notes


def test_classes_are_left_out_by_name(cache: Path, tmp_path: Path) -> None:
    listing = list_text(f"folder:{radiography(tmp_path / 'covid')}?exclude=masks")
    dataset = build_dataset(listing, prepared(labels={"leave_out": ["Viral Pneumonia", "Normal"]}))
    assert dataset.class_names == ("COVID", "Lung_Opacity")
    assert np.bincount(dataset.labels).tolist() == [6, 7]
    assert "left out, as asked: class Normal (9)" in dataset.notes
    with pytest.raises(DataError, match=r"labels.leave_out: unknown class 'Norml' \(did you mean 'Normal'\?\)"):
        build_dataset(listing, prepared(labels={"leave_out": ["Norml"]}))
    with pytest.raises(DataError, match="1 class left"):
        build_dataset(listing, prepared(labels={"leave_out": ["Viral Pneumonia", "Normal", "COVID"]}))
    with pytest.raises(ConfigError, match=r"labels.leave_out: class 'a' is there twice"):
        prepared(labels={"leave_out": ["a", "a"]})


def test_classes_of_a_table_are_merged_before_several_labels_are_judged(cache: Path, tmp_path: Path) -> None:
    labels = ["NEUTROPHIL", "EOSINOPHIL", "NEUTROPHIL, EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE, LYMPHOCYTE", "1"]
    rows = [f"{number},{labels[number % 6]!r}".replace("'", '"') for number in range(36)]
    for number in range(36):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    (tmp_path / "labels.csv").write_text("\n".join(["image,label", *rows, "99,BASOPHIL"]))
    listing = list_text(f"csv:{tmp_path}/labels.csv")
    merge: dict[str, list[Any]] = {"granulocyte": ["NEUTROPHIL", "EOSINOPHIL", "BASOPHIL"], "one": [1]}
    dataset = build_dataset(
        listing, prepared(images={"missing": "drop"}, labels={"multiple": "drop", "merge": merge})
    )
    counts = dict(zip(dataset.class_names, np.bincount(dataset.labels).tolist(), strict=True))
    assert counts == {"LYMPHOCYTE": 6, "granulocyte": 18, "one": 6}
    assert "merged into one class, granulocyte: NEUTROPHIL (12), EOSINOPHIL (12), BASOPHIL (0)" in dataset.notes
    assert "left out: 6 images (first: line 6) with several labels" in dataset.notes


@settings(max_examples=60)
@given(st.lists(st.sampled_from(ODD), min_size=4, max_size=40))
def test_merging_renames_and_changes_nothing_else(labels: list[tuple[str, ...]]) -> None:
    images = tuple(ListedImage(Path(str(i)), str(i), image) for i, image in enumerate([*labels, ("a",), ("b",)]))
    before, after = Listing("csv:here", Path(), images), {"a": "x", "b": "x"}
    merged, notes = merge_classes(before, {"x": ("a", "b")})
    assert [image.labels for image in merged.images] == [
        tuple(after.get(n, n) for n in image.labels) for image in images
    ]
    assert [image.path for image in merged.images] == [image.path for image in before.images]
    a, b = (sum(name in image.labels for image in images) for name in "ab")
    assert notes == [f"merged into one class, x: a ({a}), b ({b})"]
    assert merge_classes(before, {}) == (before, [])


@pytest.mark.parametrize(
    ("merge", "line"),
    [
        ({"x": ["wel"]}, r"folder:here: labels.merge.x: unknown class 'wel' .did you mean 'well'\?.; valid: sick, well$"),
        ({"sick": ["well"]}, "folder:here: labels.merge.sick: 'sick' is a class of the source too; put it into the list"),
        ({"all": ["sick", "well"]}, r"folder:here: 1 class left \(all\); at least two are needed"),
    ],
)  # fmt: skip
def test_classes_that_can_not_be_merged(tmp_path: Path, merge: dict[str, list[str]], line: str) -> None:
    rules = Preparation.from_dict({"labels": {"merge": merge}}).labels
    with pytest.raises(DataError, match=f"^{line}"):
        choose_labels(make_listing(tmp_path / "images", 4), rules)


def test_a_class_may_be_renamed_and_a_merged_one_keep_a_name_of_its_own(tmp_path: Path) -> None:
    rules = Preparation.from_dict({"labels": {"merge": {"healthy": ["well"], "sick": ["sick"]}}}).labels
    assert choose_labels(make_listing(tmp_path / "images", 4), rules).class_names == ("healthy", "sick")
    assert hash(rules) == hash(Labels())


# -- splits


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=30, max_size=120).filter(
        lambda labels: np.bincount(labels, minlength=3).min() >= 8
    ),
    st.booleans(),
    st.sampled_from(["none", "train and test", "all"]),
)
def test_splits_hold_every_image_once(labels: list[int], by_patient: bool, named: str) -> None:
    numbers = np.array(labels)
    groups = np.arange(len(numbers)) // 2 if by_patient else None
    cycle = {
        "none": [None],
        "train and test": ["train", "train", "train", "test"],
        "all": ["train", "val", "test"],
    }
    names = [cycle[named][(index // 2) % len(cycle[named])] for index in range(len(numbers))]
    splits, notes = make_splits(names, numbers, groups, Shares(), "here", class_names="abc")
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(len(numbers)))
    assert len(notes) == {"none": 2, "train and test": 1, "all": 0}[named]
    again, _ = make_splits(names, numbers, groups, Shares(), "here", class_names="abc")
    assert all((splits[name] == again[name]).all() for name in splits)
    for name in ("test", "val") if named != "none" else ():
        given_so = [index for index, split in enumerate(names) if split == name]
        assert not given_so or splits[name].tolist() == given_so
    if groups is None and named == "none":
        assert all((np.bincount(numbers[part], minlength=3) > 0).all() for part in splits.values())
    if groups is not None and named != "all":
        assert not set(groups[splits["train"]]) & set(groups[splits["val"]])


@pytest.mark.usefixtures("cache")
def test_duplicates_stay_in_one_split_and_are_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each drawing lies beside its mirror image; a search would not start on splits that tear them apart."""
    for number, image in enumerate(load_phantom("organs").images[:40]):
        for name, pixels in (("as it is", image), ("mirrored", image[:, ::-1])):
            path = tmp_path / "films" / "ab"[number % 2] / f"{number} {name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[..., 0]).save(path)
    dataset = load_data(f"folder:{tmp_path / 'films'}")
    assert not find_leaks(dataset).leaks
    assert any("drawn by class, duplicates together" in note for note in dataset.notes)
    assert all(len(part) >= 8 for part in dataset.splits.values())
    monkeypatch.setattr("medray.data.similarity.dataset_duplicates.find_duplicates", None)
    assert load_data(f"folder:{tmp_path / 'films'}").fingerprint == dataset.fingerprint


def test_splits_that_can_not_be() -> None:
    labels = np.array([0, 0, 1])
    with pytest.raises(
        DataError,
        match=r"val and test can't be drawn from its images: too few images .* class a \(2\), b \(1\); .*min_count: 3",
    ):
        make_splits([None] * 3, labels, None, Shares(), "here", class_names="abc")
    with pytest.raises(DataError, match="1 of 3 images have no split"):
        make_splits(["train", None, "test"], labels, None, Shares(), "here", class_names="abc")
    with pytest.raises(DataError, match="no image to train on"):
        make_splits(["test"] * 3, labels, None, Shares(), "here", class_names="abc")


def test_an_image_of_a_later_fold_only_is_in_no_split() -> None:
    labels = np.array([0, 1] * 6)
    names = ["train", "train", "val", "val", "test", "test"] + [None] * 6
    splits, notes = make_splits(names, labels, None, Shares(), "here", class_names="abc", in_folds=True)
    assert {name: part.tolist() for name, part in splits.items()} == {
        "train": [0, 1],
        "val": [2, 3],
        "test": [4, 5],
    }
    assert not notes


def test_folds_follow_what_is_left_out_and_leave_the_test_split(cache: Path, tmp_path: Path) -> None:
    everything = np.arange(40)
    folds = tuple(Fold(everything[everything % 4 != k], everything[everything % 4 == k]) for k in range(4))
    listing = make_listing(tmp_path / "images", folds=folds)
    for index in range(40):
        split = "test" if index >= 36 else ("val" if index % 5 == 0 else "train")
        listing = changed(listing, index, split=split)
    listing.images[0].path.write_bytes(b"broken")
    dataset = build_dataset(listing, prepared(images={"unreadable": "drop"}))
    assert dataset.folds is not None
    for k, (train, val) in enumerate(dataset.folds):
        expected = [index for index in range(1, 36) if index % 4 == k]
        assert (val + 1).tolist() == expected
        assert sorted(np.concatenate([train, val]).tolist()) == list(range(35))


# -- shared memory, and the cache


def test_a_process_maps_the_file_instead_of_being_sent_it(cache: Path, tmp_path: Path) -> None:
    dataset = build_dataset(make_listing(tmp_path / "images"), Preparation())
    sent = pickle.dumps(dataset)
    assert len(sent) < dataset.images.nbytes
    back: ImageDataset = pickle.loads(sent)
    assert (back.images == dataset.images).all()
    assert not back.images.flags.writeable
    assert len(pickle.dumps(dataset.unmapped())) > dataset.images.nbytes
    for path in cache.rglob("*.npy"):
        path.unlink()
    assert (pickle.loads(pickle.dumps(dataset.unmapped())).images == back.images).all()
    with pytest.raises(DataError, match="its decoded images are gone"):
        pickle.loads(sent)


def test_the_oldest_entries_make_room(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        with array_cache.new_array(f"{number}", (4, 100, 100, 1), f"s{number}") as new:
            new.array[:] = number
        os.utime(cache / "images" / f"{number}.npy", (1000 + number, 1000 + number))
    assert array_cache.find("0") is not None  # used now, so 1 is the oldest
    monkeypatch.setenv("MEDRAY_CACHE_GIB", str(4 * 40_500 / 2**30))
    with array_cache.new_array("3", (8, 100, 100, 1), "s3"):
        pass
    assert {entry.key for entry in array_cache.entries()} == {"0", "2", "3"}
    assert array_cache.find("1") is None
    monkeypatch.setenv("MEDRAY_CACHE_GIB", "much")
    with pytest.raises(ConfigError, match="MEDRAY_CACHE_GIB is 'much'; it must be a number of GiB above 0"):
        array_cache.size_limit()


def test_the_cache_is_shown_and_cleared(cache: Path, tmp_path: Path) -> None:
    build_dataset(make_listing(tmp_path / "images"), Preparation())
    shown = CliRunner().invoke(data, ["cache"])
    assert shown.exit_code == 0
    assert "40×10×12×1  folder:here" in shown.stdout
    assert f"MiB of 20,480 in {cache / 'images'}" in shown.stdout
    assert "deleted: 1" in CliRunner().invoke(data, ["cache", "--clear"]).stdout
    assert array_cache.entries() == []
    assert build_dataset(make_listing(tmp_path / "images"), Preparation())


def test_what_was_not_finished_is_not_kept(cache: Path) -> None:
    with pytest.raises(ZeroDivisionError), array_cache.new_array("k", (1, 2, 2, 1), "s"):
        raise ZeroDivisionError
    assert array_cache.find("k") is None
    assert not list((cache / "images").iterdir())


# -- the sections of a space


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"images": {"image_sise": 3}}, "images.image_sise: unknown key 'image_sise' .did you mean 'image_size'"),
        ({"images": {"image_size": 0}}, "images.image_size: 0; a side has 1 to 4096 pixels"),
        ({"images": {"image_size": "big"}}, "images.image_size: 'big' is neither a number of pixels nor"),
        ({"images": {"aspect": "pat"}}, "images.aspect: unknown value 'pat' .did you mean 'pad'"),
        ({"images": {"channels": True}}, "images.channels: unknown value 'True'"),
        ({"labels": {"min_count": 0}}, "labels.min_count: 0 is not a whole number of 1 or more"),
        ({"labels": {"multiple": "last"}}, "labels.multiple: unknown value 'last'"),
        ({"labels": {"merge": ["a"]}}, r"labels.merge: \['a'\] is not a section of names"),
        ({"labels": {"merge": {"x": "a"}}}, r"labels.merge.x: 'a' is not a list of classes, such as \[a, b\]"),
        ({"labels": {"merge": {"x": []}}}, r"labels.merge.x: \[\] is not a list of classes"),
        ({"labels": {"merge": {"x": [True]}}}, "labels.merge.x: YAML reads True, which is no name of a class"),
        ({"labels": {"merge": {False: ["a"]}}}, "labels.merge.False: YAML reads False, .*in quotes"),
        ({"labels": {"merge": {1: ["a"], "1": ["b"]}}}, "labels.merge.1: the name is there twice"),
        ({"labels": {"merge": {"x": ["a"], "y": ["a"]}}}, "labels.merge.y: class 'a' is merged into 'x' too"),
        ({"labels": {"merge": {"x": ["a", "a"]}}}, "labels.merge.x: class 'a' is there twice"),
        ({"splits": {"val": 1}}, "splits.val: 1 is not a share above 0 and below 1"),
        ({"splits": {"val": 0.5, "test": 0.5}}, "splits: val and test together leave nothing to train on"),
        ({"images": [1]}, r"images: \[1\] is not a section of keys and values"),
    ],
)
def test_slips_in_a_space_are_named(sections: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=f"^{line}"):
        Preparation.from_dict(sections)


def test_one_number_is_both_sides_and_what_is_left_out_stays_as_it_comes() -> None:
    preparation = prepared(images={"image_size": 150, "unreadable": "drop"}, labels={"min_count": 5})
    assert preparation == Preparation(Images((150, 150), unreadable="drop"), Labels(min_count=5))
