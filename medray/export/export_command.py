"""The command `medray export`."""

import dataclasses
import json
from typing import Any

import click

from medray.cli.base import MedrayCommand, data_option, errors_in_one_line, json_option
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray export runs/organs                    # into runs/organs/export
  medray export runs/organs --out organs-onnx  # a folder that can be pushed to the Hugging Face hub as it is
"""


@click.command("export", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.option("--out", metavar="FOLDER", help="Write it there, a path or a URI.  [RUN/export]")
@data_option
@json_option
def export(as_json: bool, **options: Any) -> None:
    """Export RUN's ensemble as one ONNX file that answers without medray, with its model card.

    Preprocessing, the average, the temperature, operating points and conformal sets are in the file; its answers
    are compared with the ensemble's on 100 validation and training images, to 1e-4. The test split is not read:
    the card has the figures that `medray evaluate` stored.
    """
    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json):
        from medray.console import say
        from medray.export.run_export import ExportOptions, run_export

        result = run_export(ExportOptions(**options), console)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(result)))
        return
    say(console, f"Outputs: {', '.join(result.outputs)}")
    say(
        console,
        f"Against the ensemble on {result.checked_on}: probabilities differ by at most "
        f"{result.check.difference:.1e}, {result.check.decided_otherwise} decisions are otherwise",
    )
    say(console, f"Export: {result.folder} ({', '.join(result.files)}; {result.size / 1e6:.1f} MB)")
