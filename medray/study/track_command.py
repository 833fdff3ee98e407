"""The command `medray track`."""

import sys

import click

from medray.cli.base import MedrayCommand, errors_in_one_line
from medray.console import make_console

EXAMPLES = """
\b
Examples:
  medray track runs/organs mlflow          # all of a run that was searched without --track
  medray track runs/organs tensorboard wandb
"""


@click.command("track", cls=MedrayCommand, epilog=EXAMPLES)
@click.argument("run")
@click.argument("trackers", nargs=-1, required=True)
def track(run: str, trackers: tuple[str, ...]) -> None:
    """Send what RUN's files hold to TRACKERS: mlflow, tensorboard, wandb.

    Settings and epochs of trials and folds, leaderboard, manifest, and the scores that `medray evaluate` has
    stored; what a tracker has already is not sent again. --track of other commands does so while they work.
    """
    console = make_console()
    with errors_in_one_line():
        from medray.evaluate.tracked_reads import test_read_entries
        from medray.runs.finished_search import find_run
        from medray.runs.lock import held
        from medray.track.follow import send
        from medray.track.trackers import check_trackers

        check_trackers(trackers)
        folder = find_run(run)
        with held(folder, console):
            complete = send(folder, trackers, console, lambda: test_read_entries(folder))
    sys.exit(0 if complete else 1)
