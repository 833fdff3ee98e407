"""`python -m medray.report` is `medray report`."""

from medray.cli.main import run

run("report")
