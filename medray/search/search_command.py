"""The command `medray search`."""

import json
import sys
from typing import Any

import click

from medray.cli.base import (
    MedrayCommand,
    address_option,
    errors_in_one_line,
    json_option,
    local_option,
    min_gpus_option,
    positive,
    source_option,
    track_option,
)
from medray.console import make_console
from medray.search.flatness import FEWEST, PART
from medray.space.search_space import HOURS

EXAMPLES = """
\b
Examples:
  medray search organs                                   # OrganSMNIST, through the medmnist package
  medray search organs --data phantom --trials 8         # procedural images, no network
  medray search organs --trials 4 --local                # in this process, one trial after another, without Ray
  medray search organs --data breast.npz --out runs/b    # your own images, in MedMNIST's form
  medray search covid --data folder:films                # your own images, in class folders
  medray search organs --storage s3://bucket/runs        # on a cluster: the run is s3://bucket/runs/organs
  medray search my-study.yaml --baselines-only           # only the settings one would start from
  medray search organs --resume                          # go on after a crash, or after Ctrl-C
  medray search organs --resume --trials 80              # go on beyond what was asked for
  medray search organs --hours 0.5                       # what half an hour can find, the ensemble included
  medray search organs --warm-start runs/a --out runs/b  # go on from what an earlier run has found
  medray search organs --track mlflow                    # epochs in MLflow while it runs; see docs/analysis.md
"""


@click.command("search", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("space")
@source_option
@click.option("--trials", type=positive, help="Trials in all, baselines among them.  [the space's budget]")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=HOURS.high),
    help="Most wall time, of all commands of the run together.  [the space's budget]",
)
@click.option(
    "--stop-when-flat/--no-stop-when-flat",
    default=None,
    help=f"End where the best objective gained at most {PART:g} of its standard error in the last half of the "
    f"trials, and in at least {FEWEST}.  [the space's budget]",
)
@click.option("--max-epochs", type=positive, help="Most epochs of a trial.  [the space's budget]")
@click.option("--top-k", type=positive, help="Most members of the ensemble.  [8]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of the draws and of the weights.  [0]")
@click.option("--concurrency", type=positive, help="Most trials side by side.  [as many as there is room for]")
@click.option("--out", metavar="DIR", help="The run's folder: a path or a URI.  [runs/SPACE]")
@click.option("--storage", metavar="BASE", help="Where runs lie: a path, s3://… or gs://…; the run is BASE/SPACE.")
@click.option("--resume", is_flag=True, help="Go on with the run in that folder.")
@click.option("--baselines-only", is_flag=True, help="Run the space's baselines and nothing else.")
@click.option(
    "--warm-start",
    metavar="RUN",
    multiple=True,
    help="Begin with the best settings of an earlier run, and draw by its trials too; may be repeated.",
)
@click.option("--allow-leaks", is_flag=True, help="Start though splits share images or patients.")
@address_option
@min_gpus_option
@local_option
@track_option
@json_option
@click.option("--verbose", is_flag=True, help="Let Ray and Tune say what they do.")
def search(as_json: bool, **values: Any) -> None:
    """Search the hyperparameters of SPACE, a search space that ships with medray or a .yaml file.

    Runs the space's baselines, then what Optuna draws; ASHA stops those that fall behind. Leaves a
    leaderboard and the averaged top-k ensemble in the run's folder. No model is measured on the test split.

    --trials or --hours take the place of both in the space's budget; of two that are given, the first to be
    reached ends the search. No trial begins that can't reach its first rung in the time left, and one that runs
    out of time is stopped at the end of an epoch.
    """
    from medray.search.search_options import SearchOptions

    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json):
        options = SearchOptions(**values)
        from medray.search.open_run import resume_command
        from medray.search.run_search import run_search

        go_on = f"interrupted; go on with: {resume_command(options)}"
        with errors_in_one_line(as_json=as_json, interrupted=go_on):
            result = run_search(options, console)
    from medray.search.print_search import print_search_result, search_result_json

    if as_json:
        click.echo(json.dumps(search_result_json(result)))
    else:
        print_search_result(result, console)
    sys.exit(130 if result.interrupted else 0)
