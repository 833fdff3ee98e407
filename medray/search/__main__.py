"""`python -m medray.search` is `medray search`."""

from medray.cli.main import run

run("search")
