"""`python -m medray.export` is `medray export`."""

from medray.cli.main import run

run("export")
