"""From a run to its report/index.html."""

from dataclasses import dataclass

from rich.console import Console

from medray.analyze.open_runs import SeenRun, open_runs
from medray.analyze.summary import summarise
from medray.console import step
from medray.errors import RunError
from medray.files import expanded, write_file
from medray.report.evidence import Evidence
from medray.report.image_album import LEFT_OUT, Album, open_album
from medray.report.outline import compose
from medray.report.page import render

FOLDER, FILE = "report", "index.html"


@dataclass(frozen=True)
class ReportOptions:
    """The command line; `out` is another file than the run's report/index.html."""

    run: str
    data: str | None = None
    no_images: bool = False
    out: str | None = None


@dataclass(frozen=True)
class Written:
    """Where the report lies, its size, and in one line each what of the run could not be shown."""

    path: str
    size: int
    problems: list[str]


def write_report(options: ReportOptions, console: Console) -> Written:
    """Draw the report of a run, which may still be going on, and write it.

    Raises:
        RunError: there is no run, it is damaged, or the file can't be written.
        DataError: the images are not at `options.data`.
    """
    with step(console, f"Reading {options.run}") as told:
        (seen,) = open_runs([options.run], told)
    album = _album(options, seen, console)
    with step(console, "Measuring which settings mattered") as told:
        summary = summarise(seen, told)
    with step(console, "Drawing"):
        header, sections, problems = compose(Evidence(seen, summary, album))
        page = render(header, sections)
    return Written(_write(options, seen, page), len(page), [*dict.fromkeys(seen.notes), *problems])


def _album(options: ReportOptions, seen: SeenRun, console: Console) -> Album:
    if options.no_images:
        return Album(None, LEFT_OUT)
    with step(console, f"Loading {options.data or seen.options.get('data')}") as told:
        return open_album(seen, options.data, told)


def _write(options: ReportOptions, seen: SeenRun, page: bytes) -> str:
    if options.out is not None:
        path = expanded(options.out)
        write_file(path, page)
        return str(path)
    home = seen.run.child(FOLDER)
    try:
        home.write(FILE, page)
    except OSError as error:
        why = f"{home.path(FILE)} can't be written: {error.strerror or error}"
        raise RunError(f"{why}; --out FILE writes it elsewhere") from None
    return home.path(FILE)
