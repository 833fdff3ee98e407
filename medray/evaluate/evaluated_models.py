"""Who is measured on the test split: the ensemble, every other way, the best single model, the baselines."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medray._types import Array
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset, LabelledImages
from medray.decisions.temperature import apply_temperature
from medray.ensemble.averaging import average
from medray.ensemble.manifest import MANIFEST
from medray.ensemble.selection import SINGLE, title
from medray.errors import RunError, WeightsError
from medray.evaluate.test_reads import undamaged
from medray.runs.finished_search import SearchedRun
from medray.runs.leaderboard import rank, usable
from medray.runs.rundir import RunDir, TrialDir, TrialRecord

ENSEMBLE = "ensemble"
Key = tuple[int, int | None]  # trial, and fold or None


@dataclass(frozen=True)
class Contestant:
    """A model to be measured: networks by trial and fold, their weights, and a temperature."""

    name: str
    members: tuple[tuple[Key, float], ...]
    temperature: float


def find_contestants(searched: SearchedRun, manifest: dict[str, Any]) -> list[Contestant]:
    """The run's ensemble, which `manifest` describes, first; then what it is compared with, none twice.

    Raises:
        RunError: a file is damaged, or the ways were compared for another ensemble.
    """
    run = searched.run
    with undamaged(run.ensemble.path(MANIFEST)):
        ensemble = _read(ENSEMBLE, manifest)
    found = [ensemble, *_other_ways(run, ensemble)]
    ranked = rank(usable(searched.records), searched.space.mode)
    if not any(contestant.name.startswith("best single") for contestant in found) and ranked:
        found.append(_alone(f"best single (trial {ranked[0].number})", ranked[0]))
    baselines = sorted((r for r in ranked if r.baseline), key=lambda record: record.number)
    return [*found, *(_alone(baseline_name(record), record) for record in baselines)]


def baseline_name(record: TrialRecord) -> str:
    """What a baseline is called among the models that are measured."""
    return f"baseline {record.baseline} (trial {record.number})"


def _other_ways(run: RunDir, ensemble: Contestant) -> list[Contestant]:
    """Every way that was not chosen; none where the search alone has made the ensemble."""
    if not run.exists(run.WAYS):
        return []
    found = []
    with undamaged(run.path(run.WAYS)):
        stored = run.read_json(run.WAYS)
        for way in stored["ways"]:
            own = _read(title(way["name"], way["source"]), way)
            if [way["name"], way["source"]] != stored["chosen"]:
                single = f"best single (trial {own.members[0][0][0]})"
                found.append(Contestant(single, own.members, own.temperature) if way["name"] == SINGLE else own)
            elif (own.members, own.temperature) != (ensemble.members, ensemble.temperature):
                raise RunError(
                    f"{run.path(run.WAYS)} is of another ensemble than the one in {run.ensemble.location}; make "
                    f"both anew: python -m medray.ensemble {run.location}"
                )
    return found


def _read(name: str, content: dict[str, Any]) -> Contestant:
    members = tuple(((int(m["trial"]), m["fold"]), float(m["weight"])) for m in content["members"])
    if not members:
        raise ValueError("no members")
    return Contestant(name, members, float(content["temperature"]))


def _alone(name: str, record: TrialRecord) -> Contestant:
    return Contestant(name, (((record.number, None), 1.0),), 1.0)


def networks_of(contestants: Sequence[Contestant]) -> list[Key]:
    """Every network that takes part, once."""
    return list(dict.fromkeys(key for contestant in contestants for key, _ in contestant.members))


def predict_members(
    run: RunDir, manifest: dict[str, Any], dataset: ImageDataset, images: LabelledImages, keys: Sequence[Key],
    device: str = "cpu",
) -> dict[Key, Array]:  # fmt: skip
    """What each network says of the images, float32 (n, classes); labels are not looked at.

    Raises:
        WeightsError: weights are missing or damaged, or not those that `manifest`'s ensemble was made of.
        RunError: the manifest is damaged.
    """
    with undamaged(run.ensemble.path(MANIFEST)):
        hashes = {(m["trial"], m["fold"]): str(m["sha256"]) for m in manifest["members"]}
    answers = {}
    for trial, fold in keys:
        folder = run.trial(trial) if fold is None else run.fold(trial, fold)
        answers[trial, fold] = _predict(folder, dataset, images, hashes.get((trial, fold)), device)
    return answers


def _predict(
    folder: TrialDir, dataset: ImageDataset, images: LabelledImages, sha256: str | None, device: str
) -> Array:
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
    tensors, facts = weights_from_bytes(content, name)
    settings = folder.read_json(folder.CONFIG)
    if facts.get("config") != settings:
        raise WeightsError(f"{name} is of another training than {folder.path(folder.CONFIG)}")
    config = TrainConfig.from_dict(settings)
    network = load_network(config, dataset.shape, len(dataset.class_names), tensors, name).to(device)
    return predict_probabilities(network, images, torch.device(device))


def combine(contestant: Contestant, answers: dict[Key, Array]) -> Array:
    """A contestant's probabilities, float32 (n, classes), as it would answer in use."""
    parts = [answers[key] for key, _ in contestant.members]
    averaged = average(parts, [weight for _, weight in contestant.members])
    return averaged if contestant.temperature == 1 else apply_temperature(averaged, contestant.temperature)
