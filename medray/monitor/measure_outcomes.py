"""Measure answers against outcomes: sensitivity, specificity and calibration of each event, one bet a patient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array
from medray.console_tables import number
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.manifest import Manifest
from medray.monitor.logged_answers import LoggedAnswer, Point
from medray.monitor.outcomes import JoinedOutcomes
from medray.monitor.patients import FirstDays, Patients
from medray.stats.events import Event
from medray.stats.sequential import evidence_below, evidence_of_miscalibration, share_sequence
from medray.tasks import TASKS

UNEVEN = 1.5  # times as often an outcome among positive answers as among negative ones, or the reverse
FEWEST, CONTRADICTED = 10, 0.9  # outcomes, and the share of them that contradict the answer


@dataclass(frozen=True)
class MonitoredRate:
    """The sensitivity or specificity of an operating point, of so many `images` of `patients` patients.

    `value` is the mean over the patients, with the ends of its confidence sequence; None without any. `expected`
    is what it should be at least, None where nothing was promised; `evidence` the e-value against that, and
    `reason` why there is none. `corrected` is the value where outcomes depend on the answer (Begg & Greenes 1983),
    None where that can't be said.
    """

    name: str
    images: int
    patients: int
    value: float | None
    low: float
    high: float
    corrected: float | None
    expected: float | None
    evidence: float | None
    reason: str | None
    alarm: bool = False


@dataclass(frozen=True)
class MonitoredCalibration:
    """How often an event was true, and how often by the answers it should have been, on average over patients.

    `low` and `high` are the ends of the confidence sequence of the difference, `evidence` the e-value against "the
    log odds are right up to the tolerated shift".
    """

    event: str
    images: int
    patients: int
    observed: float | None
    predicted: float | None
    low: float
    high: float
    evidence: float
    alarm: bool = False


@dataclass(frozen=True)
class Verification:
    """How many answers called a class or label, or did not, and of how many the outcome is known."""

    name: str
    called: bool
    answers: int
    outcomes: int

    @property
    def share(self) -> float | None:
        """The share of answers with an outcome, None where there are no answers."""
        return self.outcomes / self.answers if self.answers else None


@dataclass(frozen=True, eq=False)
class EventOutcomes:
    """What is known of an event: of the counted answers at `rows` (m,), since `days` (m,), whether they have it.

    `scores` (m,) are its probabilities in these answers, and `having` bool (m,).
    """

    rows: Array
    days: Array
    scores: Array
    having: Array

    @classmethod
    def of(
        cls, event: Event, answers: Sequence[LoggedAnswer], joined: JoinedOutcomes, names: Sequence[str]
    ) -> "EventOutcomes":
        """Return what is known of an event; of ordered grades it is that an answer is of the class or above it."""
        label = names[event.class_index]
        members = names[event.class_index :] if event.and_above else [label]
        rows, days, scores, having = [], [], [], []
        for row in joined.counted:
            known = joined.known[row]
            if known is None or label not in known.having:
                continue
            rows.append(row)
            days.append(known.days[label])
            scores.append(min(1.0, sum(answers[row].probabilities[name] for name in members)))
            having.append(any(known.having[name] for name in members))
        return cls(
            np.array(rows, dtype=np.int64), np.array(days, dtype=str), np.array(scores, dtype=np.float64),
            np.array(having, dtype=bool),
        )  # fmt: skip


def point_rates(
    point: OperatingPoint, of_event: EventOutcomes, answers: Sequence[LoggedAnswer], counted: Sequence[int],
    patients: Patients, today: str,
) -> tuple[list[MonitoredRate], list[Verification], int]:  # fmt: skip
    """Return the rates of a point, how many answers have an outcome, and how many patients wait for tomorrow."""
    key: Point = (point.name, point.event.name)
    decided = {row: answers[row].positive[key] for row in counted if key in answers[row].positive}
    known = np.array([row in decided for row in of_event.rows.tolist()], dtype=bool)
    called = np.array([decided[row] for row in of_event.rows[known].tolist()], dtype=bool)
    verified = [
        Verification(f"{point.event.name} at {point.name}", side, sum(c is side for c in decided.values()),
                     int((called == side).sum()))
        for side in (True, False)
    ]  # fmt: skip
    joint = patients.first_days(of_event.rows[known], of_event.days[known], today)
    # A patient's later outcomes don't count, so the ratio is that of the outcomes that do.
    ratio = _ratio(
        *(replace(side, outcomes=int((called[joint.counted] == side.called).sum())) for side in verified)
    )
    rates = []
    for name, of_having, promised in (
        ("sensitivity", True, point.rates.sensitivity.low), ("specificity", False, point.rates.specificity.low),
    ):  # fmt: skip
        selected = joint.counted & (of_event.having[known] == of_having)
        rows = np.flatnonzero(known)[selected]
        days = patients.first_days(of_event.rows[rows], of_event.days[rows], today)
        right = (called == of_having)[selected]
        title = f"{name}, {point.event.name} at {point.name}"
        rates.append(_rate(title, right, days, promised, ratio if of_having or ratio is None else 1 / ratio))
    return rates, verified, joint.waiting


def _ratio(called: Verification, others: Verification) -> float | None:
    """Return how many times as often positive answers have an outcome as negative ones, None if one has none."""
    if called.share is None or others.share is None:
        return 1.0  # all answers are alike, and so are those with an outcome
    if not called.outcomes or not others.outcomes:
        return None
    return called.share / others.share


def _rate(name: str, right: Array, days: FirstDays, promised: float | None, ratio: float | None) -> MonitoredRate:
    """Return a rate by which answers are `right` bool (m,).

    `ratio` says how many times as often a right answer has an outcome as a wrong one. Where outcomes depend on the
    answer alone, the odds of the rate are so many times those of all images: then less is to be expected.
    """
    values = days.means(right.astype(np.float64))
    low, high = share_sequence(values)
    value = float(values.mean()) if len(values) else None
    evidence, reason = None, "nothing promised" if promised is None else None
    if ratio is None:
        reason = "outcomes of one kind of answer alone" if len(values) else "no outcome counts yet"
    elif promised is not None and 0 < promised < 1:
        evidence = evidence_below(values, min(promised, _with_odds(promised, ratio)))
    corrected = None if ratio is None or value is None else _with_odds(value, 1 / ratio)
    return MonitoredRate(
        name, len(days.patients), len(values), value, low, high, corrected, promised, evidence, reason
    )


def _with_odds(share: float, times: float) -> float:
    """Return the share whose odds are so many times those of `share`."""
    return share * times / (share * times + 1 - share)


def calibration_of(event: Event, of_event: EventOutcomes, patients: Patients, today: str) -> MonitoredCalibration:
    """Return the calibration of an event's probabilities."""
    days = patients.first_days(of_event.rows, of_event.days, today)
    scores, having = of_event.scores[days.counted], of_event.having[days.counted]
    observed, predicted = (days.means(column.astype(np.float64)) for column in (of_event.having, of_event.scores))
    low, high = share_sequence((1 + observed - predicted) / 2)
    return MonitoredCalibration(
        event.name,
        len(scores),
        len(observed),
        float(observed.mean()) if len(observed) else None,
        float(predicted.mean()) if len(observed) else None,
        2 * low - 1,
        2 * high - 1,
        evidence_of_miscalibration(scores, having, days.patients),
    )


