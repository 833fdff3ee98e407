"""Promises of `medray monitor`: all alarms together are false in at most 5 of 100 models, looked at 600 times.

A day brings one patient, whose images go together: what is true of them, what is answered, and what they look
like. Everything lies just where it may: sensitivity and specificity at what they should be at least, the
probabilities off by the tolerated shift, looks and images out of distribution at their bounds. After each day one
looks. Beside that stands what would come of it if images counted as independent, and how soon a lost sensitivity
is noticed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.monitor.measure_drift import TOLERATED_RANK
from medray.monitor.patients import Patients
from medray.stats.sequential import ALPHA, TOLERATED, evidence_path_below, miscalibration_path

from .judging import twice_error
from .population import Population
from .table import Section

COLUMNS = (
    "images of a patient", "alike", "labels", "outcomes come", "false alarms", "false if images were independent",
    "patients until a sensitivity of 0.75 is noticed: half, nine in ten",
)  # fmt: skip
DAYS = 600
PROMISED, LOST = 0.9, 0.75  # sensitivity and specificity
UNLIKE = 0.05  # share of images out of distribution, at most
FIRST = np.datetime64("2026-01-01")
OUTCOMES = 3  # alarms of each label: sensitivity, specificity, calibration
DRIFTS = 2  # alarms of all images: out of distribution and a look
SHOULD, IS, SHARING = 0.95, 0.85, 4  # sensitivity, and how many alarms share ALPHA


@dataclass(frozen=True)
class UseCondition:
    """The kind of use: images of a patient, how much these are `alike` (a correlation), and labels.

    `spread` is the number of days over which the outcomes of a patient come, 1 for all at once.
    """

    images: int
    alike: float
    labels: int = 1
    spread: int = 1

    @property
    def cells(self) -> list[str]:
        """The first cells of a table's row."""
        come = "at once" if self.spread == 1 else f"over {self.spread} days"
        return [str(self.images), f"{self.alike:g}", str(self.labels), come]

    @property
    def needed(self) -> float:
        """The evidence that makes an alarm."""
        return (OUTCOMES * self.labels + DRIFTS) / ALPHA

    def shared(self, rng: np.random.Generator, labels: int) -> Array:
        """Return numbers evenly from 0 to 1, (images, labels), that a patient's images share by `alike`."""
        from scipy.special import ndtr

        patients = np.repeat(rng.normal(size=(DAYS, labels)), self.images, axis=0)
        own = rng.normal(size=(DAYS * self.images, labels))
        evenly: Array = ndtr(self.alike**0.5 * patients + (1 - self.alike) ** 0.5 * own)
        return evenly


def conditions(quick: bool) -> list[UseCondition]:
    """Return the kinds of use."""
    kinds = [
        UseCondition(1, 0.0), UseCondition(4, 0.0), UseCondition(4, 0.5), UseCondition(4, 1.0),
        UseCondition(4, 0.5, spread=5), UseCondition(4, 0.5, labels=4),
    ]  # fmt: skip
    return kinds[2:3] if quick else kinds


