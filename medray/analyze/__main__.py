"""`python -m medray.analyze`."""

from medray.analyze.command import main

if __name__ == "__main__":
    main()
