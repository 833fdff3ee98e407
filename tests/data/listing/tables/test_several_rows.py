"""Several rows of one image: readers who differ, findings one below the other, boxes."""

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.labels import choose_labels
from medray.data.listing.listing import Listing
from medray.errors import DataError
from medray.space.preparation import Labels
from tests.data.listing.folders.folder_trees import check, grow, list_text, refusal

CLASSES = ["c0", "c1", "c2", "c10"]
READERS = """
    image,reader,label
    1.png,R1,a
    2.png,R1,b
    1.png,R2,b
    2.png,R2,b
    1.png,R3,a
    3.png,R1,a
"""


def read(root: Path, text: str, option: str = "") -> Listing:
    lines = [line.strip() for line in text.strip().splitlines()]
    files = {cell: cell for line in lines[1:] if (cell := line.split(",")[0]).endswith(".png")}
    grow(root, {**files, "t.csv": "\n".join(lines)})
    return check(list_text(f"csv:{root}/t.csv{option}"))


def by_image(listing: Listing) -> dict[str, tuple[str, ...]]:
    return {image.path.name: image.labels for image in listing.images}


def as_table(votes: Sequence[tuple[int, int]]) -> str:
    return "\n".join(["image,label", *(f"{image}.png,{CLASSES[label]}" for image, label in votes)])


votes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=25)
TWO = [(100, 0), (101, 1)]  # images of one row each, so that there are two classes


@settings(max_examples=60, deadline=None)
@given(votes, st.randoms(use_true_random=False))
def test_a_majority_is_the_most_frequent_label_in_any_order(
    drawn: list[tuple[int, int]], rng: random.Random
) -> None:
    counts = {image: np.bincount([v for i, v in drawn if i == image], minlength=4) for image, _ in drawn}
    tied = {image for image, count in counts.items() if (count == count.max()).sum() > 1}
    shuffled = rng.sample([*drawn, *TWO], len(drawn) + 2)
    with tempfile.TemporaryDirectory() as folder:
        if tied:
            with pytest.raises(DataError, match=rf"{len(tied)} images? without a majority .*`\?rows=first`"):
                read(Path(folder), as_table(shuffled), "?rows=majority")
            return
        listing = read(Path(folder), as_table(shuffled), "?rows=majority")
    truth = {f"{image}.png": (CLASSES[count.argmax()],) for image, count in counts.items()}
    assert by_image(listing) == truth | {"100.png": ("c0",), "101.png": ("c1",)}


@settings(max_examples=40, deadline=None)
@given(votes)
def test_first_and_all_are_what_they_say(drawn: list[tuple[int, int]]) -> None:
    text = as_table([*drawn, *TWO])
    with tempfile.TemporaryDirectory() as folder:
        first, every = (by_image(read(Path(folder) / rule, text, f"?rows={rule}")) for rule in ("first", "all"))
    for image in {image for image, _ in drawn}:
        labels = [CLASSES[label] for i, label in drawn if i == image]
        assert first[f"{image}.png"] == (labels[0],)
        assert every[f"{image}.png"] == tuple(dict.fromkeys(labels))


@settings(max_examples=40, deadline=None)
@given(votes)
def test_without_a_rule_rows_that_differ_are_counted_and_refused(drawn: list[tuple[int, int]]) -> None:
    answers = Counter(image for image, _ in {*drawn})
    differing = sum(count > 1 for count in answers.values())
    with tempfile.TemporaryDirectory() as folder:
        if differing:
            with pytest.raises(DataError, match=rf"images with such rows: {differing}\).*`\?rows=majority`"):
                read(Path(folder), as_table([*drawn, *TWO]))
        else:
            assert len(read(Path(folder), as_table([*drawn, *TWO]))) == len(answers) + 2


def test_readers_are_named_and_counted(tmp_path: Path) -> None:
    line = (
        "lines 2 and 4 name one image, '1.png', with different labels: 'a' and 'b' (images with such rows: 1); "
        "column 'reader' looks like that of several readers; `?rows=majority` behind the source takes the label of "
        "most rows, `first` that of the first row, `all` all labels"
    )
    refusal(lambda: read(tmp_path / "x", READERS), line)
    listing = read(tmp_path / "y", READERS, "?rows=majority")
    assert by_image(listing) == {"1.png": ("a",), "2.png": ("b",), "3.png": ("a",)}
    note = (
        "rows: 2 images with several rows, 1 of them with different labels: the label of most rows ('1.png', lines "
        "2, 4 and 6: 'a')"
    )
    assert note in listing.notes


