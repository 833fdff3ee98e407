"""Measure a model in use: its answers by day, and against outcomes, with alarms that keep their error rate.

All alarms together are false with a probability of at most 5 %, however often one looks: each has its share of it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.manifest import Manifest
from medray.monitor.logged_answers import AnswerLog, LoggedAnswer
from medray.monitor.outcomes import JoinedOutcomes
from medray.stats.rates import share_of
from medray.stats.sequential import (
    ALPHA,
    evidence_above,
    evidence_below,
    evidence_of_miscalibration,
    share_sequence,
)

UNEVEN = 2.0  # times as often an outcome among positive answers as among negative ones, or the reverse


@dataclass(frozen=True)
class Day:
    """The answers of a day (UTC): their number, the share of each class, the mean probability of the answer."""

    day: str
    answers: int
    shares: dict[str, float]
    confidence: float
    out_of_distribution: int
    outcomes: int


@dataclass(frozen=True)
class MonitoredRate:
    """A share, `count` of `total` answers, with a confidence sequence, and what it should be at least or at most.

    `evidence` is the e-value against that, None where nothing was promised; `alarm` whether it is enough.
    """

    name: str
    count: int
    total: int
    low: float
    high: float
    expected: float | None
    evidence: float | None
    alarm: bool

    @property
    def value(self) -> float | None:
        """The share that was seen, None where total is 0."""
        return self.count / self.total if self.total else None


@dataclass(frozen=True)
class ModelInUse:
    """What is known of a version of a model in use; `notes` are what keeps figures from meaning what they say."""

    version: str | None
    answers: int
    outcomes: int
    days: tuple[Day, ...]
    rates: tuple[MonitoredRate, ...]
    calibration: float | None
    calibration_alarm: bool
    notes: tuple[str, ...]

    @property
    def alarmed(self) -> list[str]:
        """The names of what is alarmed about."""
        names = [rate.name for rate in self.rates if rate.alarm]
        return [*names, *(["calibration"] if self.calibration_alarm else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)


def measure_use(log: AnswerLog, joined: JoinedOutcomes, manifest: Manifest) -> ModelInUse:
    """Measure the answers of a log, with the outcomes that are known, against what the ensemble promises."""
    labels = list(joined.labels)
    known = [(answer, label) for answer, label in zip(log.answers, labels, strict=True) if label is not None]
    planned: list[tuple[str, int, int, float | None, bool]] = []
    for point in manifest.operating_points:
        planned += _point_rates(point, known, manifest.class_names)
    if manifest.ood is not None:
        flagged = sum(log.answers[row].out_of_distribution for row in joined.counted)
        facts = manifest.ood.facts
        most = share_of(np.arange(facts.images) < round(facts.false_alarms * facts.images)).high
        planned.append(("out of distribution", flagged, len(joined.counted), most, False))
    alarms = sum(expected is not None for *_, expected, _ in planned) + 1
    needed = alarms / ALPHA
    rates = tuple(_rate(*plan, needed=needed) for plan in planned)
    calibration = _calibration(known, manifest) if known else None
    return ModelInUse(
        version=log.version,
        answers=len(log.answers),
        outcomes=len(known),
        days=tuple(_days(log.answers, labels)),
        rates=rates,
        calibration=calibration,
        calibration_alarm=calibration is not None and calibration >= needed,
        notes=tuple(_notes(log, joined, manifest)),
    )


Known = Sequence[tuple[LoggedAnswer, str]]


def _point_rates(
    point: OperatingPoint, known: Known, names: Sequence[str]
) -> list[tuple[str, int, int, float | None, bool]]:
    """Return sensitivity and specificity of a point as they are planned: name, counts, expected, and the side."""
    key = (point.name, point.event.name)
    positives = names[point.event.class_index :] if point.event.and_above else [names[point.event.class_index]]
    decided = [(answer.positive[key], label in positives) for answer, label in known if key in answer.positive]
    hits, ill = sum(called and having for called, having in decided), sum(having for _, having in decided)
    kept = sum(not called and not having for called, having in decided)
    title = f"{point.name} ({point.event.name})"
    return [
        (f"sensitivity of {title}", hits, ill, point.rates.sensitivity.low, True),
        (f"specificity of {title}", kept, len(decided) - ill, point.rates.specificity.low, True),
    ]


def _rate(
    name: str, count: int, total: int, expected: float | None, at_least: bool, *, needed: float
) -> MonitoredRate:
    low, high = share_sequence(count, total)
    evidence = None
    if expected is not None and 0 < expected < 1:
        evidence = (evidence_below if at_least else evidence_above)(count, total, expected)
    return MonitoredRate(
        name, count, total, low, high, expected, evidence, evidence is not None and evidence >= needed
    )


def _calibration(known: Known, manifest: Manifest) -> float:
    """Return the mean over the classes of the e-value against calibration, which is one too."""
    values = [
        evidence_of_miscalibration(
            np.array([answer.probabilities[name] for answer, _ in known]),
            np.array([label == name for _, label in known]),
        )
        for name in manifest.class_names
    ]
    return float(np.mean(values))


def _days(answers: Sequence[LoggedAnswer], labels: Sequence[str | None]) -> list[Day]:
    by_day: dict[str, list[int]] = {}
    for row, answer in enumerate(answers):
        by_day.setdefault(answer.day, []).append(row)
    days = []
    for day, rows in sorted(by_day.items()):
        counts = Counter(answers[row].label or "several" for row in rows)
        days.append(
            Day(
                day=day,
                answers=len(rows),
                shares={name: count / len(rows) for name, count in counts.items()},
                confidence=float(np.mean([max(answers[row].probabilities.values()) for row in rows])),
                out_of_distribution=sum(answers[row].out_of_distribution for row in rows),
                outcomes=sum(labels[row] is not None for row in rows),
            )
        )
    return days


def _notes(log: AnswerLog, joined: JoinedOutcomes, manifest: Manifest) -> list[str]:
    notes = []
    if log.is_cut:
        notes.append("older files of the audit log are gone: alarms keep their error rate over all answers only")
    if log.of_others:
        notes.append(f"{log.of_others:,} answers of other versions of the model are left out")
    if log.damaged:
        notes.append(f"{log.damaged:,} records are no answers, and are left out")
    if joined.without_answer:
        notes.append(f"{joined.without_answer:,} outcomes fit no answer of this version")
    if joined.ambiguous:
        notes.append(f"{joined.ambiguous:,} outcomes are of requests with several images: they need sha256 too")
    for point in manifest.operating_points:
        key = (point.name, point.event.name)
        shares = []
        for side in (True, False):
            rows = [row for row, answer in enumerate(log.answers) if answer.positive.get(key) is side]
            shares.append(sum(joined.labels[row] is not None for row in rows) / len(rows) if rows else None)
        called, not_called = shares
        if called is None or not_called is None:
            continue
        if max(called, not_called) > UNEVEN * min(called, not_called):
            notes.append(
                f"{point.name} ({point.event.name}): {called:.0%} of positive answers have an outcome and "
                f"{not_called:.0%} of negative ones: sensitivity and specificity are not those of all images "
                "(verification bias)"
            )
    return notes
