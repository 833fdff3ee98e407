"""`python -m medray.serve`: the command of `medray.serving`."""

from medray.serving.serve_command import main

if __name__ == "__main__":
    main()
