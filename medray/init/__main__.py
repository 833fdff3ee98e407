"""`python -m medray.init` is `medray init`."""

from medray.cli.main import run

run("init")
