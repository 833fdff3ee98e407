"""`python -m medray.predict` is `medray predict`."""

from medray.cli.main import run

run("predict")
