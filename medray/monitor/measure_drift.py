"""Measure how the images and answers of a model in use move away from those of its study, without outcomes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medray.decisions.looks import LOOKS, Looks
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.ensemble.manifest import Manifest
from medray.monitor.logged_answers import LoggedAnswer
from medray.monitor.outcomes import JoinedOutcomes
from medray.monitor.patients import Patients
from medray.stats.rates import share_of
from medray.stats.sequential import evidence_above, evidence_below, share_sequence

TOLERATED_RANK = 0.05  # of a mean rank from one half: a shift of a sixth of a standard deviation


@dataclass(frozen=True)
class Day:
    """The answers of a day (UTC): their number, the share that called each class, the mean of their probability.

    `looks` are the means over the images, `size` the median height and width as they were sent; empty and None
    where the log does not say.
    """

    day: str
    answers: int
    shares: dict[str, float]
    confidence: float
    out_of_distribution: int
    outcomes: int
    looks: dict[str, float]
    size: tuple[float, float] | None


@dataclass(frozen=True)
class MonitoredDrift:
    """A mean over patients that should lie between `least` and `most`; either is None where it has no such end.

    Out of distribution it is the share of images, of a look the mean rank among the study's images: one half where
    the images are alike. `evidence` is the e-value against that, None where nothing is expected.
    """

    name: str
    images: int
    patients: int
    value: float | None
    low: float
    high: float
    least: float | None
    most: float | None
    evidence: float | None
    alarm: bool = False


def drifts_of(
    answers: Sequence[LoggedAnswer], counted: Sequence[int], patients: Patients, manifest: Manifest,
    looks: Looks | None, today: str,
) -> tuple[list[MonitoredDrift], int]:  # fmt: skip
    """Return the drift of out-of-distribution images and of each look, and how many patients wait for tomorrow."""
    planned: list[tuple[str, list[tuple[int, list[float]]], float | None, float | None]] = []
    if manifest.ood is not None:
        facts = manifest.ood.facts
        # The share is of images: of patients with several of them it has no bound that could be kept.
        of_patients = looks is None or looks.patients < looks.images
        flagged = np.arange(facts.images) < round(facts.false_alarms * facts.images)
        most = None if of_patients else share_of(flagged).high
        flags = [
            (row, [float(image.out_of_distribution is True) for image in answers[row].images])
            for row in counted
            if all(image.out_of_distribution is not None for image in answers[row].images)
        ]
        planned.append((OUT_OF_DISTRIBUTION.replace("_", " "), flags, None, most))
    if looks is not None:
        room = TOLERATED_RANK + looks.uncertainty
        for name, distribution in looks.looks.items():
            ranks = [
                (row, distribution.ranks([image.looks[name] for image in answers[row].images]).tolist())
                for row in counted
                if all(name in image.looks for image in answers[row].images)
            ]
            planned.append((name, ranks, 0.5 - room, 0.5 + room))
    drifts, waiting = [], 0
    for name, found, least, most in planned:
        rows = np.array([row for row, _ in found], dtype=np.int64)
        days = patients.first_days(rows, np.array([answers[row].day for row, _ in found], dtype=str), today)
        values = days.means(np.array([np.mean(values) for _, values in found], dtype=np.float64))
        low, high = share_sequence(values)
        value = float(values.mean()) if len(values) else None
        evidence = [evidence_below(values, least)] if least is not None and 0 < least < 1 else []
        evidence += [evidence_above(values, most)] if most is not None and 0 < most < 1 else []
        images = sum(len(of_row) for keep, (_, of_row) in zip(days.counted, found, strict=True) if keep)
        mean = float(np.mean(evidence)) if evidence else None
        drifts.append(MonitoredDrift(name, images, len(values), value, low, high, least, most, mean))
        waiting = max(waiting, days.waiting)
    return drifts, waiting


def days_of(answers: Sequence[LoggedAnswer], joined: JoinedOutcomes, class_names: Sequence[str]) -> list[Day]:
    """Return the answers by day, all of them, also those to images that were asked about before."""
    by_day: dict[str, list[int]] = {}
    for row, answer in enumerate(answers):
        by_day.setdefault(answer.day, []).append(row)
    days = []
    for day, rows in sorted(by_day.items()):
        counts = Counter(name for row in rows for name in answers[row].called)
        images = [image for row in rows for image in answers[row].images]
        sizes = [image.size for image in images if image.size is not None]
        height, width = np.median(sizes, axis=0).tolist() if sizes else (0.0, 0.0)
        looks = {name: [image.looks[name] for image in images if name in image.looks] for name in LOOKS}
        days.append(
            Day(
                day=day,
                answers=len(rows),
                shares={name: counts[name] / len(rows) for name in class_names},
                confidence=float(np.mean([max(answers[row].probabilities.values()) for row in rows])),
                out_of_distribution=sum(
                    any(image.out_of_distribution for image in answers[row].images) for row in rows
                ),
                outcomes=sum(joined.known[row] is not None for row in rows),
                looks={name: float(np.mean(values)) for name, values in looks.items() if values},
                size=(height, width) if sizes else None,
            )
        )
    return days
