"""medray: search, cross-validate, ensemble and serve medical image classifiers, on Ray."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  a checkout can be run by any python; say it in one line
    sys.exit(
        "medray needs Python 3.11, 3.12 or 3.13; this is {}.{}. Install one of them and run "
        "`uv run --python 3.13 python -m medray.search ...`.".format(*sys.version_info[:2])
    )

__version__ = "0.1.0"
__all__ = ["Ensemble", "ImageDataset", "MedrayError", "TrainConfig", "__version__", "fit", "load_data"]

_HOMES = {
    "Ensemble": "medray.ensemble",
    "ImageDataset": "medray.data.dataset",
    "MedrayError": "medray.errors",
    "TrainConfig": "medray.config",
    "fit": "medray.training.loop",
    "load_data": "medray.data.load_data",
}


def __getattr__(name: str) -> object:
    """Import public names when they are first used: torch costs seconds, `import medray` must not."""
    if name not in _HOMES:
        raise AttributeError(f"module 'medray' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
