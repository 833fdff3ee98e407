"""Words in a table's cells that mean blank, yes, no or uncertain."""

import re
from functools import lru_cache

#: What a cell of a class's column may say.
POSITIVE, NEGATIVE, UNCERTAIN, UNSAID = ANSWERS = ("positive", "negative", "uncertain", "blank")
DEFAULT_BLANKS = frozenset({"na", "n/a", "nan", "null", "none"})
_WORDS = {
    POSITIVE: "1 true t yes y x + positive pos present ✓ ✔ ja oui si sí sim",
    NEGATIVE: "0 false f no n - negative neg absent nein non nee não nao",
    UNCERTAIN: "-1 uncertain u ? maybe equivocal unsure indeterminate possible unclear",
}
_NUMBER = re.compile(r"([+-]?)0*([0-9]+?)(?:[.,]([0-9]*?)0*)?", re.ASCII)
_DECIMALS = re.compile(r"(?<=[0-9])[.,]0+$")
_ANSWER = {word: answer for answer, words in _WORDS.items() for word in words.split()}


def plain_number(cell: str) -> str | None:
    """Return a number as it is written shortest, None for another word.

    A decimal comma is a point; a power of ten is another word.

    >>> [plain_number(cell) for cell in ("1.0", "007", "1,50", "-0", "1e3", "A1")]
    ['1', '7', '1.5', '0', None, None]
    """
    match = _NUMBER.fullmatch(cell)
    if not match:
        return None
    sign, whole, fraction = match.groups()
    number = f"{whole}.{fraction}" if fraction else whole
    return f"-{number}" if sign == "-" and number != "0" else number


def blank_words(option: str | None) -> frozenset[str]:
    """Return the case-folded words of blank cells: those of the comma-separated option, or the default ones.

    >>> sorted(blank_words("Unknown, -1.0")), blank_words("")
    (['-1', 'unknown'], frozenset())
    """
    if option is None:
        return DEFAULT_BLANKS
    return frozenset(_DECIMALS.sub("", word.strip().casefold()) for word in option.split(",") if word.strip())


def is_blank(cell: str, words: frozenset[str]) -> bool:
    """Return whether a cell is empty or one of the blank `words`; a number may end in .0 or ,0."""
    return not cell or _DECIMALS.sub("", cell.casefold()) in words


@lru_cache(maxsize=4096)
def read_answer(cell: str, blanks: frozenset[str]) -> str | None:
    """Return which of ANSWERS a cell gives, None for another word.

    >>> [read_answer(cell, DEFAULT_BLANKS) for cell in ("1.0", "No", "-1", "nan", "0.3")]
    ['positive', 'negative', 'uncertain', 'blank', None]
    """
    if is_blank(cell, blanks):
        return UNSAID
    word = cell.replace("\N{MINUS SIGN}", "-").casefold()
    return _ANSWER.get(plain_number(word) or word)


def read_share(cell: str) -> float | None:
    """Return the share from 0 to 1 that a cell holds as a decimal number, None if it is none."""
    number = plain_number(cell)
    share = float(number) if number is not None and len(number) < 30 else -1.0
    return share if 0 <= share <= 1 else None
