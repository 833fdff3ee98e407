"""`python -m medray.track` is `medray track`."""

from medray.cli.main import run

run("track")
