"""The command `medray monitor`."""

import json
import sys
from typing import Any

import click

from medray.cli.base import MedrayCommand, errors_in_one_line, json_option
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray monitor runs/organs                            # what its service has answered, by day
  medray monitor runs/organs --outcomes outcomes.csv    # and how good that was, as far as it is known
  medray monitor runs/organs --home /mnt/medray --json
  medray monitor runs/organs/service                    # the folder that the service writes to
"""


@click.command("monitor", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("location", metavar="RUN")
@click.option(
    "--outcomes",
    metavar="FILE.csv",
    help="What images really were: columns label (of several labels one each), and request_id or sha256 or both.",
)
@click.option("--home", metavar="DIR", help="Folder that the service writes to.  [RUN/service]")
@json_option
def monitor(as_json: bool, **options: Any) -> None:
    """Say how RUN's ensemble does in use, by the audit log of its service and by outcomes.

    By day: answers, classes, probabilities, images unlike the study's, brightness and the like. With outcomes:
    sensitivity and specificity of each operating point, and calibration. Intervals and alarms hold however often
    one looks, and a patient counts once. The exit status is 1 where there is an alarm.
    """
    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json):
        from medray.monitor.print_monitor import print_use
        from medray.monitor.run_monitor import MonitorOptions, run_monitor

        use = run_monitor(MonitorOptions(**options), make_console(True))
    if as_json:
        click.echo(json.dumps(use.to_dict()))
    else:
        print_use(use, console)
    sys.exit(1 if use.alarmed else 0)
