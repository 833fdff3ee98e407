"""`python -m medray.analyze` is `medray analyze`."""

from medray.cli.main import run

run("analyze")
