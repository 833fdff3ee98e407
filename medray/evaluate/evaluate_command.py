"""The command line of the evaluation."""

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from medray.cli.base import MedrayCommand, data_option, fail, json_option
from medray.console import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from medray.evaluate.run_evaluation import Evaluation

EXAMPLES = """
\b
Examples:
  medray evaluate runs/organs            # read the test split, once
  medray evaluate runs/organs            # later: the same figures, from the store
  medray evaluate runs/organs --again    # read it once more; this is counted and shown
  medray evaluate runs/organs --data /mnt/organs.npz --json
"""


@click.command("evaluate", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.option("--again", is_flag=True, help="Read the test split once more; every reading is counted.")
@data_option
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of the bootstrap.  [0]")
@json_option
def evaluate(as_json: bool, **given: Any) -> None:
    """Measure RUN's ensemble on the test split, beside every other way, the best single model and the baselines.

    This is the one command that reads the test split. The answer is kept: asking again answers from the store,
    and says so. Nothing is chosen by these figures. What a report has published of the baselines, as the search
    space tells, is laid beside them.
    """
    from medray.errors import MedrayError

    console = make_console(as_json)
    try:
        from medray.evaluate.run_evaluation import EvaluateOptions, run_evaluate

        result = run_evaluate(EvaluateOptions(**given), console)
        show(result, console, as_json=as_json)
    except MedrayError as error:
        fail(str(error), as_json=as_json)
    except KeyboardInterrupt:
        fail("interrupted; a reading that was begun is counted", as_json=as_json, code=130)


def show(result: "Evaluation", console: "Console", *, as_json: bool) -> None:
    """Print the result, for people or for programs."""
    from medray.evaluate.print_evaluation import print_result, to_json
    from medray.evaluate.test_reads import SCORES, undamaged

    if as_json:
        click.echo(json.dumps(to_json(result), allow_nan=False))
        return
    with undamaged(result.reading.folder.path(SCORES)) if result.stored else nullcontext():
        print_result(result, console)


def main() -> None:
    """Run the command."""
    evaluate(prog_name="medray evaluate")
