"""`python -m medray.crossval`."""

from medray.crossval.crossval_command import main

main()
