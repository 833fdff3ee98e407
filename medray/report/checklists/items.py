"""Items of a checklist, the facts of a run that answer them, and where an item stands in a run's report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medray.errors import MedrayError
from medray.report.evidence import Evidence

FROM_RUN, IN_PART, TO_WRITE, NOT_APPLICABLE = (
    "from the run", "in part from the run", "to be written", "not applicable"
)  # fmt: skip
NOT_YET, UNREADABLE = "not yet", "can't be read"
STATUSES = (FROM_RUN, IN_PART, NOT_YET, UNREADABLE, TO_WRITE, NOT_APPLICABLE)


@dataclass(frozen=True)
class Given:
    """What a run gives for an item; `left` is what this run lacks of it, beside what every run lacks.

    `anchor` is the part of the report that shows it, None for the fact's own.
    """

    text: str
    left: str = ""
    anchor: str | None = None


@dataclass(frozen=True)
class NotYet:
    """The name of medray's `command`, such as "evaluate", that gives the fact and has not been run."""

    command: str


@dataclass(frozen=True)
class NotApplicable:
    """Why the item does not apply to this run."""

    why: str


Answer = Given | NotYet | NotApplicable | None
Read = Callable[[Evidence], Answer]


@dataclass(frozen=True)
class Fact:
    """A fact of a run: `summary` says in general what it is, `anchor` names the part of the report that shows it.

    The anchor is "" where nothing but the checklist shows it. `read` returns the fact; None where the run's data
    can't give it, whatever command is run.
    """

    summary: str
    anchor: str
    read: Read


def fact(anchor: str, summary: str) -> Callable[[Read], Fact]:
    """Return the decorator that makes a function of the evidence a fact."""
    return lambda read: Fact(summary, anchor, read)


@dataclass(frozen=True)
class Item:
    """An item of a checklist: its number, its topic in our words, and who answers it.

    `fact` is what a run gives, `write` what a person writes, "" where nothing is left. `why_not` says why the item
    does not apply to what medray makes; there is neither of the others then.
    """

    number: str
    topic: str
    write: str = ""
    fact: Fact | None = None
    why_not: str = ""

    def __post_init__(self) -> None:
        if bool(self.why_not) == bool(self.write or self.fact):
            raise ValueError(f"item {self.number} either applies or has a reason why not")

    @property
    def status(self) -> str:
        """Where the item stands once all commands have been run on data that bring everything."""
        if self.why_not:
            return NOT_APPLICABLE
        if self.fact is None:
            return TO_WRITE
        return IN_PART if self.write else FROM_RUN


@dataclass(frozen=True)
class Checklist:
    """A checklist: its name, the publication that holds it, and all its items in order."""

    name: str
    anchor: str
    publication: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Standing:
    """Where an item stands in a run's report: what is given, what is left, and the part that shows more."""

    item: Item
    status: str
    given: str = ""
    left: str = ""
    anchor: str = ""


def standing(item: Item, evidence: Evidence) -> Standing:
    """Return where an item stands in the report of a run; a fact whose file is damaged is `UNREADABLE`."""
    if item.why_not:
        return Standing(item, NOT_APPLICABLE, given=item.why_not)
    if item.fact is None:
        return Standing(item, TO_WRITE, left=item.write)
    try:
        answer = item.fact.read(evidence)
    except (MedrayError, OSError):  # the part that shows it says why
        return Standing(item, UNREADABLE, left=item.write, anchor=item.fact.anchor)
    if answer is None:
        return Standing(item, TO_WRITE, left=item.write or f"this run does not hold {item.fact.summary}")
    if isinstance(answer, NotApplicable):
        return Standing(item, NOT_APPLICABLE, given=answer.why)
    if isinstance(answer, NotYet):
        return Standing(item, NOT_YET, given=f"made by medray {answer.command}", left=item.write)
    left = "; ".join(filter(None, (answer.left, item.write)))
    return Standing(item, IN_PART if left else FROM_RUN, answer.text, left, answer.anchor or item.fact.anchor)


def count_line(name: str, statuses: Sequence[str]) -> str:
    """Return how many of a checklist's items stand where, as `CLAIM, 44 items: 11 from the run, …`."""
    counts = [f"{statuses.count(status)} {status}" for status in STATUSES if status in statuses]
    return f"{name}, {len(statuses)} items: {', '.join(counts)}."
