"""Measure a model in use: its answers by day, and against outcomes, with alarms that keep their error rate.

All alarms together are false with a probability of at most 5 %, however often one looks: each has its share of it,
be it of an operating point, of a label or of what images look like. The bound is the sum over the alarms
(Bonferroni), which holds however these go together.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from medray.decisions.looks import Looks
from medray.ensemble.manifest import Manifest
from medray.monitor.logged_answers import AnswerLog
from medray.monitor.measure_drift import Day, MonitoredDrift, days_of, drifts_of
from medray.monitor.measure_outcomes import (
    EventOutcomes,
    MonitoredCalibration,
    MonitoredRate,
    Verification,
    calibration_events,
    calibration_of,
    class_verification,
    contradiction_note,
    point_rates,
    verification_notes,
)
from medray.monitor.outcomes import JoinedOutcomes
from medray.monitor.patients import Patients
from medray.stats.sequential import ALPHA
from medray.tasks import TASKS
from medray.text import plural

Alarming = TypeVar("Alarming", MonitoredRate, MonitoredCalibration, MonitoredDrift)


@dataclass(frozen=True)
class ModelInUse:
    """What is known of a version of a model in use; `notes` are what keeps figures from meaning what they say.

    `unit` is what is answered, image or case. `needed` is the evidence that makes an alarm.
    """

    version: str | None
    unit: str
    answers: int
    outcomes: int
    days: tuple[Day, ...]
    drifts: tuple[MonitoredDrift, ...]
    verification: tuple[Verification, ...]
    rates: tuple[MonitoredRate, ...]
    calibrations: tuple[MonitoredCalibration, ...]
    needed: float
    notes: tuple[str, ...]

    @property
    def alarmed(self) -> list[str]:
        """The names of what is alarmed about."""
        return [
            *(drift.name for drift in self.drifts if drift.alarm),
            *(rate.name for rate in self.rates if rate.alarm),
            *(f"calibration of {one.event}" for one in self.calibrations if one.alarm),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)


def measure_use(
    log: AnswerLog, joined: JoinedOutcomes, manifest: Manifest, looks: Looks | None, today: str
) -> ModelInUse:
    """Measure the answers of a log, with the outcomes that are known, against what the ensemble promises.

    `today` is the date (UTC), whose patients may have more images to come.
    """
    task, names, answers = TASKS[manifest.task], manifest.class_names, log.answers
    own_keys = [{answer.patient} if answer.patient else set() for answer in answers]
    all_keys = [
        own | (known.patients if known else set()) for own, known in zip(own_keys, joined.known, strict=True)
    ]
    by_request, by_any = (Patients.of(answers, keys) for keys in (own_keys, all_keys))
    drifts, waiting = drifts_of(answers, joined.counted, by_request, manifest, looks, today)
    rates: list[MonitoredRate] = []
    verified: list[Verification] = []
    for point in manifest.operating_points:
        of_event = EventOutcomes.of(point.event, answers, joined, names)
        found, sides, late = point_rates(point, of_event, answers, joined.counted, by_any, today)
        rates, verified, waiting = [*rates, *found], [*verified, *sides], max(waiting, late)
    calibrations = []
    for event in calibration_events(manifest):
        of_event = EventOutcomes.of(event, answers, joined, names)
        calibrations.append(calibration_of(event, of_event, by_any, today))
    promised = sum(rate.expected is not None for rate in rates)
    needed = (len(calibrations) + len(drifts) + promised) / ALPHA
    known = [row for row in joined.counted if joined.known[row] is not None]
    notes = [
        *_log_notes(log, joined, manifest, looks),
        *_patient_notes(answers, known, by_request, by_any, waiting),
        *verification_notes(rates, verified),
        *filter(None, [contradiction_note(answers, joined, label_sets=task.label_sets)]),
    ]
    return ModelInUse(
        version=log.version,
        unit="image" if manifest.cases is None else "case",
        answers=len(answers),
        outcomes=len(known),
        days=tuple(days_of(answers, joined, names)),
        drifts=_alarmed(drifts, needed),
        verification=tuple(class_verification(answers, joined, names, label_sets=task.label_sets)),
        rates=_alarmed(rates, needed),
        calibrations=_alarmed(calibrations, needed),
        needed=needed,
        notes=tuple(notes),
    )


def _alarmed(measured: Sequence[Alarming], needed: float) -> tuple[Alarming, ...]:
    """Return what was measured, with an alarm where the evidence is enough."""
    return tuple(replace(one, alarm=one.evidence is not None and one.evidence >= needed) for one in measured)


def _log_notes(log: AnswerLog, joined: JoinedOutcomes, manifest: Manifest, looks: Looks | None) -> list[str]:
    notes = []
    if log.is_cut:
        notes.append("older files of the audit log are gone: alarms keep their error rate over all answers only")
    if log.of_others:
        notes.append(f"{plural(log.of_others, 'answer')} of other versions of the model left out")
    if log.alone:
        notes.append(
            f"{plural(log.alone, 'answer')} to images alone left out: this model promises something of cases"
        )
    if log.damaged:
        notes.append(f"{plural(log.damaged, 'record')} left out: no answers")
    if joined.without_answer:
        notes.append(f"{plural(joined.without_answer, 'outcome')} of no answer of this version")
    if joined.ambiguous:
        notes.append(
            f"{plural(joined.ambiguous, 'outcome')} that fit several answers: they need request_id and sha256"
        )
    if looks is None:
        notes.append(
            "the ensemble does not say how its study's images look; `medray ensemble` makes one that does"
        )
    return notes


def _patient_notes(
    answers: Sequence[object], known: Sequence[int], by_request: Patients, by_any: Patients, waiting: int
) -> list[str]:
    """Return what is not known of patients; answers with an outcome are at the rows `known`."""
    notes = []
    if waiting:
        notes.append(
            f"{plural(waiting, 'patient')} of today not counted until the day (UTC) is over: more may come"
        )
    nameless = len(answers) - int(by_request.keyed.sum())
    unnamed = len(known) - int(by_any.keyed[list(known)].sum())
    if nameless:
        notes.append(
            f"{nameless:,} of {plural(len(answers), 'answer')} ({unnamed:,} of {len(known):,} with an outcome) "
            "name no patient, and count as if each had one of its own: alarms hold only where that is so"
        )
    return notes
