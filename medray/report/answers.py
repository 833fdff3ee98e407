"""What the ensemble, or the best trial, says of images that it was not trained on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray._types import Array
from medray.analyze.open_runs import SeenRun
from medray.analyze.partial import RUNNING
from medray.decisions.temperature import apply_temperature
from medray.ensemble.averaging import average
from medray.ensemble.candidates import CHOSEN_ON, FOLDS, TRIALS
from medray.errors import RunError
from medray.evaluate.evaluated_models import ENSEMBLE
from medray.evaluate.test_reads import Reading
from medray.runs.fold_results import FoldedSetting
from medray.runs.leaderboard import rank, usable
from medray.runs.rundir import read_predictions
from medray.stats.validate import check_labelled

VAL, OUT_OF_FOLD = CHOSEN_ON[TRIALS], CHOSEN_ON[FOLDS]
IN_WORDS = {VAL: "validation", OUT_OF_FOLD: "out-of-fold", "test": "test"}


@dataclass(frozen=True)
class Answers:
    """Probabilities (n, classes) of one model for images of `labels` (n,).

    `on` is val, out-of-fold or test; `positions` (n,) are the images' places in the data set where known.
    """

    who: str
    on: str
    probabilities: Array
    labels: Array
    positions: Array | None = None

    @property
    def images(self) -> str:
        """Which images, in words."""
        return f"{len(self.labels)} {IN_WORDS[self.on]} images"

    @property
    def predicted(self) -> Array:
        """The likeliest class of each image, int64 (n,)."""
        found: Array = self.probabilities.argmax(axis=1)
        return found


def own_answers(
    seen: SeenRun, manifest: dict[str, Any] | None, settings: Sequence[FoldedSetting]
) -> Answers | None:
    """What the ensemble says of the images that it was chosen on; without one, the best trial of validation.

    None where no trial has ended.

    Raises:
        RunError: the predictions that it was made of are missing or damaged.
    """
    if manifest is None:
        ranked = rank((r for r in usable(seen.records) if r.state != RUNNING), seen.mode)
        if not ranked:
            return None
        return Answers(f"trial {ranked[0].number}", VAL, *_of_trial(seen, ranked[0].number), _val(seen))
    weights: dict[int, float] = {}
    for member in manifest["members"]:
        weights[member["trial"]] = weights.get(member["trial"], 0.0) + member["weight"]
    on = manifest["chosen_on"]["predictions"]
    if on == VAL:
        parts = [_of_trial(seen, number) for number in weights]
        labels, positions = parts[0][1], _val(seen)
        whole = _averaged([probabilities for probabilities, _ in parts], weights.values())
    else:
        chosen = [_setting(settings, number) for number in weights]
        labels, positions = chosen[0].labels, chosen[0].positions
        whole = _averaged([setting.probabilities for setting in chosen], weights.values())
    return Answers(ENSEMBLE, on, apply_temperature(whole, manifest["temperature"]), labels, positions)


def stored_answers(reading: Reading) -> Answers | None:
    """What the ensemble said of the test images, as the evaluation has stored it; None if it did not.

    Raises:
        RunError: the file is missing or damaged.
    """
    models, labels = reading.predictions()
    if ENSEMBLE not in models:
        return None
    check_labelled(models[ENSEMBLE], labels)
    return Answers(ENSEMBLE, "test", models[ENSEMBLE], labels)


def _of_trial(seen: SeenRun, number: int) -> tuple[Array, Array]:
    record = next((r for r in seen.records if r.number == number), None)
    if record is None:
        raise RunError(f"trial {number}, a member of the ensemble, is not in {seen.run.location}")
    return read_predictions(seen.run.trial(number), record.best_epoch)


def _setting(settings: Sequence[FoldedSetting], number: int) -> FoldedSetting:
    found = next((setting for setting in settings if setting.number == number), None)
    if found is None:
        raise RunError(f"trial {number}, a member of the ensemble, has no whole cross-validation any more")
    return found


def _val(seen: SeenRun) -> Array | None:
    """The validation images' places in the data set; a note where they are not known."""
    name = seen.run.SPLITS
    try:
        return np.array(seen.run.read_json(name)["val"], dtype=np.int64).reshape(-1)
    except (RunError, OSError, KeyError, TypeError, ValueError, OverflowError):
        seen.notes.append(f"{seen.run.path(name)} can't be read: which images are for validation is not known")
        return None


def _averaged(parts: Sequence[Array], weights: Iterable[float]) -> Array:
    if len({part.shape for part in parts}) > 1:
        raise RunError("the ensemble's members were measured on other images than one another")
    return average(parts, list(weights))
