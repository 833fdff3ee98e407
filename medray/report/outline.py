"""The report's outline: how good is it, can one trust it, what was searched, how is it repeated."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medray.analyze.partial import one_line
from medray.errors import MedrayError
from medray.evaluate.test_reads import undamaged
from medray.report import section_good as good
from medray.report import section_repeat as repeat
from medray.report import section_search as search
from medray.report import section_trust as trust
from medray.report.blocks import Block, Chart, Header, Matrix, Part, Section, Text, when
from medray.report.evidence import Evidence

Builder = Callable[[Evidence], Sequence[Block]]


@dataclass(frozen=True)
class Planned:
    """A part to be: its heading, who builds it, and from which of the run's files."""

    anchor: str
    title: str
    build: Builder
    reads: str


OUTLINE: tuple[tuple[Planned, tuple[Planned, ...]], ...] = (
    (
        Planned("good", "How good is it?", good.lead, "evaluation"),
        (
            Planned("models", "The test split", good.scores_of_models, "evaluation"),
            Planned("classes", "By class", good.classes, "evaluation"),
            Planned("decisions", "Decisions", good.decisions, "evaluation"),
            Planned("published", "Beside a report", good.published, "evaluation"),
        ),
    ),
    (
        Planned("trust", "Can one trust it?", trust.lead, "ensemble"),
        (
            Planned("cross-validation", "Folds", trust.folds, "crossval"),
            Planned("calibration", "Calibration", trust.calibration, "ensemble"),
            Planned("mistakes", "Mistakes", trust.mistakes, "ensemble"),
            Planned("pictures", "Doubtful images", trust.pictures, "crossval"),
            Planned("data", "The data", trust.data, "data.json"),
        ),
    ),
    (
        Planned("searched", "What was searched?", search.lead, "trials"),
        (
            Planned("gained", "What it gained", search.gained, "trials"),
            Planned("found", "Over time", search.progress, "trials"),
            Planned("learning", "Learning curves", search.learning, "trials"),
            Planned("settings", "Settings that mattered", search.mattered, "study.journal"),
            Planned("stopped", "What ASHA saved", search.stopped, "trials"),
            Planned("ways", "The ensemble's members", trust.ways, "ways.json"),
            Planned("failures", "Failures", search.failures, "trials"),
            Planned("leaderboard", "Leaderboard", search.leaderboard, "trials"),
        ),
    ),
    (
        Planned("repeat", "How is it repeated?", lambda _: (), "run.json"),
        (
            Planned("commands", "Commands", repeat.commands, "run.json"),
            Planned("seeds", "Seeds, fingerprints, versions", repeat.seeds, "run.json"),
            Planned("space", "Search space", repeat.space, "space.yaml"),
        ),
    ),
)


def compose(found: Evidence) -> tuple[Header, list[Section], list[str]]:
    """Build all sections; a part whose file is damaged says so in one line, which is returned too."""
    problems: dict[str, list[str]] = {}
    sections = [
        Section(
            head.anchor,
            head.title,
            _built(head, found, problems),
            [Part(p.anchor, p.title, blocks) for p in parts if (blocks := _built(p, found, problems))],
        )
        for head, parts in OUTLINE
    ]
    return _header(found), sections, [f"{', '.join(parts)}: {why}" for why, parts in problems.items()]


def _built(planned: Planned, found: Evidence, problems: dict[str, list[str]]) -> Sequence[Block]:
    try:
        with undamaged(found.run.path(planned.reads)):
            blocks = planned.build(found)
            _check_numbers(blocks)
            return blocks
    except (MedrayError, OSError) as error:
        problems.setdefault(one_line(error), []).append(planned.title)
        return [Text(f"This can't be shown: {one_line(error)}", "damaged")]


def _check_numbers(blocks: Sequence[Block]) -> None:
    """Refuse NaN and infinity: a damaged file may hold them, a page's JSON may not."""
    for block in blocks:
        if isinstance(block, Chart):
            json.dumps([block.spec, block.data], allow_nan=False)
        if isinstance(block, Matrix):
            json.dumps(block.counts, allow_nan=False)


def _header(found: Evidence) -> Header:
    space, facts = found.seen.space, found.facts
    name = str(facts.get("space") or found.seen.name)
    said = [("run", found.run.location), ("searched", when(str(facts.get("written", "–"))))]
    try:
        data = found.data
        counts = ", ".join(f"{own['images']} {split}" for split, own in data["splits"].items())
        said += [("data", f"{data['source']}: {counts}"), ("classes", str(len(data["class_names"])))]
        leaks = [Text(f"LEAK in the data: {leak['text']}", "warning") for leak in data.get("leaks", [])]
    except (MedrayError, OSError, KeyError, TypeError, AttributeError):  # the part on the data says why
        leaks = []
    said.append(("medray", str(facts.get("medray", "–"))))
    notes = [Text(note, "note") for note in dict.fromkeys(found.seen.notes)]
    return Header(name, "" if space is None else space.description, said, [*leaks, *notes])
