"""The service's answers as its audit log has them, of one version of the model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray._types import Progress, silent
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.serving.engine.audit_log import read_audit


@dataclass(frozen=True)
class LoggedAnswer:
    """An answer to an image or a case: its day (UTC), its keys, and what was said.

    `positive` are the decisions by operating point and event.
    """

    day: str
    request_id: str
    sha256: str | None
    label: str | None
    probabilities: Mapping[str, float]
    positive: Mapping[tuple[str, str], bool]
    out_of_distribution: bool


@dataclass(frozen=True)
class AnswerLog:
    """All answers of the model's last `version`, in their order, and how many other versions gave before."""

    version: str | None
    answers: Sequence[LoggedAnswer]
    of_others: int
    damaged: int


def read_answers(folder: Path, progress: Progress = silent) -> AnswerLog:
    """Read the audit log in a folder; records that are no answers are counted as damaged.

    Raises:
        AuditError: it can't be read.
    """
    by_version: dict[str, list[LoggedAnswer]] = {}
    last, damaged = None, 0
    for number, record in enumerate(read_audit(folder)):
        progress("Reading answers", number, number + 1)
        try:
            last = str(record["model"]["version"])
            by_version.setdefault(last, []).append(_answer(record))
        except (KeyError, TypeError, ValueError, AttributeError):
            damaged += 1
    answers = by_version.get(last, []) if last is not None else []
    others = sum(map(len, by_version.values())) - len(answers)
    return AnswerLog(last, answers, others, damaged)


def _answer(record: Mapping[str, Any]) -> LoggedAnswer:
    return LoggedAnswer(
        day=str(record["time"])[:10],
        request_id=str(record["request_id"]),
        sha256=record.get("sha256"),
        label=record.get("label"),
        probabilities={str(name): float(value) for name, value in record["probabilities"].items()},
        positive=dict(_decisions(record["decisions"])),
        out_of_distribution=OUT_OF_DISTRIBUTION in record["flags"],
    )


def _decisions(decisions: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], bool]]:
    for decision in decisions:
        yield (str(decision["operating_point"]), str(decision["event"])), bool(decision["positive"])
