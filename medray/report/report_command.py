"""The command `medray report`."""

import dataclasses
import json
from typing import Any

import click

from medray.cli.base import MedrayCommand, data_option, errors_in_one_line, json_option
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray report runs/organs                          # writes runs/organs/report/index.html
  medray report runs/organs --data /mnt/organs.npz   # the images have moved
  medray report runs/organs --no-images --out /tmp/organs.html
"""


@click.command("report", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@data_option
@click.option("--no-images", is_flag=True, help="Show no image: for a report that is passed on.")
@click.option("--out", metavar="FILE", help="Write it there.  [RUN/report/index.html]")
@json_option
def report(as_json: bool, **options: Any) -> None:
    """Write RUN's report: one HTML file that opens anywhere, without a network.

    How good it is, whether one can trust it, what was searched, how it is repeated: figures and tables of all that
    the run's files tell, also while it runs. It never reads the test split; of that it knows what
    `medray evaluate` has stored.
    """
    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json):
        from medray.console import say
        from medray.report.write_report import ReportOptions, write_report

        written = write_report(ReportOptions(**options), console)
        for problem in written.problems:
            say(console, f"note: {problem}")
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(written)))
        else:
            say(console, f"Report: {written.path} ({written.size / 1e6:.1f} MB)")
