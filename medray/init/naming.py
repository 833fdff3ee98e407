"""Check the study's name and the path of its file, and complete the source for it."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medray.data.listing.tables.column_names import find_columns
from medray.data.listing.tables.columns import choose_columns
from medray.data.listing.tables.row_labels import separator_used
from medray.data.listing.tables.table_text import read_table
from medray.data.source import CSV, GUESSED_COLUMNS, LABEL, PHANTOM, SEPARATOR, Source
from medray.errors import ConfigError, printable
from medray.files import expanded
from medray.space.shipped import shipped_spaces

SUFFIXES = (".yaml", ".yml")
LONGEST = 100
_VALID = re.compile(r"\w[\w.-]*")


def check_name(name: str) -> str:
    """Return a study's name, which its file and the folder of its run get.

    Raises:
        ConfigError: it can't name a file, has a file's suffix, or is the name of a search space of medray's own.
    """
    stem = name.removesuffix(Path(name).suffix) if Path(name).suffix in SUFFIXES else name
    better = re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:LONGEST]
    hint = f" (did you mean '{better}'?)" if better else ""
    if stem != name:
        raise ConfigError(f"'{printable(name)}' is a file, not a name{hint}; --out sets the file")
    if len(name) > LONGEST or not _VALID.fullmatch(name):
        allowed = f"valid: at most {LONGEST} letters, digits and any of - _ . and no - or . at the start"
        raise ConfigError(f"'{printable(name)}' is not a valid name{hint}; {allowed}")
    if name in shipped_spaces():
        raise ConfigError(
            f"'{name}' is a search space that ships with medray: choose another name, or "
            f"`medray search {name} --data SOURCE`"
        )
    return name


def space_path(name: str, out: str | None) -> Path:
    """Return the file to write, NAME.yaml or `out`.

    Raises:
        ConfigError: it exists already, or its suffix is not .yaml or .yml.
    """
    path = expanded(out) if out else Path(f"{name}.yaml")
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"--out {printable(str(path))}: must end in .yaml (did you mean '{path.stem}.yaml'?)")
    if os.path.lexists(path):  # a link that leads nowhere, too; Path's own raise for a name that is too long
        raise ConfigError(f"{printable(str(path))} exists already; choose another by --out, or delete it")
    return path


def complete_source(source: Source) -> tuple[Source, Mapping[str, str]]:
    """Return the source with an absolute path and what its table suggests, and the columns among that.

    That is the columns of each kind, those of the classes, and the separator of several labels.

    The file then names all that is used; a symbolic link in the path is kept.
    """
    if source.kind == PHANTOM and not source.name:
        return replace(source, name="organs"), {}  # alone it means the one of the search space's name
    if source.kind != CSV:
        return source.absolute(), {}
    table = read_table(source.path)
    columns = choose_columns(table, source.options)
    missing = {name: getattr(columns, name) for name in GUESSED_COLUMNS if name not in source.options}
    guessed = {name: column for name, column in missing.items() if column}
    classes = ",".join(columns.one_hot)
    if classes and not source.options.get(LABEL) and find_columns(table, classes) == columns.one_hot:
        guessed[LABEL] = classes
    separator = separator_used(table, columns, source.options)
    settled = {SEPARATOR: separator} if separator else {}
    return replace(source.absolute(), options={**source.options, **guessed, **settled}), guessed
