"""`python -m medray.predict`."""

from medray.predict.command import main

main()
