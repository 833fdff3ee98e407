"""The study's name, the file's place, and the source as the file writes it."""

import re
from collections.abc import Mapping
from pathlib import Path

from medray.data.listing.list_source import KINDS, read_source
from medray.data.listing.table_blanks import blank_words
from medray.data.listing.table_columns import GUESSED, choose_columns
from medray.data.listing.table_text import read_table
from medray.errors import ConfigError, shown
from medray.files import expanded
from medray.space.shipped import shipped_spaces

SUFFIXES = (".yaml", ".yml")
LONGEST = 100
_SOUND = re.compile(r"\w[\w.-]*")
_RESERVED = re.compile(r"[%&?\x00-\x1f\x7f]")  # what options behind a path can't hold as it is


def check_name(name: str) -> str:
    """Return a study's name, which names its file and its run's folder.

    Raises:
        ConfigError: it is no sound file name, is a file's, or is that of a space that ships with medray.
    """
    stem = name.removesuffix(Path(name).suffix) if Path(name).suffix in SUFFIXES else name
    better = re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:LONGEST]
    hint = f" (did you mean '{better}'?)" if better else ""
    if stem != name:
        raise ConfigError(f"'{shown(name)}' is a file, not a name{hint}; --out says where the file lies")
    if len(name) > LONGEST or not _SOUND.fullmatch(name):
        allowed = f"valid: at most {LONGEST} letters, digits and any of - _ . and no - or . at the start"
        raise ConfigError(f"'{shown(name)}' is no sound name{hint}; {allowed}")
    if name in shipped_spaces():
        raise ConfigError(
            f"'{name}' is a search space that ships with medray: choose another name, or "
            f"`medray search {name} --data SOURCE`"
        )
    return name


def space_path(name: str, out: str | None) -> Path:
    """Return the file to be written, NAME.yaml or `out`.

    Raises:
        ConfigError: it is there already, or its name does not end as a search space's does.
    """
    path = expanded(out) if out else Path(f"{name}.yaml")
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"--out {shown(str(path))}: must end in .yaml (did you mean '{path.stem}.yaml'?)")
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{shown(str(path))} is there already; choose another by --out, or delete it")
    return path


def spelled(source: str) -> tuple[str, Mapping[str, str]]:
    """Return a source that can be opened with its path absolute, and the table's columns that were guessed.

    What was guessed is named, so that the file says what is used; a link in the path stays one.
    """
    if source.endswith(".npz"):
        return str(expanded(source).absolute()), {}
    kind, mark, more = source.partition("?")
    if kind == "phantom":
        return f"phantom:organs{mark}{more}", {}  # `phantom` alone means the one of the search space's name
    if source.partition(":")[0] not in KINDS:
        return source, {}
    kind, path, options = read_source(source)
    guessed = {}
    if kind == "csv":
        columns = choose_columns(read_table(path), blank_words(options)[0])
        found = {own: getattr(columns, own) for own in GUESSED if own not in options}
        guessed = {own: column for own, column in found.items() if column}
    named = "&".join(f"{own}={_RESERVED.sub(_escaped, text)}" for own, text in {**options, **guessed}.items())
    return f"{kind}:{path.absolute()}{'?' + named if named else ''}", guessed


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
