"""`python -m medray` is the command `medray`."""

from medray.cli.main import main

main()
