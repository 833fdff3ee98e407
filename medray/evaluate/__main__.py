"""`python -m medray.evaluate`."""

from medray.evaluate.evaluate_command import main

main()
