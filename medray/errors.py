"""The errors of medray as one tree; each is shown to a person as one line, `file: key: problem`.

MedrayError             anything a person can correct
├── ConfigError         a search space, a setting or an option
├── DataError           images, labels, splits, sources
│   ├── LeakError       one image in two splits of a fold
│   └── SideCarError    masks, overlays and the like among images
├── RunError            a run's folder: missing, locked, of other data, damaged
│   └── TooShortError   hours in which no trial of a search can reach its first rung
├── WeightsError        weights that are missing, damaged or of another network
└── TrainingDiverged    a loss that became NaN or exploded; ends its trial only
"""

import copyreg
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from medray.text import natural_order


class MedrayError(Exception):
    """Something that a person can correct.

    `problem` is one sentence, `file` and `key` say where it is, as far as known: a file or a source of data, and a
    dotted key such as `space.optimizer.choice[1]`. `str()` makes the line of the three.
    """

    def __init__(self, problem: str, *, file: str | Path | None = None, key: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.file = None if file is None else str(file)
        self.key = key

    def __str__(self) -> str:
        key = None if self.key is None else printable(self.key)  # a key of a file may be any text
        return ": ".join(part for part in (self.file, key, self.problem) if part)

    def within(self, *, file: str | Path | None = None, key: str | None = None) -> Self:
        """Return this error itself, now with `file` and `key` put in front of its own key.

        Where it names a file already, its whole line becomes the problem at the outer place.

        >>> str(ConfigError("is empty", key="choice").within(file="organs.yaml", key="space.optimizer"))
        'organs.yaml: space.optimizer.choice: is empty'
        """
        if self.file is not None:
            self.problem, self.file, self.key = str(self), None, None
        if file is not None:
            self.file = str(file)
        if key is not None:
            separator = "" if self.key is None or self.key.startswith("[") else "."
            self.key = f"{key}{separator}{self.key or ''}"
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without calling `__init__`, whose arguments differ between the classes."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class ConfigError(MedrayError):
    """A search space, a setting or an option is wrong."""


class DataError(MedrayError):
    """Images, labels or splits can't be read or can't be used."""


class LeakError(DataError):
    """Folders hold one image in two splits of a fold; which of them is right is not for medray to guess."""


class SideCarError(DataError):
    """Masks, overlays, annotations or thumbnails lie among the images that they were made from.

    `exclude` is the value of the option that leaves out all `count` of them, empty where none does; `example` is
    the path of the first.
    """

    def __init__(self, problem: str, *, exclude: str = "", count: int = 0, example: str = "") -> None:
        super().__init__(problem)
        self.exclude, self.count, self.example = exclude, count, example


class RunError(MedrayError):
    """A run's folder is missing, locked, damaged, or belongs to other data."""


class TooShortError(RunError):
    """No trial of a search has time, of the hours `given`: for the reason `why`; `least` hours are enough.

    The line gives the way out of `medray search`; other commands tell theirs by `told`.
    """

    def __init__(self, given: float, why: str, least: float) -> None:
        self.given, self.why, self.least = given, why, least
        super().__init__(self.told(f"go on with --resume --hours {least:g} or more").problem)

    def told(self, way_out: str, whose: str = "") -> RunError:
        """Return the error with another way out, and `whose` hours they are."""
        return RunError(f"{self.given:g} hours{whose} are too short for a single trial: {self.why}; {way_out}")


class WeightsError(MedrayError):
    """Weights are missing, damaged, or belong to another network."""


class TrainingDiverged(MedrayError):  # noqa: N818  the field's own word, not "DivergedError"
    """The loss became NaN or exploded."""


def nearest(word: object, valid: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the valid word nearest to `word`, or an empty string."""
    lowered = {v.lower(): v for v in valid}
    close = get_close_matches(str(word).lower(), list(lowered), n=1, cutoff=0.6)
    return f" (did you mean '{lowered[close[0]]}'?)" if close else ""


def printable(text: str) -> str:
    """Return `text` fit for one line of a message: line ends, control characters and lone surrogates escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def not_found_line(kind: str, path: Path) -> str:
    """Return the line for a path that does not exist, with the sibling whose name is nearest."""
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except (OSError, ValueError):  # ValueError: a name that no file can have
        siblings = []
    return f"no such {kind}: {printable(str(path))}{nearest(path.name, siblings)}"


def unknown_choice_line(kind: str, word: object, valid: Iterable[str]) -> str:
    """Return the line for a word that is not among the `valid` ones, with the nearest and all of them."""
    valid = natural_order(valid)
    return f"unknown {kind} '{printable(str(word))}'{nearest(word, valid)}; valid: {', '.join(valid)}"


def os_error_line(error: OSError, location: str) -> str:
    """Return the line for a file or folder that failed: the one that the error names, or else `location`."""
    return f"{printable(str(error.filename or location))}: {error.strerror or one_line(error)}"


def one_line(error: BaseException, limit: int = 200) -> str:
    """Return an error's message on one line of at most `limit` characters, or its type's name if it has none."""
    return re.sub(r"\s+", " ", str(error)).strip()[:limit] or type(error).__name__
