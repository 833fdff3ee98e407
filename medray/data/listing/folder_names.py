"""Read names in a source: which mean train, val or test, which a fold, and which classes are one."""

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
    """Return train, val or test for any usual name of it in upper or lower case, None for another word."""
    return SPLIT_NAMES.get(name.strip().lower())


def fold_number(name: str) -> int | None:
    """Return the number in a fold folder's name, such as Fold0, fold_1 or Fold 3; None for another name."""
    match = _FOLD.fullmatch(name.strip())
    return int(match[1]) if match else None


def tidy(name: str) -> str:
    """Return a class name without surrounding spaces and with composed accents (NFC)."""
    return unicodedata.normalize("NFC", name.strip())


def unify_spelling(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Map each tidy name to the first of those that differ only in case, and note which names that unites."""
    first: dict[str, str] = {}
    unified, notes = {}, []
    for name in dict.fromkeys(map(tidy, names)):
        unified[name] = first.setdefault(unicodedata.normalize("NFC", name.casefold()), name)
        if unified[name] != name:
            notes.append(f"classes '{unified[name]}' and '{name}' are one, '{unified[name]}'")
    return unified, notes
