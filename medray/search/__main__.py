"""`python -m medray.search`."""

from medray.search.command import main

main()
