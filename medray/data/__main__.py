"""`python -m medray.data`."""

from medray.audit.data_command import main

main()
