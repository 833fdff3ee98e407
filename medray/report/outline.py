"""The outline of the report: its sections and parts, each built from the evidence."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medray.errors import MedrayError, one_line
from medray.report import (
    section_checklists,
    section_external,
    section_nested,
    section_reliability,
    section_reproduction,
    section_search,
    section_subgroups,
    section_test_scores,
)
from medray.report.blocks import Block, Chart, PageHeader, PageSection, Part, Text, readable_time
from medray.report.evidence import Evidence

Builder = Callable[[Evidence], Sequence[Block]]


@dataclass(frozen=True)
class PlannedPart:
    """A part or a section's lead: its heading, the function that builds it, and the file of the run it reads."""

    anchor: str
    title: str
    build: Builder
    file: str


OUTLINE: tuple[tuple[PlannedPart, tuple[PlannedPart, ...]], ...] = (
    (
        PlannedPart("good", "How good is it?", section_test_scores.test_lead, "evaluation"),
        (
            PlannedPart("models", "The test split", section_test_scores.scores_of_models, "evaluation"),
            PlannedPart("classes", "By class", section_test_scores.classes, "evaluation"),
            PlannedPart("decisions", "Decisions", section_test_scores.decisions, "evaluation"),
            PlannedPart("subgroups", "By subgroup", section_subgroups.subgroups, "evaluation"),
            PlannedPart("external", "Other images", section_external.external, "evaluation/external"),
            PlannedPart("published", "Beside a report", section_test_scores.published, "evaluation"),
        ),
    ),
    (
        PlannedPart("trust", "Can one trust it?", section_reliability.predictions_lead, "ensemble"),
        (
            PlannedPart("cross-validation", "Folds", section_reliability.folds, "crossval"),
            PlannedPart("nested", "The whole procedure", section_nested.nested, "crossval/nested"),
            PlannedPart("calibration", "Calibration", section_reliability.calibration, "ensemble"),
            PlannedPart("mistakes", "Mistakes", section_reliability.mistakes, "ensemble"),
            PlannedPart("pictures", "Doubtful images", section_reliability.pictures, "crossval"),
            PlannedPart("data", "The data", section_reliability.data, "data.json"),
        ),
    ),
    (
        PlannedPart("searched", "What was searched?", section_search.search_lead, "trials"),
        (
            PlannedPart("gained", "What it gained", section_search.gain, "trials"),
            PlannedPart("time", "Over time", section_search.progress, "trials"),
            PlannedPart("learning", "Learning curves", section_search.learning, "trials"),
            PlannedPart("settings", "Settings that mattered", section_search.importance, "study.journal"),
            PlannedPart("stopped", "What ASHA saved", section_search.stopped, "trials"),
            PlannedPart("selections", "The ensemble's members", section_reliability.selections, "selection.json"),
            PlannedPart("failures", "Failures", section_search.failures, "trials"),
            PlannedPart("leaderboard", "Leaderboard", section_search.leaderboard, "trials"),
        ),
    ),
    (
        PlannedPart("repeat", "How is it repeated?", lambda _: (), "run.json"),
        (
            PlannedPart("commands", "Commands", section_reproduction.commands, "run.json"),
            PlannedPart("seeds", "Seeds, fingerprints, versions", section_reproduction.seeds, "run.json"),
            PlannedPart("space", "Search space", section_reproduction.search_space, "space.yaml"),
        ),
    ),
    (
        PlannedPart("write", "What is left to write?", section_checklists.checklists_lead, "run.json"),
        (
            PlannedPart("tripod-ai", "TRIPOD+AI", section_checklists.tripod_ai, "run.json"),
            PlannedPart("claim", "CLAIM", section_checklists.claim, "run.json"),
        ),
    ),
)


def compose(evidence: Evidence) -> tuple[PageHeader, list[PageSection], list[str]]:
    """Return the header, all sections, and the problems: one line for each file that could not be read.

    A part whose file is damaged holds the problem instead.
    """
    problems: dict[str, list[str]] = {}
    sections = [
        PageSection(
            head.anchor,
            head.title,
            _build(head, evidence, problems),
            [
                Part(p.anchor, _title(p, evidence), blocks)
                for p in parts
                if (blocks := _build(p, evidence, problems))
            ],
        )
        for head, parts in OUTLINE
    ]
    return _header(evidence), sections, [f"{', '.join(parts)}: {problem}" for problem, parts in problems.items()]


def _title(part: PlannedPart, evidence: Evidence) -> str:
    return f"By {evidence.noun}" if part.anchor == "classes" else part.title


def _build(planned: PlannedPart, evidence: Evidence, problems: dict[str, list[str]]) -> Sequence[Block]:
    try:
        blocks = planned.build(evidence)
        for block in blocks:  # a damaged file may hold NaN and infinity, a page's JSON may not
            if isinstance(block, Chart):
                json.dumps([block.spec, block.data], allow_nan=False)
        return blocks
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:  # what no document's check sees
        problem = f"{evidence.run.path(planned.file)} is damaged: {error!r}"
    except (MedrayError, OSError) as error:
        problem = one_line(error)
    problems.setdefault(problem, []).append(planned.title)
    return [Text(f"This can't be shown: {problem}", "damaged")]


def _header(evidence: Evidence) -> PageHeader:
    snapshot, run_facts = evidence.snapshot, evidence.snapshot.facts
    facts = [("run", evidence.run.location), ("searched", readable_time(run_facts.written))]
    leaks = []
    try:
        data = evidence.data
        counts = ", ".join(f"{split.images} {name}" for name, split in data.splits.items())
        facts += [
            ("data", f"{data.source}: {counts}"),
            (evidence.nouns, str(len(data.class_names))),
        ]
        leaks = [Text(f"LEAK in the data: {leak.text}", "warning") for leak in data.leaks]
    except (MedrayError, OSError):  # the part on the data says why
        pass
    facts.append(("medray", run_facts.medray))
    notes = [Text(note, "note") for note in dict.fromkeys(snapshot.notes)]
    description = "" if snapshot.space is None else snapshot.space.description
    return PageHeader(run_facts.space, description, facts, [*leaks, *notes])
