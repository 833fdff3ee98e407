"""The command `medray study`."""

import json
import shlex
import sys
from typing import Any

import click

from medray.cli.base import (
    ARGUMENTS,
    MedrayCommand,
    address_option,
    errors_in_one_line,
    json_option,
    local_option,
    metric_option,
    min_gpus_option,
    point_options,
    positive,
    source_option,
    track_option,
)
from medray.console import make_console
from medray.space.search_space import HOURS

EXAMPLES = """
\b
Examples:
  medray study breast --data breastmnist.npz --hours 0.5
  medray study breast --hours 0.5                        # after Ctrl-C or a crash: goes on where it was
  medray study films --data folder:films --sensitivity 0.95 --positive malignant
  medray study organs --data phantom --trials 8 --top 1  # a search space that ships with medray
  medray study films --track mlflow --track tensorboard   # followed in both while it works
  medray study my-study.yaml --storage s3://bucket/runs --address auto
"""


@click.command("study", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("name")
@source_option
@click.option(
    "--hours", type=click.FloatRange(min=0, min_open=True, max=HOURS.high),
    help="About how long all steps may take: half of it the search, then folds.  [as long as it takes]",
)  # fmt: skip
@click.option("--trials", type=positive, help="Trials of the search.  [the space's budget]")
@click.option("--max-epochs", type=positive, help="Most epochs of a trial.  [the space's budget]")
@click.option(
    "--top", type=positive, help="Settings that are trained on all folds.  [3, or as many as there is time for]"
)
@click.option("--folds", type=click.IntRange(min=2), help="Folds.  [the data set's own, or 5]")
@point_options
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of draws, weights and folds.  [0]")
@click.option("--concurrency", type=positive, help="Most trainings side by side.  [as many as there is room for]")
@click.option("--out", metavar="DIR", help="The run's folder: a path or a URI.  [runs/NAME]")
@click.option("--storage", metavar="BASE", help="Where runs lie: a path, s3://… or gs://…; the run is BASE/NAME.")
@click.option(
    "--missing", type=click.Choice(["fail", "drop"]), default="fail",
    help="Rows of a new study's table without a file: refuse them, or leave them out.  [fail]",
)  # fmt: skip
@metric_option
@click.option("--allow-leaks", is_flag=True, help="Start though splits share images or patients.")
@address_option
@min_gpus_option
@local_option
@track_option
@json_option
@click.option("--verbose", is_flag=True, help="Let Ray and Tune say what they do.")
def study(
    as_json: bool, sensitivity: tuple[float, ...], youden: bool, cost_ratio: tuple[float, ...], **given: Any
) -> None:
    """Do a study from its data to its report: search, folds, ensemble with operating points.

    NAME is that of a new study, for which NAME.yaml is written after a look at the data, or a search space. Each
    step begins where the run's files say that it stopped, so the same line goes on after a crash or Ctrl-C.

    The test split is not read: the last line has the command that does, once, when all is decided.
    """
    console = make_console(as_json)
    again = shlex.join(["medray", "study", *click.get_current_context().meta[ARGUMENTS]])
    with errors_in_one_line(as_json=as_json, interrupted=f"interrupted; go on with: {again}"):
        from medray.ensemble.build_ensemble import make_rules
        from medray.study.steps.run_study import print_study_result, run_study
        from medray.study.steps.study_options import StudyOptions

        result = run_study(StudyOptions(rules=make_rules(sensitivity, youden, cost_ratio), **given), console)
    if as_json:
        document = {
            "run": result.run.location, "space": result.space, "steps": result.steps,
            "interrupted": result.interrupted,
        }  # fmt: skip
        click.echo(json.dumps(document))
    else:
        print_study_result(result, console, again)
    sys.exit(130 if result.interrupted else 0)
