"""`python -m medray.crossval` is `medray crossval`."""

from medray.cli.main import run

run("crossval")
