"""The command `medray status`."""

import json

import click

from medray.cli.base import MedrayCommand, errors_in_one_line, json_option
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray status runs/organs
  medray status s3://bucket/runs/organs          # of a run that works on a cluster
  watch -n 30 medray status runs/organs
  medray status runs/organs --json               # for programs
"""


@click.command("status", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@json_option
def status(run: str, as_json: bool) -> None:
    """Say how far RUN has come, wherever it works: what is running, the best so far, and the time left.

    It reads the run's files only, so it may be asked at any time, from any machine that reaches them.
    """
    console = make_console(as_json)
    with errors_in_one_line(as_json=as_json):
        from medray.console import step
        from medray.study.status.print_status import print_status
        from medray.study.status.run_status import read_status

        with step(make_console(True), f"Reading {run}") as progress:
            result = read_status(run, progress)
    if as_json:
        click.echo(json.dumps(result.to_dict()))
    else:
        print_status(result, console)
