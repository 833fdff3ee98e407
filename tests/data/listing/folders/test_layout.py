"""Folders above those of the classes: splits, folds and subgroups are read as such, or refused by what they are."""

from pathlib import Path

import pytest

from medray.data.listing.folder_names import fold_number, folder_split, names_fold
from tests.data.listing.folders.folder_trees import grow, labels, listed, refusal

CLASSES = ("benign", "malignant")


def tree(root: Path, *tops: str, classes: tuple[str, ...] = CLASSES, images: int = 2) -> Path:
    return grow(root, [f"{top}/{name}/{n}.png" for top in tops for name in classes for n in range(images)])


# -- splits


@pytest.mark.parametrize(
    "folders",
    [
        {"training_set": "train", "test_set": "test"},
        {"seg_train": "train", "seg_test": "test"},
        {"Training Data": "train", "Testing Data": "test"},
        {"dataset_train": "train", "dataset_val": "val", "dataset_test": "test"},
        {"chest_xray_train2017": "train", "chest_xray_test2017": "test"},
        {"TrainSet": "train", "ValidSet": "val", "TestSet": "test"},
        {"trainset": "train", "valset": "val", "testset": "test"},
        {"imagesTr": "train", "imagesTs": "test"},
        {"01_train": "train", "02_val": "val", "03_test": "test"},
        {"trn": "train", "eval": "val", "tst": "test"},
        {"train": "train", "hold-out": "test"},
        {"Train": "train", "Validation data": "val", "Held out": "test"},
        {"train": "train", "calibration": "calibration", "test": "test"},
        {"TRAINING": "train", "Calib set": "calibration"},
        {"train": "train", "external_validation": "val"},
    ],
)
def test_splits_by_a_word_in_the_name(tmp_path: Path, folders: dict[str, str]) -> None:
    listing = listed(tree(tmp_path, *folders))
    assert {image.where.partition("/")[0]: image.split for image in listing.images} == folders
    assert {image.labels[0] for image in listing.images} == {*CLASSES}
    for folder, split in folders.items():
        if folder.lower() not in ("train", "training", "val", "test", split):
            assert f"{split} ('{folder}')" in listing.notes[0]


def test_a_class_may_be_missing_from_a_small_split(tmp_path: Path) -> None:
    tree(tmp_path, "train_big", classes=("a", "b", "c", "d", "e"))
    listing = listed(tree(tmp_path, "test_small", classes=("a", "B")))
    assert {image.split for image in listing.images} == {"train", "test"}
    assert len(set(labels(listing).values())) == 5


@pytest.mark.parametrize(
    "classes",
    [
        ("test_positive", "test_negative"),
        ("Positive test", "Negative test"),
        ("Stress test", "Training injury"),
        ("validated", "invalid"),
        ("latest", "trained"),
        ("fold change", "cv1"),
        ("CV 1", "CV 2"),
        ("40X", "100X"),
        ("left", "right"),
        ("case", "control"),
    ],
)
@pytest.mark.parametrize("below", ["", "p{}/"])
def test_words_in_the_names_of_classes(tmp_path: Path, classes: tuple[str, ...], below: str) -> None:
    grow(
        tmp_path, [f"{name}/{below.format(n + 10 * k)}{n}.png" for k, name in enumerate(classes) for n in range(3)]
    )
    listing = listed(tmp_path)
    assert {image.labels[0] for image in listing.images} == {*classes}
    assert {image.split for image in listing.images} == {None}


@pytest.mark.parametrize(
    ("tops", "fragments"),
    [
        (("train_1", "train_2", "test"), ["two folders are the train split: 'train_1' and 'train_2'; `?exclude="]),
        (("train", "validation", "dev"), ["two folders are the val split: 'dev' and 'validation'"]),
        (("train", "test_internal", "test_external"), ["two folders are the test split"]),
        (("train_val", "test_set"), ["'train_val' lies where split folders do and names train and val"]),
        (("train_set", "test_set", "extra"), ["'extra' lies where split folders do", "`?exclude=extra`"]),
        (("valid_set", "test_set"), ["no folder for train, only test_set, valid_set"]),
        (("test_A", "test_B"), ["hold the same folders, benign, malignant"]),
    ],
)
def test_splits_that_are_refused(tmp_path: Path, tops: tuple[str, ...], fragments: list[str]) -> None:
    refusal(lambda: listed(tree(tmp_path, *tops)), *fragments)


