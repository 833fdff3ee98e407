"""Read names in a source: which mean train, val, test or calibration, which a fold, and which classes are one."""

import re
import unicodedata
from collections.abc import Iterable

from medray.data.listing.listing import CALIBRATION, TEST, TRAIN, VAL

#: Names of split folders that are read as such wherever they stand.
SPLIT_NAMES = {
    "train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL,
    "test": TEST, "testing": TEST,
}  # fmt: skip
#: Words that name a split, also inside a longer name, if the folders beside it agree.
SPLIT_WORDS = {
    **SPLIT_NAMES, "trn": TRAIN, "tr": TRAIN, "trains": TRAIN, "va": VAL, "vali": VAL, "vld": VAL,
    "validate": VAL, "validating": VAL, "development": VAL, "eval": VAL, "evaluation": VAL, "tst": TEST,
    "te": TEST, "ts": TEST, "tests": TEST, "holdout": TEST, "heldout": TEST, "calibration": CALIBRATION,
    "calibrate": CALIBRATION, "calib": CALIBRATION, "cal": CALIBRATION,
}  # fmt: skip
_JOINED = {"trainval": (TRAIN, VAL), "traintest": (TRAIN, TEST), "valtest": (VAL, TEST)}
#: Words beside a split's that say nothing more.
_GENERIC = frozenset({
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "split", "splits", "folder",
    "dir", "part", "cohort", "samples", "cases", "files", "only", "the", "new",
})  # fmt: skip
_ENDING = re.compile(r"(?:set|sets|data|dataset|images?|imgs?|split|folder|dir|part)$")
_LETTERS_OR_DIGITS = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OF = r"(?:[ _-]*of[ _-]*[0-9]{1,9})?"
_FOLD = re.compile(
    rf"(?:cv|k)?[ _-]*fold[ _-]*(?:no\.?|nr\.?)?[ _-]*([0-9]{{1,9}}){_OF}"
    r"|([0-9]{1,9})(?:st|nd|rd|th)?[ _-]*fold",
    re.IGNORECASE,
)
_PERHAPS_FOLD = re.compile(
    rf"(?:cv|split|partition|cross[ _-]*val(?:idation)?)[ _-]*([0-9]{{1,9}}){_OF}", re.IGNORECASE
)


def split_named(name: str) -> str | None:
    """Return train, val or test for any usual name of it in upper or lower case, None for another word."""
    return SPLIT_NAMES.get(name.strip().lower())


def words_of(name: str) -> list[str]:
    """Return the words and numbers of a name in lower case.

    >>> words_of("chest-xray_TrainSet2017")
    ['chest', 'xray', 'train', 'set', '2017']
    """
    words: list[str] = []
    for part in _LETTERS_OR_DIGITS.findall(unicodedata.normalize("NFC", name)):
        whole_word = _ENDING.sub("", part.lower())
        keep = whole_word in SPLIT_WORDS or part.lower() in _JOINED
        words += [part] if keep else _CAMEL.sub(" ", part).split(" ")
    return [word.casefold() for word in words]


def splits_in(name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the splits that words of a name stand for, and its other words that are not about images or sets.

    >>> splits_in("seg_train"), splits_in("hold-out set")
    ((frozenset({'train'}), ('seg',)), (frozenset({'test'}), ()))
    """
    splits: set[str] = set()
    others: list[str] = []
    text = re.sub(r"(?i)(hold|held)[ _-]+out", r"\1out", name)
    for word in words_of(text):
        short = word if word in SPLIT_WORDS else _ENDING.sub("", word)
        if word in _JOINED:
            splits |= {*_JOINED[word]}
        elif short in SPLIT_WORDS:
            splits.add(SPLIT_WORDS[short])
        elif word not in _GENERIC and not word.isdigit():
            others.append(word)
    return frozenset(splits), tuple(others)


def folder_split(name: str) -> str | None:
    """Return the split of a folder that stands where those of splits do; None if no word or two words name one."""
    splits = splits_in(name)[0]
    return split_named(name) or (next(iter(splits)) if len(splits) == 1 else None)


def is_plain_split(name: str) -> bool:
    """Return whether a name says no more than that a folder is a split, such as test, Test set or testing_data."""
    splits, others = splits_in(name)
    usual = any(word in SPLIT_NAMES or _ENDING.sub("", word) in SPLIT_NAMES for word in words_of(name))
    return bool(splits) and not others and usual


def names_fold(name: str) -> bool:
    """Return whether a name says that a folder is a fold's, whatever it holds: it holds the word fold."""
    return _FOLD.fullmatch(name.strip()) is not None


def fold_number(name: str) -> int | None:
    """Return the number in a fold folder's name, such as Fold0, cv_1 or split 3; None for another name."""
    match = _FOLD.fullmatch(name.strip()) or _PERHAPS_FOLD.fullmatch(name.strip())
    return next(int(number) for number in match.groups() if number) if match else None


def tidy(name: str) -> str:
    """Return a class name without surrounding spaces and with composed accents (NFC)."""
    return unicodedata.normalize("NFC", name.strip())


def comparable(name: str) -> str:
    """Return a name in the form in which names are compared: tidy, in lower case."""
    return unicodedata.normalize("NFC", tidy(name).casefold())


def unify_spelling(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Map each tidy name to the first of those that differ only in case, and note which names that unites."""
    first: dict[str, str] = {}
    unified, notes = {}, []
    for name in dict.fromkeys(map(tidy, names)):
        unified[name] = first.setdefault(unicodedata.normalize("NFC", name.casefold()), name)
        if unified[name] != name:
            notes.append(f"classes '{unified[name]}' and '{name}' are one, '{unified[name]}'")
    return unified, notes
