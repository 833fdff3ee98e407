"""What can go wrong, as one tree; each is shown to a person as one line.

MedrayError             anything a person can mend; `str(error)` is the whole message
├── ConfigError         a search space, a setting or an option
├── DataError           images, labels, splits, sources
│   └── LeakError       one image in two splits of a fold, as the folders lie
├── RunError            a run's folder: missing, taken, of other data, damaged
├── WeightsError        weights that are missing, damaged or of another network
└── TrainingDiverged    a loss that became NaN or exploded; ends its trial only
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class MedrayError(Exception):
    """Something that a person can mend; the message is one line."""


class ConfigError(MedrayError):
    """A search space, a setting or an option is wrong."""


class DataError(MedrayError):
    """Images, labels or splits can't be read or can't be used."""


class LeakError(DataError):
    """Folders have one image in two splits of a fold: which of them it should be in is not for us to guess."""


class RunError(MedrayError):
    """A run's folder is missing, taken, damaged, or belongs to other data."""


class WeightsError(MedrayError):
    """Weights are missing, damaged, or belong to another network."""


class TrainingDiverged(MedrayError):  # noqa: N818  the field's own word, not "DivergedError"
    """The loss became NaN or exploded."""


def nearest(word: object, valid: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the valid word nearest to `word`, or nothing."""
    lowered = {v.lower(): v for v in valid}
    close = get_close_matches(str(word).lower(), list(lowered), n=1, cutoff=0.6)
    return f" (did you mean '{lowered[close[0]]}'?)" if close else ""


def shown(text: str) -> str:
    """A name as it may stand in a message: on one line, and writable in any encoding that knows its letters."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def no_such(what: str, path: Path) -> str:
    """Return the one line for a path that is not there, with the neighbour of nearly that name."""
    try:
        beside = [one.name for one in path.parent.iterdir()]
    except (OSError, ValueError):  # or a name that no file can have
        beside = []
    return f"no such {what}: {shown(str(path))}{nearest(path.name, beside)}"


def unknown(what: str, word: object, valid: Iterable[str]) -> str:
    """Return the one line for a word that is not among the valid ones, which it lists."""
    valid = sorted(valid)
    return f"unknown {what} '{word}'{nearest(word, valid)}; valid: {', '.join(valid)}"


def one_line(error: BaseException, most: int = 200) -> str:
    """An error's message on one line."""
    return re.sub(r"\s+", " ", str(error)).strip()[:most] or type(error).__name__
