"""`python -m medray.monitor` is `medray monitor`."""

from medray.cli.main import run

run("monitor")
