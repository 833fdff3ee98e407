"""The service's answers as its audit log has them, of one version of the model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medray._types import Progress, silent
from medray.decisions.looks import LOOKS
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.serving.engine.audit_log import is_cut, read_audit

Point = tuple[str, str]  # an operating point's name, and its event's


@dataclass(frozen=True)
class LoggedImage:
    """An image of an answer by its SHA-256: whether it was out of distribution, its looks, and its size as sent.

    The first is None and the others are empty where the log does not say.
    """

    digest: str
    out_of_distribution: bool | None
    looks: Mapping[str, float]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class LoggedAnswer:
    """An answer to an image or a case: its day (UTC), what it is of, and what was said.

    `called` is the likeliest class, or of several labels those that were called; `positive` the decisions by
    operating point and event; `patient` the patient's key where the sender named one.
    """

    day: str
    request_id: str
    images: tuple[LoggedImage, ...]
    called: tuple[str, ...]
    probabilities: Mapping[str, float]
    positive: Mapping[Point, bool]
    patient: str | None = None
    is_case: bool = False

    @property
    def subject(self) -> frozenset[str]:
        """What was answered, however often it was asked about: the images."""
        return frozenset(image.digest for image in self.images)


@dataclass(frozen=True)
class AnswerLog:
    """All answers of the model's last `version`, in their order, and how many other versions gave before.

    `is_cut` says that older files of the log were deleted; `alone` is the number of answers to single images that
    were left out, because the model promises something of cases only.
    """

    version: str | None
    answers: Sequence[LoggedAnswer]
    of_others: int = 0
    damaged: int = 0
    is_cut: bool = False
    alone: int = 0

    def of_cases(self) -> "AnswerLog":
        """Return the log with answers to cases alone."""
        cases = [answer for answer in self.answers if answer.is_case]
        return replace(self, answers=cases, alone=len(self.answers) - len(cases))


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
    called = record["labels"] if "labels" in record else [record["label"]]
    patient = record.get("patient")
    return LoggedAnswer(
        day=str(record["time"])[:10],
        request_id=str(record["request_id"]),
        images=tuple(_images(record)),
        called=tuple(map(str, called)),
        probabilities={str(name): float(value) for name, value in record["probabilities"].items()},
        positive=dict(_decisions(record["decisions"])),
        patient=None if patient is None else str(patient),
        is_case="images" in record,
    )


def _images(record: Mapping[str, Any]) -> Iterator[LoggedImage]:
    images = record.get("images", [record])
    for image in images:
        # The flags of a case are those of any image; before images had their own, only one alone was known.
        flags = image.get("flags", record["flags"] if len(images) == 1 else None)
        looks = image.get("looks", {})
        yield LoggedImage(
            digest=str(image["sha256"]),
            out_of_distribution=None if flags is None else OUT_OF_DISTRIBUTION in flags,
            looks={name: float(looks[name]) for name in LOOKS if name in looks},
            size=(int(looks["height"]), int(looks["width"])) if "height" in looks else None,
        )


def _decisions(decisions: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Point, bool]]:
    for decision in decisions:
        yield (str(decision["operating_point"]), str(decision["event"])), bool(decision["positive"])
