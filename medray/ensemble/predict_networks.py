"""Predict images with trained networks of a run, by the trial or the fold that trained them."""

import hashlib
from collections.abc import Mapping, Sequence

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset, LabelledImages
from medray.ensemble.candidates import NetworkKey
from medray.ensemble.ensemble import load_member
from medray.errors import WeightsError
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trunks import complete_weights
from medray.stats.outputs import Outputs


def predict_networks(
    run: RunDir, dataset: ImageDataset, images: LabelledImages, keys: Sequence[NetworkKey],
    hashes: Mapping[NetworkKey, str] | None = None, device: str = "cpu",
) -> dict[NetworkKey, Outputs]:  # fmt: skip
    """Return each network's outputs of the images (n,), without reading their labels.

    `hashes` are the SHA-256 that some networks' weights must have.

    Raises:
        WeightsError: weights are missing or damaged, or have another SHA-256.
        RunError: settings are missing or damaged.
    """
    predictions = {}
    for trial, fold in keys:
        folder = run.trial(trial) if fold is None else run.fold(trial, fold)
        sha256 = (hashes or {}).get((trial, fold))
        predictions[trial, fold] = _predict(folder, dataset, images, sha256, device)
    return predictions


def _predict(
    folder: TrialDir, dataset: ImageDataset, images: LabelledImages, sha256: str | None, device: str
) -> Outputs:
    import torch

    from medray.training.predict import predict_images
    from medray.training.weights import weights_from_bytes

    name = folder.path(folder.WEIGHTS)
    content = complete_weights(folder)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(f"{name} is not what the ensemble was made of; make it anew: medray ensemble")
    _, facts = weights_from_bytes(content, name)
    settings = folder.read_json(folder.CONFIG)
    if facts.get("config") != settings:
        raise WeightsError(f"{name} is of another training than {folder.path(folder.CONFIG)}")
    config = TrainConfig.from_dict(settings)
    network = load_member(content, name, config, dataset.shape, len(dataset.class_names), device)
    return predict_images(network, images, torch.device(device))
