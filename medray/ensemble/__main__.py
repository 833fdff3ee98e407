"""`python -m medray.ensemble`."""

from medray.ensemble.command import main

main()