def test_split_folders_without_classes(tmp_path: Path) -> None:
    grow(tmp_path, ["training_set/1.png", "training_set/2.png", "test_set/3.png"])
    refusal(lambda: listed(tmp_path), "3 images lie beside the folders and not in a class's")
    assert {*labels(listed(f"{tmp_path}?subgroups=")).values()} == {"training_set", "test_set"}


@pytest.mark.parametrize(
    "path", ["a/p1/train/1.png", "a/p1/x/TEST/1.png", "a/validation/1.png", "a/x_train/1.png", "a/p/Testing/1.png"]
)
def test_splits_below_a_class_at_any_depth(tmp_path: Path, path: str) -> None:
    grow(tmp_path, [path, path.replace("x_train", "x_test"), "b/p1/1.png"])
    refusal(lambda: listed(tmp_path), "lies below class 'a'; split folders must stand above")


@pytest.mark.parametrize(
    "form", ["{split}/images/{label}", "{split}_set/{split}_set/{label}", "{split}/{split}/{label}"]
)
def test_one_folder_around_the_classes_of_a_split(tmp_path: Path, form: str) -> None:
    grow(
        tmp_path,
        [form.format(split=s, label=c) + f"/{n}.png" for s in ("train", "test") for c in CLASSES for n in "12"],
    )
    listing = listed(tmp_path)
    assert {(image.split, image.labels[0]) for image in listing.images} == {
        (s, c) for s in ("train", "test") for c in CLASSES
    }


# -- folds


