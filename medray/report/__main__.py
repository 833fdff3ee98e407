"""`python -m medray.report`."""

from medray.report.report_command import main

if __name__ == "__main__":
    main()
