"""Who is measured on the test split: the ensemble, every other way, the best single model, the baselines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medray.config import TrainConfig
from medray.data.dataset import Array, ImageDataset, LabelledImages
from medray.ensemble.averaging import average
from medray.ensemble.driver import WAYS_FILE
from medray.ensemble.manifest import read_manifest
from medray.ensemble.ways import SINGLE
from medray.errors import RunError, WeightsError
from medray.leaderboard import rank, usable
from medray.operating.calibration import apply_temperature
from medray.runs import RunDir, TrialDir, TrialRecord
from medray.searched import SearchedRun

ENSEMBLE = "ensemble"
Key = tuple[int, int | None]  # trial, and fold or None


@dataclass(frozen=True)
class Contestant:
    """A model to be measured: networks by trial and fold, their weights, and a temperature."""

    name: str
    members: tuple[tuple[Key, float], ...]
    temperature: float


def find_contestants(searched: SearchedRun) -> list[Contestant]:
    """The run's ensemble first; then what it is compared with, none twice.

    Raises:
        RunError: there is no ensemble, or a file is damaged.
    """
    manifest = read_manifest(searched.run.ensemble)
    members = tuple(((m["trial"], m["fold"]), float(m["weight"])) for m in manifest["members"])
    found = [Contestant(ENSEMBLE, members, float(manifest["temperature"]))]
    found += _other_ways(searched.run, manifest)
    ranked = rank(usable(searched.records), searched.space.mode)
    if not any(contestant.name.startswith("best single") for contestant in found):
        found.append(_alone(f"best single (trial {ranked[0].number})", ranked[0]))
    baselines = sorted((r for r in ranked if r.baseline), key=lambda record: record.number)
    found += [_alone(f"baseline {record.baseline} (trial {record.number})", record) for record in baselines]
    return found


def _other_ways(run: RunDir, manifest: dict[str, Any]) -> list[Contestant]:
    if not run.exists(WAYS_FILE):
        return []
    stored = run.read_json(WAYS_FILE)
    found = []
    try:
        for way in stored["ways"]:
            if [way["name"], way["source"]] == stored["chosen"]:
                continue
            members = tuple(((m["trial"], m["fold"]), float(m["weight"])) for m in way["members"])
            name = f"{way['name']} of {way['source']}"
            if way["name"] == SINGLE:
                name = f"best single (trial {members[0][0][0]})"
            found.append(Contestant(name, members, float(way["temperature"])))
    except (KeyError, TypeError, IndexError) as error:
        raise RunError(f"{run.path(WAYS_FILE)} is damaged: {error!r}") from None
    return found


def _alone(name: str, record: TrialRecord) -> Contestant:
    return Contestant(name, (((record.number, None), 1.0),), 1.0)


def predict_members(
    run: RunDir, dataset: ImageDataset, images: LabelledImages, contestants: Sequence[Contestant],
    device: str = "cpu",
) -> dict[Key, Array]:  # fmt: skip
    """What each network says of the images, float32 (n, classes); each is asked once.

    Raises:
        WeightsError: weights are missing or damaged, or not those that the ensemble was made of.
    """
    keys = list(dict.fromkeys(key for contestant in contestants for key, _ in contestant.members))
    hashes = {(m["trial"], m["fold"]): m["sha256"] for m in read_manifest(run.ensemble)["members"]}
    answers = {}
    for trial, fold in keys:
        folder = run.trial(trial) if fold is None else run.fold(trial, fold)
        answers[trial, fold] = _predict(folder, dataset, images, hashes.get((trial, fold)), device)
    return answers


def _predict(
    folder: TrialDir, dataset: ImageDataset, images: LabelledImages, sha256: str | None, device: str
) -> Array:
    import hashlib

    import torch

    from medray.training.loop import predict_probabilities
    from medray.training.weights import load_network, weights_from_bytes

    name = folder.path(folder.WEIGHTS)
    try:
        content = folder.read(folder.WEIGHTS)
    except FileNotFoundError:
        raise WeightsError(f"{name} is missing") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(f"{name} is not what the ensemble was made of; make it anew: python -m medray.ensemble")
    tensors, _ = weights_from_bytes(content, name)
    config = TrainConfig.from_dict(folder.read_json(folder.CONFIG))
    network = load_network(config, dataset.shape, len(dataset.class_names), tensors, name).to(device)
    return predict_probabilities(network, images, torch.device(device))


def combine(contestant: Contestant, answers: dict[Key, Array]) -> Array:
    """A contestant's probabilities, float32 (n, classes), as it would answer in use."""
    parts = [answers[key] for key, _ in contestant.members]
    averaged = average(parts, [weight for _, weight in contestant.members])
    return averaged if contestant.temperature == 1 else apply_temperature(averaged, contestant.temperature)
