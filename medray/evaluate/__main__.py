"""`python -m medray.evaluate`."""

from medray.evaluate.command import main

main()
