"""The step of a study that comes first: its search space, which is there or is written for the data."""

from pathlib import Path

from rich.console import Console

from medray.errors import ConfigError, nearest
from medray.init.init_command import begin
from medray.init.naming import SUFFIXES, check_name
from medray.space.loading import load_space
from medray.space.search_space import SearchSpace
from medray.space.shipped import shipped_spaces
from medray.study.steps.study_options import StudyOptions


def find_or_write_space(options: StudyOptions, console: Console) -> tuple[str, str]:
    """Return the search space of a study, by name or path, and a line about it; a new one is written.

    Raises:
        ConfigError: the name is none, or there is neither a space nor data to write one for.
        MedrayError: no space can be written for the data.
    """
    if options.name in shipped_spaces() or Path(options.name).suffix in SUFFIXES:
        return options.name, str(_with_objective(options.name, options.metric).path)
    path = Path(f"{check_name(options.name)}.yaml")
    if path.is_file():
        _with_objective(str(path), options.metric)
        return str(path), f"{path}, which was there"
    if options.data is None:
        hint = nearest(options.name, [*shipped_spaces(), *(file.stem for file in Path().glob("*.yaml"))])
        raise ConfigError(
            f"'{options.name}' is no search space of medray's{hint}, and there is no {path}: --data SOURCE writes "
            "one for your images"
        )
    begin(options.name, options.data, None, console, missing=options.missing, metric=options.metric, hints=False)
    return str(path), f"{path} is written; each of its lines has a reason"


def _with_objective(name: str, metric: str | None) -> SearchSpace:
    """Return a search space whose objective is `metric`, if that was asked for.

    Raises:
        ConfigError: it is another one.
    """
    space = load_space(name)
    if metric not in (None, space.metric):
        raise ConfigError(
            f"--metric {metric}: {space.path} has the objective {space.metric}; change `objective` there, "
            "in a copy of another name where there is a run already, or leave --metric out"
        )
    return space
