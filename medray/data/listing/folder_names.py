"""Names that a source gives: what means train, val or test, what a fold's folder, and which classes are one."""

import re
import unicodedata
from collections.abc import Iterable

from medray.data.listing.listing import TEST, TRAIN, VAL

SPLIT_NAMES = {
    "train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL,
    "test": TEST, "testing": TEST,
}  # fmt: skip
_FOLD = re.compile(r"fold[ _-]*([0-9]{1,9})", re.IGNORECASE)


def split_named(name: str) -> str | None:
    """train, val or test, for any usual name of it in upper or lower case; None for another word."""
    return SPLIT_NAMES.get(name.strip().lower())


def fold_number(name: str) -> int | None:
    """The number in a fold folder's name, such as Fold0, fold_1 or Fold 3; None for another name."""
    found = _FOLD.fullmatch(name.strip())
    return int(found[1]) if found else None


def tidy(name: str) -> str:
    """A class name without spaces around it and in one way of writing accents (NFC)."""
    return unicodedata.normalize("NFC", name.strip())


def one_spelling(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Map each tidy name to the first among those that differ only in case, and say of which that is so."""
    first: dict[str, str] = {}
    found, notes = {}, []
    for name in dict.fromkeys(map(tidy, names)):
        found[name] = first.setdefault(unicodedata.normalize("NFC", name.casefold()), name)
        if found[name] != name:
            notes.append(f"classes '{found[name]}' and '{name}' are one, '{found[name]}'")
    return found, notes