def run(population: Population, seed: int, quick: bool, studies: int | None) -> Iterator[str | Section]:
    """Yield a line of progress after each kind of use, and the table at the end; nothing else is drawn."""
    kinds, count, section = conditions(quick), studies or (20 if quick else 100), Section(COLUMNS)
    for index, condition in enumerate(kinds):
        rng = np.random.default_rng([seed, 11, index])
        false = np.array([first_alarm(condition, rng) <= DAYS for _ in range(count)])
        rng = np.random.default_rng([seed, 11, index])
        naive = np.array([first_alarm(condition, rng, keyed=False) <= DAYS for _ in range(count // 2)])
        waited = [first_alarm(condition, rng, sensitivity=LOST) for _ in range(count // 2)]
        half, most = np.quantile(waited, [0.5, 0.9], method="inverted_cdf")
        section.rows.append([
            *condition.cells, f"{false.mean():.3f}", f"{naive.mean():.3f}", f"{half:.0f}, {_days(most)}"
        ])  # fmt: skip
        if false.mean() - twice_error(false) > ALPHA:
            section.broken.append(f"{' '.join(condition.cells)}: {false.mean():.3f} false alarms")
        yield f"{index + 1} of {len(kinds)} kinds of use"
    section.notes.append(
        f"{count} models of each kind, {DAYS} looks at each; half as many in the last two columns."
    )
    half, most = worsening_noticed(np.random.default_rng([seed, 12]), count)
    section.notes.append(
        f"Where {SHARING} alarms share {ALPHA:.0%}, half of {10 * count} streams notice within {half:.0f} ill "
        f"patients, of one image and with an outcome, that a sensitivity is {IS} where it should be {SHOULD}; "
        f"nine in ten within {_days(most)}."
    )
    yield section


def worsening_noticed(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Return within how many ill patients half and nine in ten of 10 `count` streams have an alarm."""
    waited = [
        _first(
            np.arange(DAYS), evidence_path_below((rng.random(DAYS) < IS).astype(float), SHOULD), SHARING / ALPHA
        )
        for _ in range(10 * count)
    ]
    half, most = np.quantile(waited, [0.5, 0.9], method="inverted_cdf")
    return float(half), float(most)


def _days(most: float) -> str:
    return f"{most:.0f}" if most <= DAYS else f"more than {DAYS}"


def first_alarm(
    condition: UseCondition, rng: np.random.Generator, *, sensitivity: float = PROMISED, keyed: bool = True
) -> int:
    """Return the day of the first alarm of one model in use, `DAYS` + 1 where there is none.

    `sensitivity` is that of the first label.
    """
    total = DAYS * condition.images
    number = np.repeat(np.arange(DAYS), condition.images)
    patients = Patients(number if keyed else np.arange(total), np.full(total, keyed))
    late = np.tile(np.arange(condition.images) * condition.spread // condition.images, DAYS)
    probabilities, true = _outcomes(condition, rng)
    sensitivities = np.array([sensitivity, *[PROMISED] * (condition.labels - 1)])
    right = condition.shared(rng, condition.labels) < np.where(true, sensitivities, PROMISED)
    rank, flagged = _looks(condition, rng)
    every = np.full(total, True)
    # What is at most a share is one minus what is at least the rest.
    streams = [
        _Stream.of(patients, every, number, 1 - rank).alarm(0.5 - TOLERATED_RANK, condition.needed),
        _Stream.of(patients, every, number, 1 - flagged).alarm(1 - UNLIKE, condition.needed),
    ]
    for label in range(condition.labels):
        for of_true in (True, False):
            stream = _Stream.of(patients, true[:, label] == of_true, number + late, right[:, label].astype(float))
            streams.append(stream.alarm(PROMISED, condition.needed))
        streams.append(_calibration_alarm(
            patients, number + late, probabilities[:, label], true[:, label], condition.needed
        ))  # fmt: skip
    return min(streams)


@dataclass(frozen=True, eq=False)
class _Stream:
    """What patients count for, in the order of the `days` on which they do; both (n,)."""

    days: Array
    values: Array

    @classmethod
    def of(cls, patients: Patients, rows: Array, days: Array, values: Array) -> "_Stream":
        """Return the stream of the answers that are marked in `rows` (N,), known on `days` (N,)."""
        positions = np.flatnonzero(rows)
        first = patients.first_days(positions, FIRST + days[positions], str(FIRST + 2 * DAYS))
        since = first.means(days[positions].astype(np.float64)).astype(np.int64)
        order = np.argsort(since, kind="stable")
        return cls(since[order], first.means(values[positions])[order])

    def alarm(self, share: float, needed: float) -> int:
        """Return the first day with the evidence against a mean of at least `share`, `DAYS` + 1 without one."""
        return _first(self.days, evidence_path_below(self.values, share), needed)


def _first(days: Array, evidence: Array, needed: float) -> int:
    above = np.flatnonzero(evidence >= needed)
    return min(int(days[above[0]]) + 1, DAYS + 1) if len(above) else DAYS + 1


def _calibration_alarm(patients: Patients, days: Array, probabilities: Array, true: Array, needed: float) -> int:
    """Return the first day with the evidence against calibration."""
    first = patients.first_days(np.arange(len(days)), FIRST + days, str(FIRST + 2 * DAYS))
    since = first.means(days.astype(np.float64)).astype(np.int64)
    order = np.argsort(np.argsort(since, kind="stable"))  # the place of each patient
    place = order[np.unique(first.patients, return_inverse=True)[1]]
    path = miscalibration_path(probabilities[first.counted], true[first.counted], place)
    return _first(np.sort(since), path, needed)


def _outcomes(condition: UseCondition, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return probabilities (images, labels), and what is true: likelier by the tolerated shift of the log odds."""
    from scipy.special import expit, logit

    probabilities = 0.02 + 0.96 * condition.shared(rng, condition.labels)
    return probabilities, condition.shared(rng, condition.labels) < expit(logit(probabilities) + TOLERATED)


def _looks(condition: UseCondition, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return ranks (images,) with a mean of one half and what is tolerated, and which are out of distribution."""
    rank, flagged = condition.shared(rng, 2).T
    mean = 0.5 + TOLERATED_RANK
    return rank ** (1 / mean - 1), (flagged < UNLIKE).astype(float)  # the mean of u ** k is 1 / (1 + k)
