"""`python -m medray.ensemble` is `medray ensemble`."""

from medray.cli.main import run

run("ensemble")
