"""The study's name, the file's place, and the source as the file writes it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medray.data.listing.table_columns import choose_columns
from medray.data.listing.table_text import read_table
from medray.data.source import CSV, GUESSED_COLUMNS, PHANTOM, Source
from medray.errors import ConfigError, printable
from medray.files import expanded
from medray.space.shipped import shipped_spaces

SUFFIXES = (".yaml", ".yml")
LONGEST = 100
_SOUND = re.compile(r"\w[\w.-]*")


def check_name(name: str) -> str:
    """Return a study's name, which names its file and its run's folder.

    Raises:
        ConfigError: it is no sound file name, is a file's, or is that of a space that ships with medray.
    """
    stem = name.removesuffix(Path(name).suffix) if Path(name).suffix in SUFFIXES else name
    better = re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:LONGEST]
    hint = f" (did you mean '{better}'?)" if better else ""
    if stem != name:
        raise ConfigError(f"'{printable(name)}' is a file, not a name{hint}; --out says where the file lies")
    if len(name) > LONGEST or not _SOUND.fullmatch(name):
        allowed = f"valid: at most {LONGEST} letters, digits and any of - _ . and no - or . at the start"
        raise ConfigError(f"'{printable(name)}' is no sound name{hint}; {allowed}")
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
        raise ConfigError(f"--out {printable(str(path))}: must end in .yaml (did you mean '{path.stem}.yaml'?)")
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{printable(str(path))} is there already; choose another by --out, or delete it")
    return path


def spelled(source: Source) -> tuple[Source, Mapping[str, str]]:
    """Return a source that can be opened with its path absolute, and the table's columns that were guessed.

    What was guessed is named, so that the file says what is used; a link in the path stays one.
    """
    if source.kind == PHANTOM and not source.name:
        return replace(source, name="organs"), {}  # `phantom` alone means the one of the search space's name
    if source.kind != CSV:
        return source.absolute(), {}
    columns = choose_columns(read_table(source.path), source.options)
    missing = {name: getattr(columns, name) for name in GUESSED_COLUMNS if name not in source.options}
    guessed = {name: column for name, column in missing.items() if column}
    return replace(source.absolute(), options={**source.options, **guessed}), guessed
