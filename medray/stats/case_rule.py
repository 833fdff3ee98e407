"""CaseRule: how the images of a case make one answer; `medray.stats.cases` applies it."""

from dataclasses import dataclass

from medray.errors import ConfigError, unknown_choice_line
from medray.json_document import JsonDocument

ANSWERS = MEAN, MAX, NOISY_OR, ATTENTION = ("mean", "max", "noisy_or", "attention")
MEANS = (MEAN, ATTENTION)  # answers that a case of two images has between those of its images
KINDS = CLASSES, GRADES, LABEL_SETS = ("classes", "grades", "label sets")  # what labels are
BY_PATIENT = "patient"


def unit_of(rule: "CaseRule | None") -> str:
    """Return what an answer is of: "case", or "image" where there is no rule."""
    return "image" if rule is None else "case"


def title_with(rule: "CaseRule | None", title: str) -> str:
    """Return the title of a table with what its answers are by, such as `Leaderboard, by patient`."""
    return title if rule is None else f"{title}, by {rule.by}"


@dataclass(frozen=True)
class CaseRule(JsonDocument):
    """How images become cases: `by` patient or a column, what they `answer`, and which class is `normal`, if any.

    `kind` says what labels are: classes, grades or label sets.

    Raises:
        ConfigError: there is no such answer, or max and noisy_or of classes have no `normal` one.
    """

    by: str
    answer: str = MEAN
    kind: str = CLASSES
    normal: int | None = None

    def __post_init__(self) -> None:
        if self.answer not in ANSWERS:
            raise ConfigError(unknown_choice_line("answer", self.answer, ANSWERS))
        if self.kind not in KINDS:
            raise ConfigError(unknown_choice_line("kind", self.kind, KINDS))
        if self.kind == CLASSES and self.answer not in MEANS and self.normal is None:
            raise ConfigError(
                f"{self.answer} of classes needs the class that means that nothing is there: `normal: CLASS`; "
                "`answer: mean` and `attention` need none"
            )

    @property
    def text(self) -> str:
        """The rule in words, such as `each the mean of a patient's images`."""
        how = {
            MEAN: "the mean of",
            MAX: "the max over",
            NOISY_OR: "the noisy-or of",
            ATTENTION: "the mean, weighed by attention, of",
        }[self.answer]
        return f"each {how} all images of one {self.by}"
