"""`python -m medray.data` is `medray data`."""

from medray.cli.main import run

run("data")
