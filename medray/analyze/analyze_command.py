"""The command `medray analyze`."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medray.cli.base import MedrayCommand, errors_in_one_line, json_option, positive
from medray.console import make_console

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from medray.analyze.frame_view import FrameView
    from medray.analyze.open_runs import RunSnapshot

TOP = 10  # trials of the leaderboard by default

EXAMPLES = """\
\b
Examples:
  medray analyze runs/organs                                 # all tables
  medray analyze runs/organs runs/organs-2                   # side by side
  medray analyze runs/organs --filter "backbone == 'resnet8_small' and auc > 0.9" --sort seconds
  medray analyze runs/organs --sort=-epochs --columns trial,epochs,auc --top 5
  medray analyze runs/organs --frame epochs --csv epochs.csv
  medray analyze runs/organs --frame predictions --parquet predictions.parquet
"""


@click.command("analyze", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--filter", metavar="CONDITION", help="Only the rows for which the condition holds.")
@click.option("--sort", metavar="COLUMN", help="Order of the rows; -COLUMN reverses it.  [objective]")
@click.option("--columns", metavar="A,B,C", help="Only these columns.")
@click.option("--top", type=positive, help=f"At most so many rows.  [{TOP} of the leaderboard, all of a frame]")
@click.option(
    "--frame", "frame_name", metavar="NAME", help="A tidy frame instead: trials, epochs, folds, predictions."
)
@click.option("--csv", "csv_file", metavar="FILE", help="Write the frame there as CSV.  [stdout]")
@click.option("--parquet", "parquet_file", metavar="FILE", help="Write the frame there as Parquet.")
@click.option("--no-importance", is_flag=True, help="Leave out the importance of settings, which takes seconds.")
@json_option
def analyze(
    runs: tuple[str, ...], frame_name: str | None, csv_file: str | None, parquet_file: str | None,
    no_importance: bool, as_json: bool, **view_options: Any,
) -> None:  # fmt: skip
    """Analyze RUNs side by side: searches that have finished, are running or were interrupted.

    Leaderboard, what the search gained over the baselines, what ASHA stopped and saved, which settings mattered,
    what failed, where the time went. All figures are of validation images or of those that folds hold out; nothing
    reads the test split.
    """
    frame_name = frame_name or ("trials" if csv_file or parquet_file else None)
    console = make_console(as_json or frame_name is not None)
    with errors_in_one_line(as_json=as_json):
        from medray.analyze.frame_view import FrameView
        from medray.analyze.open_runs import open_runs
        from medray.analyze.predictions_frame import FRAMES
        from medray.console import step
        from medray.errors import ConfigError, unknown_choice_line

        if frame_name and frame_name not in FRAMES:
            raise ConfigError(f"--frame: {unknown_choice_line('frame', frame_name, FRAMES)}")
        view = FrameView(**view_options)
        with step(console, f"Reading {', '.join(runs)}") as progress:
            snapshots = open_runs(list(runs), progress)
        if frame_name:
            frame = view.apply(FRAMES[frame_name](snapshots))
            _write_frame(frame, csv_file, parquet_file, console, as_json=as_json)
        else:
            _write_tables(snapshots, view, console, as_json=as_json, importance=not no_importance)


def _write_frame(
    frame: "pd.DataFrame", csv_file: str | None, parquet_file: str | None, console: "Console", *, as_json: bool
) -> None:
    """Write a frame to the files that are named, else to stdout; in CSV missing values are empty."""
    from medray.analyze.summary import rows_of
    from medray.console import say
    from medray.files import write_file

    notes = frame.attrs.get("notes", [])
    for note in notes:
        say(console, f"note: {note}")
    if csv_file:
        write_file(Path(csv_file), frame.to_csv(index=False).encode())
    if parquet_file:
        stream = io.BytesIO()
        frame.to_parquet(stream, index=False)  # the notes are in its metadata
        write_file(Path(parquet_file), stream.getvalue())
    for file in filter(None, (csv_file, parquet_file)):
        say(console, f"{len(frame)} rows of {len(frame.columns)} columns: {file}")
    if as_json:
        click.echo(json.dumps({"rows": rows_of(frame), "notes": notes}, allow_nan=False))
    elif not csv_file and not parquet_file:
        click.echo(frame.to_csv(index=False), nl=False)


def _write_tables(
    snapshots: "list[RunSnapshot]", view: "FrameView", console: "Console", *, as_json: bool, importance: bool
) -> None:
    from medray.analyze.frame_view import best_first
    from medray.analyze.frames import trials_frame
    from medray.analyze.print_analysis import print_analysis
    from medray.analyze.summary import summarise, to_json
    from medray.console import step

    leaderboard = view.apply(best_first(trials_frame(snapshots)))
    summaries = []
    for snapshot in snapshots:
        with step(console, f"Analysing {snapshot.name}") as progress:
            summaries.append(summarise(snapshot, progress, importance=importance))
    if as_json:
        click.echo(json.dumps(to_json(summaries, leaderboard), allow_nan=False))
        return
    top = None if view.top else TOP
    print_analysis(summaries, leaderboard, console, all_columns=view.columns is not None, top=top)
