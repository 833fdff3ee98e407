"""`python -m medray.init`."""

from medray.init.command import main

main()
