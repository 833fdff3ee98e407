"""`python -m medray.analyze`."""

from medray.analyze.analyze_command import main

if __name__ == "__main__":
    main()
