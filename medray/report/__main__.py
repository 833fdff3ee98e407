"""`python -m medray.report`."""

from medray.report.command import main

if __name__ == "__main__":
    main()
