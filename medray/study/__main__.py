"""`python -m medray.study` is `medray study`."""

from medray.cli.main import run

run("study")
