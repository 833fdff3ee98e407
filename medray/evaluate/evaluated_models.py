"""The models that are measured on the test split: ensemble, other selections, best single model, baselines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from medray._types import Array
from medray.data.dataset import ImageDataset, LabelledImages
from medray.ensemble.averaging import calibrated_average
from medray.ensemble.candidates import NetworkKey
from medray.ensemble.manifest import Manifest, MemberFacts
from medray.ensemble.predict_networks import predict_networks
from medray.errors import RunError
from medray.runs.finished_search import FinishedSearch
from medray.runs.leaderboard import rank, usable
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import SINGLE, WeightedMember
from medray.runs.trial_record import TrialRecord
from medray.stats.outputs import Outputs
from medray.tasks import TASKS

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class EvaluatedModel:
    """A model to be measured: the weighted mean of its `members`' probabilities after the temperatures.

    Where `label_sets`, an image may have several labels. `baseline` is the name of the search space's baseline
    that is measured, None for other models; `primary` says that the ensemble's comparison with this model is the
    one that was named beforehand.
    """

    name: str
    members: tuple[tuple[NetworkKey, float], ...]
    temperatures: tuple[float, ...] = (1.0,)
    label_sets: bool = False
    baseline: str | None = None
    primary: bool = False

    def combine(self, predictions: Mapping[NetworkKey, Array]) -> Array:
        """Return the model's probabilities, float32 (n, classes), as it answers in use."""
        keys, weights = zip(*self.members, strict=True)
        tables = [predictions[key] for key in keys]
        return calibrated_average(tables, weights, self.temperatures, label_sets=self.label_sets)


def evaluated_models(search: FinishedSearch, manifest: Manifest) -> list[EvaluatedModel]:
    """Return the ensemble that `manifest` describes, first, then all models that it is compared with.

    The primary one is the best baseline by validation, or where there is none the best single model.

    Raises:
        RunError: a file is damaged, or the stored selections are those of another ensemble.
    """
    ensemble = EvaluatedModel(ENSEMBLE, _members(manifest.members), manifest.temperatures)
    ranked = rank(usable(search.records), search.space.mode)
    selections = search.run.read_selections()
    if selections is None:  # the search alone has made the ensemble
        others = [EvaluatedModel(f"best single (trial {record.number})", _single(record)) for record in ranked[:1]]
        singles = [model.name for model in others]
    else:
        selected = selections.of_ensemble
        if (_members(selected.members), selected.temperatures) != (ensemble.members, ensemble.temperatures):
            raise RunError(
                f"{search.run.path(search.run.SELECTION)} is of another ensemble than the one in "
                f"{search.run.ensemble.location}; make both anew: medray ensemble {search.run.location}"
            )
        others, singles = [], []
        for selection in selections.selections:
            if selection is not selected:
                single = f"best single (trial {selection.members[0].trial})"
                name = single if selection.strategy == SINGLE else selection.title
                singles += [single] if selection.strategy == SINGLE else []
                others.append(EvaluatedModel(name, _members(selection.members), selection.temperatures))
    baselines = [
        EvaluatedModel(baseline_name(record), _single(record), baseline=record.baseline)
        for record in sorted(ranked, key=lambda record: record.number)
        if record.baseline
    ]
    best = [baseline_name(record) for record in ranked if record.baseline][:1] or singles
    models = [ensemble, *(replace(model, primary=model.name in best) for model in (*others, *baselines))]
    return [replace(model, label_sets=TASKS[manifest.task].label_sets) for model in models]


def baseline_name(record: TrialRecord) -> str:
    """Return the name of a baseline among the evaluated models."""
    return f"baseline {record.baseline} (trial {record.number})"


def _members(members: Sequence[WeightedMember | MemberFacts]) -> tuple[tuple[NetworkKey, float], ...]:
    return tuple(((member.trial, member.fold), member.weight) for member in members)


def _single(record: TrialRecord) -> tuple[tuple[NetworkKey, float], ...]:
    return (((record.number, None), 1.0),)


def network_keys(models: Iterable[EvaluatedModel]) -> list[NetworkKey]:
    """Return the keys of all members of the models, each once."""
    return list(dict.fromkeys(key for model in models for key, _ in model.members))


def predict_members(
    run: RunDir, manifest: Manifest, dataset: ImageDataset, images: LabelledImages, keys: Sequence[NetworkKey]
) -> dict[NetworkKey, Outputs]:
    """Return each network's outputs of the images (n,), without reading their labels.

    Raises:
        WeightsError: weights are missing or damaged, or not those that `manifest`'s ensemble was made of.
        RunError: settings are missing or damaged.
    """
    hashes = {(member.trial, member.fold): member.sha256 for member in manifest.members}
    return predict_networks(run, dataset, images, keys, hashes)
