"""`python -m medray.ensemble`."""

from medray.ensemble.ensemble_command import main

main()
