"""Survey -> the facts by which a class can be recognised, and a finding for each kind of fact."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medray._types import Array
from medray.audit.findings import WARNING, Finding, Shortcut
from medray.audit.shortcuts.facts import FACT_KINDS, FORM, LOOK, SOURCE, Fact, list_facts
from medray.audit.shortcuts.separation import ClassTable, CodedFact, deal_folds
from medray.audit.survey import Survey
from medray.stats.auc_interval import auc_interval
from medray.stats.bootstrap import Estimate
from medray.text import first_names

LEAST_AUC = 0.7  # the lower end of its interval must lie above
LEVEL = 0.05  # of all intervals together
LEAST_CASES = 20  # images of a class, or patients; with fewer no AUC could be shown to lie above
MANY_CASES = 30  # from which on the interval of the AUC holds at such a confidence too
MOST_NAMED = 3  # classes in a line

MEANINGS = {
    SOURCE: "images may come from elsewhere by class, or are only named so; a network may learn the source",
    FORM: "images were made or saved in another way by class; a network may learn that and not the disease",
    LOOK: "it may be the disease itself, or how images were taken: look at some of each (profile --sheet)",
}


@dataclass(frozen=True)
class Shortcuts:
    """All shortcuts of a data set, the clearest first, and a note on what was not looked at."""

    shortcuts: tuple[Shortcut, ...]
    notes: tuple[str, ...] = ()

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for each kind of fact: the clearest one of each class, others counted."""
        for kind in FACT_KINDS:
            of_kind = [shortcut for shortcut in self.shortcuts if shortcut.kind == kind]
            by_class: dict[str, list[Shortcut]] = {}
            for shortcut in of_kind:
                by_class.setdefault(shortcut.class_name, []).append(shortcut)
            if of_kind:
                lines = first_names([describe(group) for group in by_class.values()], MOST_NAMED)
                text = f"{MEANINGS[kind]}: {lines}"
                names = tuple(f"{shortcut.class_name}: {shortcut.rule}" for shortcut in of_kind)
                yield Finding(f"shortcut_{kind}", WARNING, text, len(names), names)


def describe(shortcuts: list[Shortcut]) -> str:
    """Return the first of a class's shortcuts in words, and how many more there are."""
    best, others = shortcuts[0], [shortcut.fact for shortcut in shortcuts[1:]]
    also = f"; also by {first_names(others, 2)}" if others else ""
    return (
        f"{best.class_name} by {best.rule}: {best.share:.0%} of it, {best.others:.0%} of others "
        f"(AUC {best.auc:.2f}, {best.low:.2f} to {best.high:.2f}{also})"
    )


def find_shortcuts(survey: Survey, groups: Array) -> Shortcuts:
    """Return the facts of a survey that tell a class from all other images, each by itself.

    `groups` int64 (n,) are the images that belong together, by patient or as duplicates. Classes of fewer than
    LEAST_CASES groups are left out, with a note.
    """
    labelled = np.ones(len(survey), dtype=bool)
    labelled[list(survey.blank_images)] = False
    images = np.flatnonzero(labelled & survey.measures.readable)
    groups = np.unique(groups[images], return_inverse=True)[1]
    members, notes = _list_members(survey, images, groups)
    shortcuts = separating_facts(list_facts(survey, images), members, groups) if members else []
    return Shortcuts(tuple(shortcuts), notes)


def separating_facts(facts: Sequence[Fact], members: Mapping[str, Array], groups: Array) -> list[Shortcut]:
    """Return the facts that tell one of the classes from all other images, the clearest first.

    `members` says of each class which of the m images are of it, bool (m,), and `groups` int64 (m,) which belong
    together. A fact counts where the interval of its cross-validated AUC lies above LEAST_AUC; all intervals hold
    together with 1 - LEVEL (Bonferroni).
    """
    confidence = 1 - LEVEL / max(1, len(facts) * len(members))
    folds = deal_folds(groups, np.stack([*members.values()]).argmax(axis=0))
    units = groups if len(np.unique(groups)) < len(groups) else None
    shortcuts = []
    for coded in map(CodedFact.of, facts):
        for name, positive in members.items():
            table = ClassTable.of(coded, positive, folds)
            if table.exceeds(LEAST_AUC):
                scores = table.scores[coded.codes, folds]
                probabilities = np.stack([1 - scores, scores], axis=1)
                estimate = auc_interval(probabilities, positive.astype(np.int64), units, confidence)
                cases = min(len(np.unique(groups[side])) for side in (positive, ~positive))
                shortcuts += _shortcut(name, table, _cautious(estimate, cases, confidence))
    return sorted(shortcuts, key=lambda shortcut: (-shortcut.auc, -shortcut.low))


def _cautious(estimate: Estimate, cases: int, confidence: float) -> Estimate:
    """Return the estimate with a lower end that holds with few cases too, images or patients of the rarer side.

    It is the exact one (Clopper & Pearson 1934) of as many draws as there are cases: the variance of an AUC is at
    most that of a share of them (Birnbaum & Klose 1957).
    """
    from scipy.special import betaincinv

    auc, low = estimate.value, estimate.low
    if auc is None or low is None or cases >= MANY_CASES:
        return estimate
    exact = float(betaincinv(auc * cases, cases - auc * cases + 1, (1 - confidence) / 2))
    return replace(estimate, low=min(low, exact))


def _shortcut(name: str, table: ClassTable, estimate: Estimate) -> list[Shortcut]:
    """Return the shortcut of a class, if the interval of its AUC lies above LEAST_AUC."""
    auc, low, high = estimate.value, estimate.low, estimate.high
    if auc is None or low is None or high is None or low <= LEAST_AUC:
        return []
    share, others = table.shares()
    fact = table.coded.fact
    return [Shortcut(name, fact.name, fact.kind, table.rule(), share, others, auc, low, high)]


def _list_members(survey: Survey, images: Array, groups: Array) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return which of the images are of each class, bool (m,), and a note on the classes that are too small.

    Of two classes that no image has together the smaller one is enough: the other is the rest.
    """
    members = {
        name: np.array([name in survey.labels[image] for image in images.tolist()], dtype=bool)
        for name in survey.class_names
    }
    fewest = {
        name: min(len(np.unique(groups[side])) for side in (positive, ~positive))
        for name, positive in members.items()
    }
    small = [f"{name} ({count})" for name, count in fewest.items() if count < LEAST_CASES]
    note = (
        f"no shortcuts were looked for by classes of fewer than {LEAST_CASES} images, or patients, or with fewer "
        f"others: {first_names(small)}"
    )
    large = {name: positive for name, positive in members.items() if fewest[name] >= LEAST_CASES}
    if len(members) == 2 and len(large) == 2:
        first, second = large.values()
        if (first != second).all():
            smaller = min(large, key=lambda name: int(large[name].sum()))
            large = {smaller: large[smaller]}
    return large, (note,) if small else ()
