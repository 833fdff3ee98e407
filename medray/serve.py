"""`python -m medray.serve` is `medray serve`."""

from medray.cli.main import run

if __name__ == "__main__":
    run("serve")
