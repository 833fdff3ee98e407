"""medray: search, cross-validate, ensemble and serve medical image classifiers, on Ray.

    study = medray.Study("organs", data="phantom?images=300", out="runs/x", runner="local")
    study.search(trials=8, max_epochs=6)

Beside `Study` stand the parts that it is made of: `load_data`, `fit`, `Ensemble`, and `analyze` for pandas.
"""

import sys
from typing import TYPE_CHECKING

if sys.version_info < (3, 11):  # noqa: UP036  a checkout can be run by any python; say it in one line
    sys.exit(
        "medray needs Python 3.11, 3.12 or 3.13; this is {}.{}. Install one of them and run "
        "`uv run --python 3.13 python -m medray.search ...`.".format(*sys.version_info[:2])
    )

if TYPE_CHECKING:
    from medray import analyze
    from medray.config import TrainConfig
    from medray.data.dataset import ImageDataset
    from medray.data.load_data import load_data
    from medray.ensemble.ensemble import Ensemble
    from medray.ensemble.prediction import Prediction
    from medray.errors import MedrayError
    from medray.study import Study
    from medray.training.loop import fit

__version__ = "0.1.0"
__all__ = [
    "Ensemble", "ImageDataset", "MedrayError", "Prediction", "Study", "TrainConfig", "__version__", "analyze",
    "fit", "load_data",
]  # fmt: skip

_MODULES = {
    "Ensemble": "medray.ensemble.ensemble",
    "ImageDataset": "medray.data.dataset",
    "MedrayError": "medray.errors",
    "Prediction": "medray.ensemble.prediction",
    "Study": "medray.study",
    "TrainConfig": "medray.config",
    "fit": "medray.training.loop",
    "load_data": "medray.data.load_data",
}


def __getattr__(name: str) -> object:
    """Import public names when they are first used: torch costs seconds, `import medray` must not."""
    import importlib

    if name == "analyze":
        return importlib.import_module("medray.analyze")
    if name not in _MODULES:
        raise AttributeError(f"module 'medray' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
