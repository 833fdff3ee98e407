"""The section task: whether the classes look like grades, in which order, and how to take them as mere classes."""

from medray.data.grades import LEAST, find_hole, read_order
from medray.init.document import Line
from medray.init.proposal import StudyProposal
from medray.tasks import ORDERED, SINGLE

MOST_NUMBERED = 6  # classes that are numbers: more are rather codes
NUMBERED_ARRAYS = "retinamnist"  # of other arrays, classes without names get numbers that say nothing


def grades_of(proposal: StudyProposal) -> tuple[str, ...] | None:
    """Return the classes in the order that they have as grades; None where their names do not look like grades."""
    names = proposal.kept.class_names
    order = read_order(names) if len(names) >= LEAST else None
    if order is None or not _are_numbered(order):
        return order
    bare = all(name.isdigit() for name in order)
    if bare and not proposal.survey.from_files and NUMBERED_ARRAYS not in proposal.source.casefold():
        return None
    return order if len(order) <= MOST_NUMBERED and find_hole(order) is None else None


def task_lines(proposal: StudyProposal) -> list[Line]:
    """Propose the task of grades where the classes look like them, with the way back; else no line."""
    order = grades_of(proposal)
    if order is None:
        return []
    kind = "numbers" if _are_numbered(order) else "a scale"
    reason = (
        f"the classes are {kind}, taken as grades: {' < '.join(order)}. If they are in no order, such as codes, "
        f"write `task: {SINGLE.name}`, `metric: accuracy` below, and delete `order` and each `loss`"
    )
    return [Line("task", ORDERED.name, reason)]


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