@pytest.mark.parametrize(
    "names",
    [
        ("Fold0", "Fold1"), ("cv1", "cv2"), ("CV_3", "CV_4"), ("kfold 2", "kfold 3"), ("split 1", "split 2"),
        ("1st fold", "2nd fold"), ("fold_1_of_2", "fold_2_of_2"), ("partition-1", "partition-2"), ("cv_fold1", "cv_fold2"),
        ("Fold No. 1", "Fold No. 2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("splits", [("train", "val"), ("train_set", "valid_set")])
def test_folds_of_split_folders(tmp_path: Path, names: tuple[str, str], splits: tuple[str, str]) -> None:
    for fold, name in enumerate(names):
        for part, label in ((part, label) for part in range(2) for label in CLASSES):
            grow(tmp_path, {f"{name}/{splits[part]}/{label}/x.png": f"{label} {part ^ fold}"})
    listing = listed(tmp_path)
    assert len(listing) == 4
    assert listing.folds is not None
    assert [(len(train), len(held_out)) for train, held_out in listing.folds] == [(2, 2), (2, 2)]


@pytest.mark.parametrize("name", ["fold{}", "CV{}", "split_{}"])
def test_folds_of_class_folders_are_held_out_in_turn(tmp_path: Path, name: str) -> None:
    listing = listed(tree(tmp_path, *map(name.format, (10, 2, 1)), images=3))
    assert {image.split for image in listing.images} == {None}
    assert {image.labels[0] for image in listing.images} == {*CLASSES}
    assert listing.folds is not None
    for fold, number in zip(listing.folds, (1, 2, 10), strict=True):
        assert {listing.images[i].where.partition("/")[0] for i in fold.val.tolist()} == {name.format(number)}
        assert sorted([*fold.train.tolist(), *fold.val.tolist()]) == list(range(18))


def test_a_test_folder_beside_folds_that_are_held_out(tmp_path: Path) -> None:
    listing = listed(tree(tmp_path, "fold_1", "fold_2", "fold_3", "test_set"))
    assert {image.where.partition("/")[0]: image.split for image in listing.images} == {
        "fold_1": "train", "fold_2": "train", "fold_3": "train", "test_set": "test",
    }  # fmt: skip
    assert (
        listing.notes[0]
        == "2 classes by their folders, splits by theirs: train ('fold_1', 'fold_2', 'fold_3'), test ('test_set')"
    )
    assert listing.folds is not None
    assert [(len(train), len(held_out)) for train, held_out in listing.folds] == [(8, 4)] * 3
    assert all(
        not listing.images[i].where.startswith("test")
        for fold in listing.folds
        for part in fold
        for i in part.tolist()
    )


def test_folds_that_are_refused(tmp_path: Path) -> None:
    refusal(lambda: listed(tree(tmp_path / "1", "fold1")), "one fold folder only, 'fold1'")
    grow(tmp_path / "2", [f"{c}/fold{n}/1.png" for c in CLASSES for n in range(3)])
    refusal(lambda: listed(tmp_path / "2"), "fold folders such as 'fold0' lie below class 'benign'")
    tree(tmp_path / "3", "fold1/train", "fold1/calibration", "fold2/train")
    tree(tmp_path / "5", "train/fold1", "train/fold2", "test")
    refusal(lambda: listed(tmp_path / "5"), "fold folders lie below 't", "such as 'fold1'")
    refusal(lambda: listed(tmp_path / "3"), "'calibration' is a calibration split within a fold")
    tree(tmp_path / "4", *[f"{n}/{s}" for n in (1, 2) for s in ("train", "test")])
    refusal(
        lambda: listed(tmp_path / "4"),
        "'1', '2' hold the same folders, test, train",
        "folds are named Fold1, Fold2",
    )


def test_names_of_folds_and_splits() -> None:
    known = {"cv1": 1, "CV_3": 3, "kfold 2": 2, "split 1": 1, "1st fold": 1, "10-fold": 10, "Fold 3 of 5": 3}
    assert {name: fold_number(name) for name in known} == known
    assert names_fold("kfold 2")
    assert not names_fold("split 1")
    for name in ("benign", "train_val", "contest", "Trainer", "detest", "evaluated"):
        assert folder_split(name) is None


# -- folders that are neither


@pytest.mark.parametrize(
    ("tops", "look", "subgroup"),
    [
        (("40X", "100X", "200X"), "magnifications", "magnification"),
        (("x10", "x20"), "magnifications", "magnification"),
        (("Hospital A", "Hospital B"), "sites", "site"),
        (("site_1", "site_2", "site_3"), "sites", "site"),
        (("CT", "X-ray"), "modalities", "modality"),
        (("male", "female"), "sexes", "sex"),
        (("AP", "PA", "lateral"), "views", "view"),
    ],
)
def test_subgroups_above_the_classes(tmp_path: Path, tops: tuple[str, ...], look: str, subgroup: str) -> None:
    tree(tmp_path, *tops)
    refusal(
        lambda: listed(tmp_path),
        f"look like {look}, not classes: they hold the same folders, benign, malignant",
        f"`?subgroups={subgroup}` behind the source",
    )
    listing = listed(f"{tmp_path}?subgroups={subgroup}")
    assert {image.labels[0] for image in listing.images} == {*CLASSES}
    assert {image.subgroups[subgroup]: image.where.partition("/")[0] for image in listing.images} == dict(
        zip(tops, tops, strict=True)
    )
    assert {image.labels[0] for image in listed(f"{tmp_path}?subgroups=").images} == {*tops}


@pytest.mark.parametrize(
    ("files", "fragments"),
    [
        (("Original Images", "Augmented Images"),
         ["look like augmented or processed copies of the same images", "/Original Images'"]),
        (("raw", "clahe", "resized_512"), ["copies of the same images", "/raw'"]),
        (("Mayo", "Charité"), ["'Charité', 'Mayo' hold the same folders, benign, malignant", "`?subgroups=site`"]),
        (("images", "masks"), ["look like kinds of files", "name one of them, as '"]),
        (("Training", "Entraînement"), ["'Entraînement' lies where split folders do"]),
        (("apprentissage", "essai"), ["hold the same folders, benign, malignant", "splits are named train, val and test"]),
        (("1", "2"), ["hold the same folders, benign, malignant", "`?subgroups=site`"]),
        (("train/40X", "train/100X", "test/40X", "test/100X"), ["below test/ '100X', '40X' look like magnifications"]),
    ],
)  # fmt: skip
def test_folders_of_the_same_classes_are_refused(
    tmp_path: Path, files: tuple[str, ...], fragments: list[str]
) -> None:
    refusal(lambda: listed(tree(tmp_path, *files)), *fragments)


@pytest.mark.parametrize(
    ("tops", "fragments"),
    [
        (("cat", "dog", "test"), ["'test' looks like a split, but lies beside folders of classes; `?exclude=test`"]),
        (("cat", "dog", "Validation set"), ["'Validation set' looks like a split", "`?exclude=Validation set`"]),
        (("cat", "cat_aug", "dog"), ["'cat_aug' looks like augmented or processed copies", "as 'cat' holds; `?exclude=cat_aug`"]),
        (("Original cat", "Augmented cat", "dog"), ["'Augmented cat' looks like", "as 'Original cat' holds"]),
        (("cat", "dog", "augmented"), ["'augmented' looks like", "as the folders of classes beside it hold"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("above", ["", "train/"])
def test_folders_beside_classes(tmp_path: Path, tops: tuple[str, ...], fragments: list[str], above: str) -> None:
    grow(tmp_path, [f"{above}{top}/{n}.png" for top in tops for n in range(2)])
    refusal(lambda: listed(tmp_path), *fragments)
    assert len({image.labels for image in listed(f"{tmp_path}?subgroups=").images}) == 3


@pytest.mark.parametrize(
    "tops",
    [("valid", "invalid"), ("test", "control"), ("TS", "NF1", "cal"), ("flipped", "normal"), ("no aug", "aug")],
)
def test_two_classes_may_be_called_so(tmp_path: Path, tops: tuple[str, ...]) -> None:
    assert {image.labels[0] for image in listed(tree(tmp_path, *tops, classes=("p{0}",))).images} == {*tops}


def test_the_same_classes_in_other_spellings_and_not_all_of_them(tmp_path: Path) -> None:
    tree(tmp_path, "North", classes=("Be\u0301nin", "malin", "normal"))
    refusal(lambda: listed(tree(tmp_path, "South", classes=("b\u00e9nin", "MALIN"))), "hold the same folders")


def test_subgroups_above_and_below_splits(tmp_path: Path) -> None:
    tree(tmp_path / "1", *[f"{site}/{split}" for site in ("Mayo", "Lyon") for split in ("train", "test")])
    refusal(
        lambda: listed(tmp_path / "1"), "'Lyon', 'Mayo' hold the same folders, test, train", "`?subgroups=site`"
    )
    tree(tmp_path / "2", *[f"{s}_set/{zoom}" for zoom in ("40X", "100X") for s in ("train", "test")])
    for root, name, part in ((tmp_path / "1", "site", 0), (tmp_path / "2", "zoom", 1)):
        listing = listed(f"{root}?subgroups={name}")
        assert {image.split for image in listing.images} == {"train", "test"}
        assert {image.labels[0] for image in listing.images} == {*CLASSES}
        for image in listing.images:
            assert image.subgroups == {name: Path(image.where).parts[part]}


def test_two_levels_of_subgroups(tmp_path: Path) -> None:
    tree(tmp_path, *[f"{site}/{zoom}" for site in ("Mayo", "Lyon") for zoom in ("40X", "100X")])
    refusal(lambda: listed(f"{tmp_path}?subgroups=site"), "look like magnifications")
    listing = listed(f"{tmp_path}?subgroups=site,magnification")
    assert {tuple(image.subgroups.values()) for image in listing.images} == {
        (site, zoom) for site in ("Mayo", "Lyon") for zoom in ("40X", "100X")
    }
    refusal(lambda: listed(f"{tmp_path}?subgroups=a,a"), "option 'subgroups' names a subgroup twice")
    refusal(
        lambda: listed(f"{tmp_path}?subgroups=a,b,c"),
        "images lie beside the folders",
        "take 3 levels of folders above",
    )


@pytest.mark.parametrize(
    "below",
    [("images", "photos"), ("left", "right"), ("40X", "100X"), ("patient1", "patient2"), ("s1", "s2"),
     ("SOB_1", "SOB_2", "SOB_3"), ("original", "augmented"), ("axial", "coronal"), ("10253", "10254")],
)  # fmt: skip
def test_classes_may_hold_the_same_folders_that_are_no_classes(tmp_path: Path, below: tuple[str, ...]) -> None:
    listing = listed(tree(tmp_path, *CLASSES, classes=below))
    assert {image.labels[0] for image in listing.images} == {*CLASSES}
