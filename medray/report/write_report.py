"""Write the report of a run as one HTML file."""

from dataclasses import dataclass

from rich.console import Console

from medray.analyze.open_runs import RunSnapshot, open_runs
from medray.analyze.summary import summarise
from medray.console import step
from medray.errors import RunError
from medray.files import expanded, write_file
from medray.report.evidence import Evidence
from medray.report.image_album import LEFT_OUT, Album, open_album
from medray.report.outline import compose
from medray.report.page import render


@dataclass(frozen=True)
class ReportOptions:
    """The command line; `out` is another file than the run's report/index.html."""

    run: str
    data: str | None = None
    no_images: bool = False
    out: str | None = None


@dataclass(frozen=True)
class WrittenReport:
    """The path and size in bytes of a report, and one line for each problem with the run's files."""

    path: str
    size: int
    problems: list[str]


def write_report(options: ReportOptions, console: Console) -> WrittenReport:
    """Write the report of a run, whose search may still be going on.

    Raises:
        RunError: there is no run, it is damaged, or the report can't be written.
        DataError: the images are not at `options.data`.
    """
    with step(console, f"Reading {options.run}") as progress:
        (snapshot,) = open_runs([options.run], progress)
    album = Album(None, LEFT_OUT)
    if not options.no_images:
        with step(console, f"Loading {options.data or snapshot.facts.options.data}") as progress:
            album = open_album(snapshot, options.data, progress)
    with step(console, "Measuring which settings mattered") as progress:
        summary = summarise(snapshot, progress, dataset=album.dataset)
    with step(console, "Drawing"):
        header, sections, problems = compose(Evidence(snapshot, summary, album))
        page = render(header, sections)
    path = _write(options.out, snapshot, page)
    return WrittenReport(path, len(page), [*dict.fromkeys(snapshot.notes), *problems])


def _write(out: str | None, snapshot: RunSnapshot, page: bytes) -> str:
    """Write the page to the file `out`, or into the run's folder, and return its path."""
    if out is not None:
        file = expanded(out)
        write_file(file, page)
        return str(file)
    folder, name = snapshot.run.report, snapshot.run.REPORT
    try:
        folder.write(name, page)
    except OSError as error:
        problem = f"{folder.path(name)} can't be written: {error.strerror or error}"
        raise RunError(f"{problem}; --out FILE writes it elsewhere") from None
    return folder.path(name)
