"""The file of how a run's images look: measured once on the run's data, copied into every ensemble."""

import hashlib
import json

import numpy as np

from medray.data.dataset import ImageDataset
from medray.decisions.looks import Looks
from medray.decisions.promises import CALIBRATION
from medray.ensemble.manifest import Manifest, StoredFile
from medray.errors import RunError
from medray.runs.folder import Folder
from medray.runs.rundir import RunDir

MOST = 10_000  # images that are measured; of more, a fixed random part


def measure_run_looks(run: RunDir, dataset: ImageDataset) -> None:
    """Measure the images that the networks learned from or were set on, never the test split's, once a run."""
    if run.exists(run.LOOKS):
        return
    splits = [dataset.splits[name] for name in ("train", "val", CALIBRATION) if name in dataset.splits]
    rows = np.sort(np.random.default_rng(0).permutation(np.concatenate(splits))[:MOST])
    looks = Looks.of(dataset.images[rows], None if dataset.groups is None else dataset.groups[rows])
    run.write_json(run.LOOKS, looks.to_dict())


def copy_looks(run: RunDir, ensemble: Folder) -> StoredFile | None:
    """Copy a run's looks into an ensemble's folder; return their entry in the manifest, None without any."""
    if not run.exists(run.LOOKS):
        return None
    content = run.read(run.LOOKS)
    ensemble.write(run.LOOKS, content)
    return StoredFile(run.LOOKS, hashlib.sha256(content).hexdigest())


def read_looks(ensemble: Folder, manifest: Manifest) -> Looks | None:
    """Return how the images of an ensemble's study look, None where it does not say.

    Raises:
        RunError: the file is damaged.
        WeightsError: it is missing, or not the one that the manifest describes.
    """
    if manifest.looks is None:
        return None
    path = ensemble.path(manifest.looks.file)
    try:
        content = json.loads(manifest.looks.read_from(ensemble))
    except ValueError:
        raise RunError(f"{path} is damaged: it is not JSON") from None
    return Looks.from_dict(content, path)
