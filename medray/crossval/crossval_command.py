"""The command `medray crossval`."""

import json
import sys
from typing import Any, NoReturn

import click

from medray.cli.base import (
    MedrayCommand,
    address_option,
    data_option,
    errors_in_one_line,
    json_option,
    local_option,
    min_gpus_option,
    positive,
    track_option,
)
from medray.console import make_console
from medray.errors import ConfigError

EXAMPLES = """
\b
Examples:
  medray crossval runs/organs                       # the best three settings on five folds
  medray crossval runs/organs --top 5 --folds 10
  medray crossval runs/organs --trial 7 --trial 12  # these settings
  medray crossval runs/organs --resume              # go on after a crash, or after Ctrl-C
  medray crossval runs/organs --resume --trial 4    # add a setting to those that are done
  medray crossval runs/organs --baselines           # the best three, and the search's baselines
  medray crossval runs/organs --nested              # the whole search again inside each fold
  medray crossval runs/organs --track tensorboard   # each fold's epochs under its setting
"""


@click.command("crossval", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.option("--top", type=positive, help="How many of the search's best settings.  [3]")
@click.option("--folds", type=click.IntRange(min=2), help="Folds.  [the data set's own, or 5]")
@click.option(
    "--trial", "trials", type=click.IntRange(min=0), multiple=True, help="Settings of this trial; again for more."
)
@click.option("--baselines", is_flag=True, help="The search's baselines too.")
@click.option("--nested", is_flag=True, help="Run the whole search inside each fold; measures the procedure.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of the folds and of the weights.  [0]")
@data_option
@click.option("--concurrency", type=positive, help="Most folds side by side.  [as many as there is room for]")
@click.option("--resume", is_flag=True, help="Go on with the run's cross-validation.")
@address_option
@min_gpus_option
@local_option
@track_option
@json_option
@click.option("--verbose", is_flag=True, help="Let Ray say what it does.")
def crossval(as_json: bool, nested: bool, **values: Any) -> None:
    """Train the best settings of the search in RUN on every fold, from fresh weights each time.

    The folds divide the training and validation images, stratified by class, with no near-duplicates and, where
    the data set knows patients, no patient on both sides. Leaves each fold's model, scores with their spread,
    out-of-fold predictions, and a list of images whose label the folds doubt. The test split is not read.

    With --nested the search itself runs again inside each fold, and the ensemble of its best trials is measured
    on the images that the fold holds out: what the procedure is worth, which no selection flatters. It takes as
    long as that many searches.
    """
    console = make_console(as_json)
    if nested:
        _nested(as_json, values)
    with errors_in_one_line(as_json=as_json):
        from medray.crossval.plan import CrossvalOptions, resume_command
        from medray.crossval.run_crossval import run_crossval

        options = CrossvalOptions(**values)
        go_on = f"interrupted; go on with: {resume_command(options)}"
        with errors_in_one_line(as_json=as_json, interrupted=go_on):
            result = run_crossval(options, console)
    from medray.crossval.print_crossval import crossval_result_json, print_crossval_result

    if as_json:
        click.echo(json.dumps(crossval_result_json(result)))
    else:
        print_crossval_result(result, console)
    sys.exit(130 if result.left else 1 if not result.trials else 0)


def _nested(as_json: bool, values: dict[str, Any]) -> NoReturn:
    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json):
        for name, flag in (("top", "--top"), ("trials", "--trial"), ("baselines", "--baselines")):
            if values.pop(name):
                raise ConfigError(
                    f"{flag} with --nested: each fold's own search selects its settings; leave it out"
                )
        if values.pop("track"):
            raise ConfigError("--track with --nested: its searches are not tracked; leave it out")
        from medray.crossval.nested.plan_nested import NestedOptions
        from medray.crossval.nested.run_nested import run_nested

        options = NestedOptions(**values)
        with errors_in_one_line(as_json=as_json, interrupted=f"interrupted; go on with: {options.resume_command}"):
            result = run_nested(options, console)
    from medray.crossval.nested.print_nested import nested_result_json, print_nested_result

    if as_json:
        click.echo(json.dumps(nested_result_json(result)))
    else:
        print_nested_result(result, console)
    sys.exit(130 if result.left else 0)
