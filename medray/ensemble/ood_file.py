"""The novelty score of a run's images: learnt once from the data, and copied into every ensemble."""

import hashlib
from typing import Any

from medray.data.dataset import ImageDataset
from medray.decisions.ood import FEWEST, Novelty, fit_novelty
from medray.errors import RunError
from medray.runs.folder import Folder, read_checked
from medray.runs.rundir import RunDir

ARRAYS, FACTS = "novelty.safetensors", "novelty.json"


def learn_novelty(run: RunDir, dataset: ImageDataset) -> None:
    """Learn what the training images look like, unless the run knows it; the threshold is set on validation.

    Too few images to learn from are no error: then nothing is written, and nothing flagged.
    """
    from safetensors.numpy import save

    train, val = dataset.splits["train"], dataset.splits["val"]
    if run.exists(FACTS) or min(len(train), len(val)) < FEWEST:
        return
    novelty = fit_novelty(dataset.images[train], dataset.images[val])
    run.write(ARRAYS, save(novelty.to_tensors()))
    run.write_json(FACTS, novelty.to_dict())


def copy_novelty(run: RunDir, ensemble: Folder) -> dict[str, Any] | None:
    """Copy a run's score into an ensemble's folder; return what its manifest says of it, None without one."""
    if not run.exists(FACTS):
        return None
    content = run.read(ARRAYS)
    ensemble.write(ARRAYS, content)
    return {**run.read_json(FACTS), "file": ARRAYS, "sha256": hashlib.sha256(content).hexdigest()}


def read_novelty(ensemble: Folder, manifest: dict[str, Any]) -> Novelty | None:
    """Return an ensemble's novelty score, None where it has none.

    Raises:
        RunError: its file is damaged.
        WeightsError: its file is missing, or not the one that the manifest describes.
    """
    facts = manifest["novelty"]
    if facts is None:
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load

    name = ensemble.path(facts["file"])
    content = read_checked(ensemble, facts["file"], facts["sha256"])
    try:
        tensors = load(content)
    except (SafetensorError, KeyError) as error:
        raise RunError(f"{name} is damaged: {error}") from None
    height, width, channels = manifest["image_shape"]
    plain = {key: value for key, value in facts.items() if key not in ("file", "sha256")}
    try:
        return Novelty.from_parts(plain, tensors, (height, width, channels))
    except RunError as error:
        raise RunError(f"{name}: {error}") from None
