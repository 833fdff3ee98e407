"""The section task: whether images have several labels, or classes look like grades, and the way back."""

from medray.audit.survey import Survey
from medray.data.grades import LEAST, find_hole, read_order
from medray.init.document import Line
from medray.init.proposal import StudyProposal
from medray.tasks import ORDERED, SEVERAL, SINGLE
from medray.text import first_names, plural

MOST_NUMBERED = 6  # classes that are numbers: more are rather codes
NUMBERED_ARRAYS = "retinamnist"  # of other arrays, classes without names get numbers that say nothing


def grades_of(proposal: StudyProposal) -> tuple[str, ...] | None:
    """Return the classes in the order that they have as grades; None where their names do not look like grades."""
    if proposal.survey.label_sets:
        return None
    names = proposal.kept.class_names
    order = read_order(names) if len(names) >= LEAST else None
    if order is None or not _are_numbered(order):
        return order
    bare = all(name.isdigit() for name in order)
    if bare and not proposal.survey.from_files and NUMBERED_ARRAYS not in proposal.source.casefold():
        return None
    return order if len(order) <= MOST_NUMBERED and find_hole(order) is None else None


def task_of(proposal: StudyProposal) -> str:
    """Return the name of the task that is proposed."""
    if proposal.survey.label_sets:
        return SEVERAL.name
    return SINGLE.name if grades_of(proposal) is None else ORDERED.name


def task_lines(proposal: StudyProposal) -> list[Line]:
    """Propose the task of several labels or of grades, as the images look, with the way back; else no line."""
    if proposal.survey.label_sets:
        return [Line("task", SEVERAL.name, several_reason(proposal.survey))]
    order = grades_of(proposal)
    if order is None:
        return []
    kind = "numbers" if _are_numbered(order) else "a scale"
    reason = (
        f"the classes are {kind}, taken as grades: {' < '.join(order)}. If they are in no order, such as codes, "
        f"write `task: {SINGLE.name}`, `metric: accuracy` below, and delete `order` and each `loss`"
    )
    return [Line("task", ORDERED.name, reason)]


def several_reason(survey: Survey) -> str:
    """Return why the images are for the task of several labels, and the way back where there is one."""
    several = [names for names in survey.labels if len({*names}) > 1]
    example = f", such as {first_names(list(dict.fromkeys(several[0])))}" if several else ""
    reason = (
        f"{len(several):,} of {plural(len(survey), 'image')} have several labels{example}: each label is asked "
        "for by itself"
    )
    if not survey.from_files:
        return reason
    rules = "multiple: drop" if all(survey.labels) else "blank: drop, multiple: drop"
    return (
        f"{reason}. To leave such images out and take one class each, write `task: {SINGLE.name}`, and `labels: "
        f"{{ {rules} }}` in place of all of `labels` below"
    )


def order_lines(proposal: StudyProposal) -> list[Line]:
    """Return the order of grades that are words, to be seen and corrected; numbers say theirs."""
    order = grades_of(proposal)
    if order is None or _are_numbered(order):
        return []
    return [Line("order", list(order), "from the lowest grade on, by the usual sense of these words")]


def loss_lines(proposal: StudyProposal) -> list[Line]:
    """Return the losses to search, of grades alone."""
    if grades_of(proposal) is None:
        return []
    return [Line("loss", {"choice": list(ORDERED.losses)}, "the last two know the order of the grades")]


def _are_numbered(order: tuple[str, ...]) -> bool:
    return any(character.isdigit() for name in order for character in name)
