"""The command `medray analyze`."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from medray.cli.base import MedrayCommand, errors_in_one_line, json_option, positive
from medray.console import make_console

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from medray.analyze.open_runs import SeenRun
    from medray.analyze.view import View

TOP = 10  # trials of the leaderboard, unless it is said

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
@click.option("--filter", metavar="CONDITION", help="Only the rows for which it holds.")
@click.option("--sort", metavar="COLUMN", help="Order of the rows; -COLUMN for the other way round.  [objective]")
@click.option("--columns", metavar="A,B,C", help="Only these columns.")
@click.option("--top", type=positive, help=f"So many rows.  [{TOP} of the leaderboard, all of a frame]")
@click.option(
    "--frame", "frame_name", metavar="NAME", help="A tidy frame instead: trials, epochs, folds, predictions."
)
@click.option("--csv", "csv_file", metavar="FILE", help="Write the frame there as CSV.  [stdout]")
@click.option("--parquet", "parquet_file", metavar="FILE", help="Write the frame there as Parquet.")
@click.option("--no-importance", is_flag=True, help="Leave out the importance of settings, which takes seconds.")
@json_option
def analyze(
    runs: tuple[str, ...], frame_name: str | None, csv_file: str | None, parquet_file: str | None,
    no_importance: bool, as_json: bool, **looked: Any,
) -> None:  # fmt: skip
    """Say what RUNs tell: searches that have finished, still run or were broken off, side by side.

    Leaderboard, what the search gained over the baselines, what ASHA stopped and saved, which settings mattered,
    what failed, where the time went. All figures are of validation images or of those that folds hold out; nothing
    reads the test split.
    """
    wanted = frame_name or ("trials" if csv_file or parquet_file else None)
    console = make_console(as_json or wanted is not None)
    with errors_in_one_line(as_json=as_json):
        from medray.analyze.view import View

        make = _frame_maker(wanted) if wanted else None
        seen = _open(runs, console)
        if make:
            frame = View(**looked).of(make(seen))
            _give(frame, csv_file, parquet_file, console, as_json=as_json)
        else:
            _tables(seen, View(**looked), console, as_json=as_json, importance=not no_importance)


def _frame_maker(name: str) -> "Callable[[list[SeenRun]], pd.DataFrame]":
    from medray.analyze import frames
    from medray.analyze.predicted import predictions_frame
    from medray.errors import ConfigError, unknown_choice_line

    makers: dict[str, Callable[[list[SeenRun]], pd.DataFrame]] = {
        "trials": frames.trials_frame,
        "epochs": frames.epochs_frame,
        "folds": frames.folds_frame,
        "predictions": predictions_frame,
    }
    if name not in makers:
        raise ConfigError(f"--frame: {unknown_choice_line('frame', name, makers)}")
    return makers[name]


def _open(runs: tuple[str, ...], console: "Console") -> "list[SeenRun]":
    from medray.analyze.open_runs import open_runs
    from medray.console import step

    with step(console, f"Reading {', '.join(runs)}") as told:
        return open_runs(list(runs), told)


def _give(
    frame: "pd.DataFrame", csv_file: str | None, parquet_file: str | None, console: "Console", *, as_json: bool
) -> None:
    from medray.analyze.summary import rows_of
    from medray.analyze.view import write_csv, write_parquet
    from medray.console import say

    for note in frame.attrs.get("notes", []):
        say(console, f"note: {note}")
    if csv_file:
        write_csv(frame, csv_file)
    if parquet_file:
        write_parquet(frame, parquet_file)
    for file in filter(None, (csv_file, parquet_file)):
        say(console, f"{len(frame)} rows of {len(frame.columns)} columns: {file}")
    if as_json:
        click.echo(json.dumps({"rows": rows_of(frame), "notes": frame.attrs.get("notes", [])}, allow_nan=False))
    elif not csv_file and not parquet_file:
        click.echo(frame.to_csv(index=False), nl=False)


def _tables(seen: "list[SeenRun]", view: "View", console: "Console", *, as_json: bool, importance: bool) -> None:
    from medray.analyze.frames import trials_frame
    from medray.analyze.print_analysis import print_report
    from medray.analyze.summary import summarise, to_json
    from medray.analyze.view import best_first
    from medray.console import step

    board = view.of(best_first(trials_frame(seen)))
    summaries = []
    for run in seen:
        with step(console, f"Analysing {run.name}") as told:
            summaries.append(summarise(run, told, importance=importance))
    if as_json:
        click.echo(json.dumps(to_json(summaries, board), allow_nan=False))
        return
    print_report(summaries, board, console, chosen=view.columns is not None, top=None if view.top else TOP)