@pytest.mark.parametrize("name", ["rad_id", "Radiologist", "annotatorID", "Grader", "expert readers", "doctor"])
def test_columns_of_readers(tmp_path: Path, name: str) -> None:
    refusal(lambda: read(tmp_path, READERS.replace("reader", name)), f"column '{name}' looks like that of several")


@pytest.mark.parametrize("name", ["grade", "radius", "thread", "note"])
def test_columns_of_others(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, READERS.replace("reader", name))
    assert "looks like" not in str(caught.value)


def test_a_tie_is_refused_with_its_lines(tmp_path: Path) -> None:
    text = "image,label\n1.png,a\n2.png,b\n1.png,b\n3.png,a\n3.png,b\n3.png,c\n"
    refusal(
        lambda: read(tmp_path, text, "?rows=majority"),
        "2 images without a majority among the rows (first: lines 2 and 4 name '1.png': 'a' (1), 'b' (1)); "
        "`?rows=first` behind the source takes the first row's label, `?rows=all` all of them, so that `labels: "
        "{multiple: drop}` leaves such images out",
    )
    labelled = choose_labels(read(tmp_path, text + "4.png,a\n", "?rows=all"), Labels(multiple="drop"))
    assert len(labelled.labels) == 2


def test_findings_in_rows_of_their_own(tmp_path: Path) -> None:
    text = """
        image_id,class_name,rad_id,x_min
        1.png,Mass,R8,10
        1.png,Nodule,R8,20
        1.png,Mass,R9,11
        2.png,No finding,R9,
        2.png,No finding,R8,
    """
    assert by_image(read(tmp_path, text, "?rows=all")) == {"1.png": ("Mass", "Nodule"), "2.png": ("No finding",)}


def test_boxes_of_one_label_agree(tmp_path: Path) -> None:
    text = "patientId,x,width,Target\n1.png,1.5,20,1\n1.png,60,30,1\n2.png,,,0\n"
    listing = read(tmp_path, text, "?image=patientId")
    assert by_image(listing) == {"1.png": ("1",), "2.png": ("0",)}


def test_blanks_and_several_labels_of_a_row_are_votes(tmp_path: Path) -> None:
    text = """
        image,label
        1.png,b;a
        1.png,a;b
        1.png,a
        2.png,
        2.png,
        2.png,b
        3.png,b
    """
    majority = by_image(read(tmp_path, text, "?rows=majority"))
    assert majority == {"1.png": ("b", "a"), "2.png": (), "3.png": ("b",)}
    assert by_image(read(tmp_path, text, "?rows=all")) == {"1.png": ("b", "a"), "2.png": ("b",), "3.png": ("b",)}


@pytest.mark.parametrize("rule", ["majority", "first", "all"])
@pytest.mark.parametrize(
    ("second", "difference"),
    [
        ("b,test,p,m", "different split: 'train' and 'test'"),
        ("b,train,q,m", "different patient: 'p' and 'q'"),
        ("b,train,p,f", "different subgroups: sex 'm' and sex 'f'"),
    ],
)
def test_all_but_labels_must_be_equal(tmp_path: Path, rule: str, second: str, difference: str) -> None:
    text = f"image,label,split,patient,sex\n1.png,a,train,p,m\n2.png,b,train,p,m\n1.png,{second}\n"
    line = "lines 2 and 4 name one image, '1.png'"
    refusal(lambda: read(tmp_path, text, f"?rows={rule}&subgroups=sex"), line, difference)


def test_a_column_for_each_class(tmp_path: Path) -> None:
    text = "image,mass,nodule\n1.png,1,0\n1.png,1,0\n1.png,0,1\n2.png,0,1\n"
    assert by_image(read(tmp_path, text, "?rows=majority")) == {"1.png": ("mass",), "2.png": ("nodule",)}
    assert by_image(read(tmp_path, text, "?rows=all"))["1.png"] == ("mass", "nodule")


def test_columns_of_readers_are_no_classes(tmp_path: Path) -> None:
    text = "image,reader1,reader2\n1.png,1,0\n2.png,0,1\n"
    refusal(
        lambda: read(tmp_path, text), "columns 'reader1', 'reader2' look like the answers of readers", "`?label=`"
    )
    assert by_image(read(tmp_path / "x", text, "?label=reader2")) == {"1.png": ("0",), "2.png": ("1",)}


def test_rows_without_a_file_do_not_vote_and_other_rules_are_refused(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label\n1.png,a\n2.png,b\ngone,a\ngone,b\n")
    assert len(listing.missing) == 2
    refusal(
        lambda: read(tmp_path, READERS, "?rows=most"), "option 'rows': unknown rule 'most'", "all, first, majority"
    )
