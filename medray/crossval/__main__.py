"""`python -m medray.crossval`."""

from medray.crossval.command import main

main()
