"""The command `medray evaluate`."""

import json
from typing import Any

import click

from medray.cli.base import MedrayCommand, data_option, errors_in_one_line, json_option, track_option
from medray.console import make_console
from medray.errors import ConfigError

EXAMPLES = """
\b
Examples:
  medray evaluate runs/organs            # read the test split, once
  medray evaluate runs/organs            # later: the same scores, from the store
  medray evaluate runs/organs --again    # read it once more; this is counted
  medray evaluate runs/breast --prevalence 0.02   # PPV and NPV where 2 % are cases
  medray evaluate runs/organs --data /mnt/organs.npz --json
  medray evaluate runs/organs --track mlflow      # the scores in MLflow too
  medray evaluate runs/breast --external csv:other.csv --map cancer=malignant --map normal=
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
@click.option(
    "--external", metavar="SOURCE", help="Measure the ensemble on these other images instead; counted apart."
)
@click.option(
    "--map", "class_map", multiple=True, metavar="THEIRS=OURS",
    help="The class of the run that a class of --external is; none leaves it out. Again for more.",
)  # fmt: skip
@track_option
@json_option
def evaluate(
    as_json: bool, prevalence: tuple[float, ...], external: str | None, class_map: tuple[str, ...], **options: Any
) -> None:
    """Measure RUN's ensemble on the test split, beside other selections, the best single model and the baselines.

    This is the only command that reads the test split. The scores are stored: asking again answers from the store,
    and says so. Nothing is selected by them. Figures that a report has published of the baselines, as the search
    space names them, stand beside them.

    --external measures the ensemble on another hospital's images, with its temperature and thresholds as they are:
    a reading of its own, which does not read the test split; its stored scores stand beside.
    """
    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json, interrupted="interrupted; a read that was begun is counted"):
        if external is not None:
            _evaluate_external(as_json, prevalence, external, class_map, options)
            return
        if class_map:
            raise ConfigError("--map is of the classes of --external SOURCE; give that too")
        from medray.evaluate.print_evaluation import print_result, to_json
        from medray.evaluate.run_evaluation import EvaluateOptions, run_evaluate

        result = run_evaluate(EvaluateOptions(**options), console)
        if as_json:
            click.echo(json.dumps(to_json(result, prevalence), allow_nan=False))
        else:
            print_result(result, console, prevalence)


def _evaluate_external(
    as_json: bool, prevalence: tuple[float, ...], source: str, class_map: tuple[str, ...], options: dict[str, Any]
) -> None:
    from medray.evaluate.external.print_external import external_to_json, print_external
    from medray.evaluate.external.run_external import ExternalOptions, run_external

    if prevalence:
        raise ConfigError("--prevalence is of the test split; --external has PPV and NPV at its own")
    if options.pop("track"):
        raise ConfigError("--track is of the test split; other hospitals' images are not tracked")
    console = make_console(as_json)
    evaluation = run_external(ExternalOptions(source=source, class_map=class_map, **options), console)
    if as_json:
        click.echo(json.dumps(external_to_json(evaluation), allow_nan=False))
    else:
        print_external(evaluation, console)
