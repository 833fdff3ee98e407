"""Filters: what they choose, and that nothing in them is ever run."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.analyze.filtering import LONGEST, filter_rows
from medray.analyze.frame_view import FrameView
from medray.errors import ConfigError

FRAME = pd.DataFrame(
    {
        "trial": pd.array([0, 1, 2, 3], dtype="int64"),
        "backbone": pd.array(["lenet5", "resnet18", "lenet5", None], dtype="string"),
        "auc": pd.array([0.7, 0.9, 0.95, float("nan")], dtype="float64"),
        "patience": pd.array([3, None, 5, None], dtype="Int64"),
        "pretrained": pd.array([True, False, None, True], dtype="boolean"),
        "metric": pd.array(["auc"] * 4, dtype="string"),
        "objective": pd.array([0.7, 0.9, 0.95, float("nan")], dtype="float64"),
        "state": pd.array(["finished", "stopped", "failed", "running"], dtype="string"),
    }
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("auc > 0.8", [1, 2]),
        ("backbone == 'lenet5' and auc > 0.9", [2]),
        ("backbone == 'lenet5' or auc >= 0.9", [0, 1, 2]),
        ("not auc > 0.8", [0, 3]),
        ("0.8 < auc < 0.94", [1]),
        ("backbone in ['resnet18', 'vgg16']", [1]),
        ("backbone not in ['resnet18']", [0, 2, 3]),
        ("patience == None", [1, 3]),
        ("None != backbone", [0, 1, 2]),
        ("patience != 3", [2]),
        ("backbone != 'lenet5'", [1]),
        ("'lenet5' != backbone", [1]),
        ("auc != 0.9", [0, 2]),
        ("pretrained", [0, 3]),
        ("not pretrained", [1, 2]),
        ("(patience - 1) * 2 == -(-8)", [2]),
        ("trial / 2 >= 1", [2, 3]),
        (" auc>0.8 ", [1, 2]),
        ("1 == 1", [0, 1, 2, 3]),
    ],
)
def test_what_is_kept(text: str, kept: list[int]) -> None:
    assert filter_rows(FRAME, text)["trial"].tolist() == kept


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("@pd.io", "'@' is not allowed"),
        ("__import__('os').system('true') == 0", "a function call is not allowed"),
        ("auc.__class__ == 1", "an attribute is not allowed"),
        ("auc.max() > 0", "a function call is not allowed"),
        ("backbone[0] == 'l'", "an index is not allowed"),
        ("(lambda: 1)() == 1", "a function call is not allowed"),
        ("[x for x in auc] == 1", "is not allowed"),
        ("(auc := 1) == 1", "an assignment is not allowed"),
        ("f'{auc}' == 'x'", "an f-string is not allowed"),
        ("9 ** 9 ** 9 > auc", "is not allowed"),
        ("auc is None", "None can only be compared as COLUMN == None"),
        ("auc >", "can't be read"),
        ("import os", "can't be read"),
        ("auc > 1; auc", "can't be read"),
        ("acu > 1", "unknown column 'acu' (did you mean 'auc'?)"),
        ("backbone == lenet5", "'lenet5' is no column: write texts in quotes, 'lenet5'"),
        ("auc", "'auc' is no condition"),
        ("auc > 'x'", "can't be evaluated"),
        ("backbone > 1", "can't be evaluated"),
        ("auc + 'x' > 1", "can't be evaluated"),
        ("1 / 0 > auc", "can't be evaluated"),
        ("auc in 'x'", "is not COLUMN in [a, b]"),
        ("auc in [patience]", "is not COLUMN in [a, b]"),
        ("(auc > 0.8) == True", "'auc > 0.8' is not allowed here"),
        ("(" * 400 + ")" * 400, "can't be read"),
        ("auc > 0.1 and " * 90 + "auc > 0", f"longer than {LONGEST} characters"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        filter_rows(FRAME, text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


PIECES = [*FRAME.columns, "0.9", "'lenet5'", "[1, 'a']", "None", "(", ")", "and", "or", "not", "in", "==", "<", "!=",
          "+", "-", "*", "/", ".", "@", "lambda", ":", ",", "if", "else", "__class__", "[", "]", "{", "~", "1e999"]  # fmt: skip


@settings(max_examples=150)
@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join), st.text(max_size=30)))
def test_any_text_is_a_filter_or_one_line(text: str) -> None:
    said, kept = "--filter: ", FRAME
    try:
        kept = filter_rows(FRAME, text)
    except ConfigError as error:
        said = str(error)
    assert said.startswith("--filter: ")
    assert set(kept["trial"]) <= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("auc", [2, 1, 0, 3]),
        ("-auc", [0, 1, 2, 3]),
        ("patience", [0, 2, 1, 3]),
        ("-patience", [2, 0, 1, 3]),
        ("objective", [1, 0, 2, 3]),  # failed ones, and those without an epoch, at the end
        ("-objective", [0, 1, 2, 3]),
    ],
)
def test_order(sort: str, order: list[int]) -> None:
    assert FrameView(sort=sort).apply(FRAME)["trial"].tolist() == order


def test_columns_and_top() -> None:
    frame = FrameView(filter="auc > 0", sort="auc", columns="auc, trial", top=2).apply(FRAME)
    assert frame.to_dict("list") == {"auc": [0.95, 0.9], "trial": [2, 1]}
    with pytest.raises(ConfigError, match=r"--columns: unknown column 'bakbone' \(did you mean 'backbone'\?\)"):
        FrameView(columns="bakbone").apply(FRAME)
    with pytest.raises(ConfigError, match=r"--sort: unknown column 'acu' \(did you mean 'auc'\?\)"):
        FrameView(sort="acu").apply(FRAME)
    with pytest.raises(ConfigError, match="name at least one column"):
        FrameView(columns=" , ").apply(FRAME)
