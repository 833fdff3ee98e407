"""The service's answers as its audit log has them, of one version of the model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray._types import Progress, silent
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.serving.engine.audit_log import is_cut, read_audit


@dataclass(frozen=True)
class LoggedAnswer:
    """An answer to an image or a case: its day (UTC), its keys, and what was said.

    `digests` are the SHA-256 of its images, `positive` the decisions by operating point and event.
    """

    day: str
    request_id: str
    digests: tuple[str, ...]
    label: str | None
    probabilities: Mapping[str, float]
    positive: Mapping[tuple[str, str], bool]
    out_of_distribution: bool

    @property
    def subject(self) -> frozenset[str]:
        """What was answered, however often it was asked about: the images."""
        return frozenset(self.digests)


@dataclass(frozen=True)
class AnswerLog:
    """All answers of the model's last `version`, in their order, and how many other versions gave before.

    `is_cut` says that older files of the log were deleted.
    """

    version: str | None
    answers: Sequence[LoggedAnswer]
    of_others: int
    damaged: int
    is_cut: bool = False


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
    return AnswerLog(last, answers, others, damaged, is_cut(folder))


def _answer(record: Mapping[str, Any]) -> LoggedAnswer:
    return LoggedAnswer(
        day=str(record["time"])[:10],
        request_id=str(record["request_id"]),
        digests=_digests(record),
        label=record.get("label"),
        probabilities={str(name): float(value) for name, value in record["probabilities"].items()},
        positive=dict(_decisions(record["decisions"])),
        out_of_distribution=OUT_OF_DISTRIBUTION in record["flags"],
    )


def _digests(record: Mapping[str, Any]) -> tuple[str, ...]:
    if "images" in record:  # of a case
        return tuple(str(image["sha256"]) for image in record["images"])
    return (str(record["sha256"]),)


def _decisions(decisions: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], bool]]:
    for decision in decisions:
        yield (str(decision["operating_point"]), str(decision["event"])), bool(decision["positive"])