def calibration_events(manifest: Manifest) -> list[Event]:
    """Return the events whose probabilities are measured: of two classes one, since the other is its reverse."""
    task, names = TASKS[manifest.task], manifest.class_names
    events = task.events(names)
    if len(names) > 2 or task.label_sets or task.cuts:
        return events
    named = [point.event for point in manifest.operating_points]
    return named[:1] or events[1:]


def class_verification(
    answers: Sequence[LoggedAnswer], joined: JoinedOutcomes, names: Sequence[str], *, label_sets: bool
) -> list[Verification]:
    """Return how many answers called each class or label, or did not, and how many of them have an outcome."""
    found = []
    for name in names:
        for called in (True, False) if label_sets else (True,):
            rows = [row for row in joined.counted if (name in answers[row].called) is called]
            known = [joined.known[row] for row in rows]
            found.append(
                Verification(name, called, len(rows), sum(one is not None and name in one.having for one in known))
            )
    return found


def verification_notes(rates: Sequence[MonitoredRate], verified: Sequence[Verification]) -> Iterator[str]:
    """Yield where outcomes depend on the answers, so that rates are not those of all images."""
    for (sensitivity, specificity), (called, others) in zip(
        zip(rates[::2], rates[1::2], strict=True), zip(verified[::2], verified[1::2], strict=True), strict=True
    ):
        if called.share is None or others.share is None or not called.outcomes + others.outcomes:
            continue
        shares = f"{called.name}: {_percent(called)} of positive answers and {_percent(others)} of negative ones"
        if not others.outcomes or not called.outcomes:
            yield f"{shares} have an outcome: neither sensitivity nor specificity can be known (verification bias)"
        elif max(called.share, others.share) > UNEVEN * min(called.share, others.share):
            yield (
                f"{shares} have an outcome (verification bias): if that is for the answer alone, sensitivity is "
                f"{number(sensitivity.corrected)} and specificity {number(specificity.corrected)} of all images"
            )


def _percent(side: Verification) -> str:
    return "none" if side.share is None else f"{side.share:.0%}"


def contradiction_note(answers: Sequence[LoggedAnswer], joined: JoinedOutcomes, *, label_sets: bool) -> str | None:
    """Return a note where nearly all outcomes contradict the answers, as if only disagreements were reported.

    Of several labels one contradicts the answer where all labels do that it names.
    """
    differs = all if label_sets else any
    wrong = total = 0
    for row in joined.counted:
        known = joined.known[row]
        if known is not None:
            total += 1
            wrong += differs((name in answers[row].called) is not having for name, having in known.having.items())
    if total < FEWEST or wrong < CONTRADICTED * total:
        return None
    return (
        f"{wrong:,} of {total:,} outcomes contradict the answer: if only disagreements are reported, nothing here "
        "is a rate of all images"
    )
