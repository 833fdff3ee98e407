"""Facts from the paths of files: their folder, the pattern, length and number of their names.

Words that name a class, or begin as one does, are taken out first, of all names alike: a file in `covid/`, or
called `COVID-12.png`, says what its label says, and nothing more.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from medray._types import Array
from medray.data.listing.folder_names import fold_number, split_named

_WORDS = re.compile(r"[^\W\d_]+")
_TOKENS = re.compile(r"[^\W\d_]+|\d+")
_HEX = re.compile(
    r"(?<![a-z0-9])(?=[a-f]*\d)[0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]*)(?![a-z0-9])"
)
_NUMBERS = re.compile(r"\d+")
LEAST_BEGINNING = 3  # letters of a class name by which a longer word begins, as `bacterial` does
MOSTLY = 0.9  # of names that have a number, and of numbers that are in one name only
MOST_DIGITS = 15
SEPARATORS = " _-.,;"


def folder_names(paths: Sequence[str], class_names: Sequence[str]) -> Array:
    """Return the folder of each path (m,), as text without the folders of splits, folds and classes."""
    clear, memory = ClassWords(class_names), dict[str, str]()
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder not in memory:
            parts = folder.split("/")
            kept = [clear(part) for part in parts if not split_named(part) and fold_number(part) is None]
            memory[folder] = "/".join(part for part in kept if part)
    return np.array([memory[path.rpartition("/")[0]] for path in paths])


def name_patterns(paths: Sequence[str], class_names: Sequence[str]) -> Array:
    """Return the pattern of each file's name (m,), as text: `#` for digits, and no words of the classes."""
    clear = ClassWords(class_names)
    return np.array([_NUMBERS.sub("#", clear(_HEX.sub("#", _stem(path)))) for path in paths])


def name_lengths(paths: Sequence[str], class_names: Sequence[str]) -> Array | None:
    """Return the length of each file's name without words of the classes, float64 (m,).

    None where files are numbered anew in each class or folder: then the length says how many files there are.
    """
    if is_numbered_anew(_longest_numbers(paths)):
        return None
    clear = ClassWords(class_names)
    return np.array([len(clear(_stem(path))) for path in paths], dtype=float)


def name_numbers(paths: Sequence[str], labels: Sequence[tuple[str, ...]]) -> Array | None:
    """Return the longest number in each file's name, float64 (m,), NaN where there is none.

    None where few names have one, or files are numbered anew in each class or folder, or one class after another
    by their `labels` (m,): then the number says who sorted the files, and not where they come from.
    """
    numbers = _longest_numbers(paths)
    known = np.flatnonzero(np.isfinite(numbers))
    if len(known) < MOSTLY * len(paths) or is_numbered_anew(numbers):
        return None
    in_order = [labels[image] for image in known[np.argsort(numbers[known], kind="stable")].tolist()]
    runs = 1 + sum(first != second for first, second in pairwise(in_order))
    return None if runs == len(set(in_order)) else numbers


def is_numbered_anew(numbers: Array) -> bool:
    """Return whether too many of the numbers (m,) in names stand in other names too, so that they are no count."""
    known = numbers[np.isfinite(numbers)]
    return len(np.unique(known)) < MOSTLY * len(known)


def _longest_numbers(paths: Sequence[str]) -> Array:
    """Return the last of the longest numbers in each name, float64 (m,), NaN where there is none."""
    longest = [max(reversed(_NUMBERS.findall(_stem(path))), key=len, default="") for path in paths]
    return np.array([float(n) if 0 < len(n) <= MOST_DIGITS else np.nan for n in longest])


class ClassWords:
    """Takes the words of class names out of a text: `ClassWords(["COVID-19"])("covid19_siemens")` is `siemens`.

    A name goes with its digits however it is joined, then every word that begins a word of a name, or begins with
    one. What is left is in lower case, without separators around it.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        names = [_TOKENS.findall(name.lower()) for name in class_names]
        self.words = frozenset(token for tokens in names for token in tokens if not token.isdigit())
        lettered = [
            tokens for tokens in names if sum(map(len, tokens)) >= LEAST_BEGINNING and self.words & {*tokens}
        ]
        joined = [r"[\W_]*".join(map(re.escape, tokens)) for tokens in lettered]
        longest_first = "|".join(sorted(joined, key=len, reverse=True)) or "(?!)"
        self.names = re.compile(rf"(?<![^\W\d_])(?:{longest_first})(?:[^\W\d_]+|(?!\d)|(?<!\d))")

    def __call__(self, text: str) -> str:
        """Return the text without the words, in lower case."""
        return _WORDS.sub(self._without, self.names.sub(" ", text.lower())).strip(SEPARATORS)

    def _without(self, match: re.Match[str]) -> str:
        word = match[0]
        names = any(w.startswith(word) or (len(w) >= LEAST_BEGINNING and word.startswith(w)) for w in self.words)
        return "" if names else word


def _stem(path: str) -> str:
    base = path.rpartition("/")[2].lower()
    stem, dot, suffix = base.rpartition(".")
    return stem if dot and stem and len(suffix) <= 5 else base
