"""Cells that are written to mean nothing: NA, nan and their like, and how a class of such a name is kept."""

from pathlib import Path

import pytest

from medray.data.labels import choose_labels
from medray.data.listing.list_source import list_source
from medray.data.listing.listing import BLANK, Listing
from medray.data.source import parse_source
from medray.init.naming import complete_source
from medray.space.preparation import Labels
from tests.data.listing.folders.folder_trees import check, grow, labels, list_text, refusal

TEXT = """image,label,split,patient,sex
1.png,sick,train,P1,none
2.png,NA,NaN,n/a,NA
3.png,well,null,None,f
4.png,na,N/A,P2,
5.png,None of these,,Nathan,nan
"""


def read(root: Path, text: str = TEXT, options: str = "") -> Listing:
    grow(root, {**{f"{n}.png": f"image {n}" for n in range(1, 6)}, "labels.csv": text})
    return check(list_text(f"csv:{root}/labels.csv{options}"))


def test_labels_splits_and_patients_may_be_written_as_not_there(tmp_path: Path) -> None:
    listing = read(tmp_path, options="?subgroups=sex")
    assert list(labels(listing).values()) == ["sick", "", "well", "", "None of these"]
    assert [image.split for image in listing.images] == ["train", None, None, None, None]
    assert [image.patient for image in listing.images] == ["P1", None, None, "P2", "Nathan"]
    assert [image.subgroups["sex"] for image in listing.images] == ["none", "NA", "f", "", "nan"]
    assert listing.rows[BLANK] == 2
    way = "; `?blank=` behind the source reads such a cell as a class"
    assert f"column 'label': read as blank: 'NA' (rows: 1), 'na' (rows: 1){way}" in listing.notes
    assert "column 'split': read as blank: 'NaN' (rows: 1), 'null' (rows: 1), 'N/A' (rows: 1)" in listing.notes
    assert "column 'patient': read as blank: 'n/a' (rows: 1), 'None' (rows: 1)" in listing.notes


def test_folds_too(tmp_path: Path) -> None:
    listing = read(tmp_path, "image,label,split,fold\n1.png,a,train,0\n2.png,b,train,1.0\n3.png,b,test,nan\n")
    assert listing.folds is not None
    assert len(listing.folds) == 2


def test_a_class_may_have_such_a_name(tmp_path: Path) -> None:
    text = "image,label\n1.png,None\n2.png,NA\n3.png,?\n4.png,a\n"
    assert list(labels(read(tmp_path, text, "?blank=")).values()) == ["None", "NA", "?", "a"]
    assert list(labels(read(tmp_path, text, "?blank=%3F, na")).values()) == ["None", "", "", "a"]
    assert not [note for note in read(tmp_path, text, "?blank=").notes if "blank" in note]


def test_a_refusal_of_blank_labels_says_how_to_keep_them(tmp_path: Path) -> None:
    more = "'none' is read as blank, `?blank=` behind the source reads it as a class"
    listing = read(tmp_path, "image,label\n1.png,none\n2.png,b\n3.png,a\n")
    refusal(lambda: choose_labels(listing, Labels()), "1 blank label (first: line 2)", more)
    assert "left out: 1 blank label (first: line 2)" in choose_labels(listing, Labels(blank="drop")).notes
    refusal(lambda: read(tmp_path, "image,label\n1.png,none\n2.png,b\n"), "one class only, 'b'", more)
    plain = read(tmp_path, "image,label\n1.png,\n2.png,b\n3.png,a\n")
    assert "read as blank" not in refusal(lambda: choose_labels(plain, Labels()), "1 blank label")


@pytest.mark.parametrize("options", ["", "?blank=", "?blank=unknown,%3F"])
def test_a_search_space_keeps_the_words(tmp_path: Path, options: str) -> None:
    grow(
        tmp_path,
        {"labels.csv": "image,label\n1.png,NA\n2.png,b\n3.png,a\n", "1.png": "1", "2.png": "2", "3.png": "3"},
    )
    source = f"csv:{tmp_path}/labels.csv{options}"
    assert labels(list_source(complete_source(parse_source(source))[0])) == labels(list_text(source))
