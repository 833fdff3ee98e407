"""Trees of folders of a known truth: what is read of them is the truth, or they are refused in one line."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from medray.data.listing.folder_names import comparable, folder_split
from medray.data.listing.folders.related_images import RELATED
from medray.errors import DataError
from tests.data.listing.folders.folder_trees import check, grow, list_text

SPLIT_FORMS = {
    "train": ["train", "Training", "TRN", "trains", "Train"],
    "val": ["val", "Valid", "VALIDATION", "dev", "eval", "evaluation"],
    "test": ["test", "Testing", "tst", "hold-out", "holdout"],
    "calibration": ["calibration", "Calib", "cal"],
}
AROUND = ["{}", "{}_set", "{} data", "{}2017", "seg_{}", "chest_xray_{}", "01-{}", "{}-images", "Brain MRI {} set"]
FOLDS = ["Fold{}", "fold_{}", "CV {}", "split-{}", "kfold{}"]
CLASS_NAMES = [
    "benign", "malignant", "normal", "test_positive", "Positive test", "grade 1", "grade 2", "0", "1", "bénigne",
    "Not trained", "invalid", "Lung_Opacity", "COVID-19", "no finding", "fold change", "40x", "left", "mask",
]  # fmt: skip
GROUPS = ["patient{:03}", "Case_{}", "SOB_B_{}", "{:05}", "exam {}", "lesion-{}"]
JUNK = ["notes.txt", "labels.xlsx", ".hidden.png", "Thumbs.db"]


@dataclass(frozen=True)
class Tree:
    """Files by path with their true fold, split, class and the names of the folders below the class."""

    truth: dict[str, tuple[str | None, str | None, str, tuple[str, ...]]]
    junk: tuple[str, ...]
    exact: bool


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    classes = draw(st.lists(st.sampled_from(CLASS_NAMES), min_size=2, max_size=4, unique_by=comparable))
    splits = draw(
        st.sampled_from([(), ("train", "test"), ("train", "val", "test"), ("train", "calibration", "test")])
    )
    folded = draw(st.booleans()) and "calibration" not in splits
    fold_names = [draw(st.sampled_from(FOLDS)).format(n) for n in (1, 2)] if folded else [None]
    around = draw(st.sampled_from(AROUND))
    folders = {split: around.format(draw(st.sampled_from(SPLIT_FORMS[split]))) for split in splits}
    below = draw(st.lists(st.sampled_from(GROUPS), max_size=2, unique=True))
    truth = {}
    for fold in fold_names:
        for split in splits or (None,):
            few = split not in (None, "train") and not folded and len(classes) > 2 and draw(st.booleans())
            for place, label in enumerate(classes[: 2 if few else None]):
                spelled = draw(st.sampled_from([label, label.upper(), f"{label} "])) if split == "test" else label
                for number in range(3):
                    path = "/".join(
                        part
                        for part in (
                            fold,
                            folders[split] if split else None,
                            spelled,
                            *(form.format(number + 10 * place + 100 * (split != "train")) for form in below),
                            f"img{number}.png",
                        )
                        if part
                    )
                    names = tuple(path.split("/")[-1 - len(below) : -1]) if below else ()
                    truth[path] = (fold, split, label, names)
    parents = sorted({path.rpartition("/")[0] for path in truth})
    junk = draw(st.lists(st.tuples(st.sampled_from(parents), st.sampled_from(JUNK)), max_size=3, unique=True))
    exact = around in ("{}", "{}_set", "{} data", "{}-images")
    return Tree(truth, tuple(f"{parent}/{name}" for parent, name in junk), exact)


@settings(max_examples=60, deadline=None)
@given(trees(), st.booleans())
def test_a_tree_is_read_as_it_was_made_or_refused(tree: Tree, empty: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = grow(
            Path(folder),
            {path: f"{truth[1:]} {path.rpartition('/')[2]} {path}" for path, truth in tree.truth.items()},
        )
        grow(root, tree.junk)
        if empty:
            (root / min(tree.truth)).parent.joinpath("empty").mkdir()
        try:
            listing = check(list_text(f"folder:{folder}"))
        except DataError:
            event("refused")
            return
        event("read")
        assert {image.where for image in listing.images} == set(tree.truth)
        first_fold = min(
            (fold for fold, *_ in tree.truth.values() if fold), default=None, key=lambda name: name[-1]
        )
        for image in listing.images:
            fold, split, label, _ = tree.truth[image.where]
            assert comparable(image.labels[0]) == comparable(label)
            assert image.split == (split if fold == first_fold else None)
        folds = {fold for fold, *_ in tree.truth.values() if fold}
        has_val = any(split == "val" for _, split, *_ in tree.truth.values())
        no_splits = all(split is None for _, split, *_ in tree.truth.values())
        if folds and (has_val or no_splits):
            assert listing.folds is not None
            assert len(listing.folds) == len(folds)
        grouped = any(names for *_, names in tree.truth.values())
        assert any(note.startswith(RELATED) for note in listing.notes) == grouped


@settings(max_examples=30, deadline=None)
@given(trees())
def test_most_trees_are_read(tree: Tree) -> None:
    """Refused may be what another reading is possible of, but not plain splits above plain classes."""
    plain = {"benign", "malignant", "normal", "COVID-19", "no finding", "Lung_Opacity"}
    if not tree.exact or {label for _, _, label, _ in tree.truth.values()} - plain:
        return
    with tempfile.TemporaryDirectory() as folder:
        contents = {path: f"{truth} {path}" for path, truth in tree.truth.items()}
        check(list_text(f"folder:{grow(Path(folder), contents)}"))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.sampled_from(["A", "Mayo", "x1", "40X", "Augmented", "raw", "site 2", "CT", "7", "Zürich"]),
        min_size=2,
        max_size=4,
        unique=True,
    ),
    st.lists(
        st.sampled_from(["benign", "malignant", "Normal", "covid 19", "no finding"]),
        min_size=2,
        max_size=4,
        unique=True,
    ),
    st.data(),
)
def test_folders_that_hold_the_same_names_are_never_classes(
    tops: list[str], classes: list[str], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        missing = data.draw(st.sampled_from([None, *classes])) if len(classes) > 2 else None
        for place, top in enumerate(tops):
            for label in classes:
                if place or label != missing:
                    spelled = data.draw(st.sampled_from([label, label.upper(), label.title()]))
                    grow(Path(folder), [f"{top}/{spelled}/{n}.png" for n in range(2)])
        try:
            listing = list_text(f"folder:{folder}")
        except DataError as error:
            message = str(error)
            assert "\n" not in message
            assert "?subgroups=" in message or "?patients=above" in message
        else:
            raise AssertionError({image.labels for image in listing.images})
        named = check(list_text(f"folder:{folder}?subgroups=part"))
        assert {comparable(image.labels[0]) for image in named.images} == {*map(comparable, classes)}
        assert {image.subgroups["part"] for image in named.images} == {*tops}


@given(st.sampled_from(sorted(SPLIT_FORMS)), st.sampled_from(AROUND), st.data())
def test_a_word_names_its_split_inside_a_longer_name(split: str, around: str, data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(SPLIT_FORMS[split]))
    assert folder_split(around.format(data.draw(st.sampled_from([word, word.upper(), word.title()])))) == split
