"""Read the word by which a table's row names its split."""

import re
from functools import lru_cache

from medray.data.listing.folder_names import split_named
from medray.data.listing.listing import CALIBRATION, TEST, TRAIN, VAL
from medray.data.source import escaped
from medray.text import natural_order

#: Words of a split column besides those that folders of splits are called by.
TABLE_SPLITS = {
    "trn": TRAIN, "tr": TRAIN, "development": VAL, "valset": VAL, "holdout": TEST, "heldout": TEST, "tst": TEST,
    "te": TEST, "calibration": CALIBRATION, "calib": CALIBRATION, "calibrate": CALIBRATION, "cal": CALIBRATION,
}  # fmt: skip
VALID = "train, training, val, valid, validation, dev, test, testing, holdout, calibration"
_ENDING = re.compile(r"[ _-]*(?:split|set|data|dataset|images|cohort)$")


@lru_cache(maxsize=4096)
def table_split(cell: str) -> str | None:
    """Return train, val, test or calibration for any usual word of it, None for another word.

    >>> [table_split(cell) for cell in ("Training set", "hold-out", "calib", "left")]
    ['train', 'test', 'calibration', None]
    """
    word = cell.strip().lower()
    short = _ENDING.sub("", word)
    for name in (word, short, re.sub(r"[ _-]", "", short)):
        split = split_named(name) or TABLE_SPLITS.get(name)
        if split:
            return split
    return None


def looks_like(cells: set[str], column: str) -> str:
    """Return the end of a refusal's line: what a column that names other words than splits looks like."""
    filled = {cell.lower() for cell in cells if cell}
    if filled and all(re.fullmatch(r"[0-9]{1,3}(\.0)?", cell) for cell in filled):
        numbers = ", ".join(natural_order(filled)[:5])
        return (
            f"; its numbers ({numbers}) may be folds: `?split=&fold={escaped(column)}` behind the source "
            "reads them so, else write a word in place of each"
        )
    if filled <= {"true", "false", "yes", "no", "y", "n", "t", "f"}:
        return "; it looks like yes and no: write a word such as train or test in place of each"
    return "; `?split=` behind the source leaves the column out"
