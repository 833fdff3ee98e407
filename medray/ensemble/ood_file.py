"""The files of a run's out-of-distribution detector: fitted once on the run's data, copied into every ensemble."""

import hashlib

from medray.data.dataset import ImageDataset
from medray.decisions.ood import FEWEST, OodDetector, OodFacts, fit_ood
from medray.ensemble.manifest import Manifest, OodFile
from medray.errors import RunError
from medray.runs.folder import Folder
from medray.runs.rundir import RunDir


def fit_run_ood(run: RunDir, dataset: ImageDataset) -> None:
    """Fit the detector on the training images, its threshold on the validation images, unless the run has one.

    Where there are too few images, nothing is written, and the ensemble flags no image.
    """
    from safetensors.numpy import save

    train, val = dataset.splits["train"], dataset.splits["val"]
    if run.exists(run.OOD) or min(len(train), len(val)) < FEWEST:
        return
    detector = fit_ood(dataset.images[train], dataset.images[val])
    run.write(run.OOD_TENSORS, save(detector.to_tensors()))
    run.write_json(run.OOD, detector.facts.to_dict())


def copy_ood(run: RunDir, ensemble: Folder) -> OodFile | None:
    """Copy a run's detector into an ensemble's folder; return its entry in the manifest, None without one."""
    if not run.exists(run.OOD):
        return None
    content = run.read(run.OOD_TENSORS)
    ensemble.write(run.OOD_TENSORS, content)
    facts = run.read_document(run.OOD, OodFacts)
    return OodFile(run.OOD_TENSORS, hashlib.sha256(content).hexdigest(), facts)


def read_ood(ensemble: Folder, manifest: Manifest) -> OodDetector | None:
    """Return an ensemble's detector, None where it has none.

    Raises:
        RunError: its file is damaged.
        WeightsError: its file is missing, or not the one that the manifest describes.
    """
    if manifest.ood is None:
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = ensemble.path(manifest.ood.file)
    content = manifest.ood.read_from(ensemble)
    try:
        tensors = load(content)
    except (SafetensorError, KeyError) as error:
        raise RunError(f"{path} is damaged: {error}") from None
    try:
        return OodDetector.from_tensors(manifest.ood.facts, tensors, manifest.image_shape)
    except RunError as error:
        raise error.within(file=path) from None
