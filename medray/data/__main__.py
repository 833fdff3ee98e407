"""`python -m medray.data`."""

from medray.data.command import main

main()
