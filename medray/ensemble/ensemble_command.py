"""The command `medray ensemble`."""

import json
from typing import Any

import click

from medray.cli.base import MedrayCommand, data_option, errors_in_one_line, json_option, point_options, positive
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray ensemble runs/organs                      # the best eight, of the folds where there are any
  medray ensemble runs/organs --strategy greedy --from trials
  medray ensemble runs/organs --strategy folds     # all folds of the best setting
  medray ensemble runs/breast --sensitivity 0.95 --positive malignant   # misses one in twenty of new ones
  medray ensemble runs/breast --cost-ratio 10 --positive malignant
"""

share = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command("ensemble", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.option(
    "--strategy", type=click.Choice(["top-k", "greedy", "folds"]), help="How to select the members.  [top-k]"
)
@click.option(
    "--from", "source", type=click.Choice(["trials", "folds"]),
    help="Candidates: trials of the search, or settings with all their folds.  [folds, if there are any]",
)  # fmt: skip
@click.option("--top-k", type=positive, help="Most trials, or settings, in the top-k average.  [8]")
@point_options
@click.option(
    "--coverage", "coverages", type=share, multiple=True,
    help="Calibrate conformal sets for this coverage.  [0.9 and 0.95]",
)  # fmt: skip
@data_option
@json_option
def ensemble(
    as_json: bool, sensitivity: tuple[float, ...], youden: bool, cost_ratio: tuple[float, ...], **given: Any
) -> None:
    """Select the members of RUN's ensemble, calibrate it, and set its operating points.

    Every selection is shown beside the best single model, so that one sees what averaging buys. Members are
    selected on validation or out-of-fold predictions; temperature, thresholds and conformal sets are set on the
    calibration split, which neither trained nor selected a network. Where there is none, they come from the
    same predictions as the members, and promise nothing. The test split is not read.
    """
    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json):
        from medray.ensemble.build_ensemble import EnsembleOptions, make_rules, run_ensemble

        options = EnsembleOptions(rules=make_rules(sensitivity, youden, cost_ratio), **given)
        result = run_ensemble(options, console)
    from medray.ensemble.print_ensemble import print_result, to_json

    if as_json:
        click.echo(json.dumps(to_json(result)))
    else:
        print_result(result, console)
