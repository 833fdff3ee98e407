"""`python -m medray.init`."""

from medray.init.init_command import main

main()
