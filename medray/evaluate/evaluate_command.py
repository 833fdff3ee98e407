"""The command `medray evaluate`."""

import json
from typing import Any

import click

from medray.cli.base import MedrayCommand, data_option, errors_in_one_line, json_option
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray evaluate runs/organs            # read the test split, once
  medray evaluate runs/organs            # later: the same scores, from the store
  medray evaluate runs/organs --again    # read it once more; this is counted
  medray evaluate runs/breast --prevalence 0.02   # PPV and NPV where 2 % are cases
  medray evaluate runs/organs --data /mnt/organs.npz --json
"""


@click.command("evaluate", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.option("--again", is_flag=True, help="Read the test split once more; every read is counted.")
@data_option
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of the bootstrap.  [0]")
@click.option(
    "--prevalence", type=click.FloatRange(0, 1, min_open=True, max_open=True), multiple=True,
    help="Give PPV and NPV of the operating points where this share of the images are cases; again for more.",
)  # fmt: skip
@json_option
def evaluate(as_json: bool, prevalence: tuple[float, ...], **options: Any) -> None:
    """Measure RUN's ensemble on the test split, beside other selections, the best single model and the baselines.

    This is the only command that reads the test split. The scores are stored: asking again answers from the store,
    and says so. Nothing is selected by them. Figures that a report has published of the baselines, as the search
    space names them, stand beside them.
    """
    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json, interrupted="interrupted; a read that was begun is counted"):
        from medray.evaluate.print_evaluation import print_result, to_json
        from medray.evaluate.run_evaluation import EvaluateOptions, run_evaluate

        result = run_evaluate(EvaluateOptions(**options), console)
        if as_json:
            click.echo(json.dumps(to_json(result, prevalence), allow_nan=False))
        else:
            print_result(result, console, prevalence)
