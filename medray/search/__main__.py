"""`python -m medray.search`."""

from medray.search.search_command import main

main()
