"""`python -m medray.evaluate` is `medray evaluate`."""

from medray.cli.main import run

run("evaluate")
