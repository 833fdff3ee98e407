"""How is it repeated: the commands with their seeds, fingerprints, versions, the search space."""

import shlex

from medray.decisions.thresholds import KINDS
from medray.ensemble.manifest import Manifest
from medray.report.blocks import Block, Code, Table, Text
from medray.report.evidence import Evidence
from medray.runs.rundir import CrossvalDir
from medray.runs.selection_facts import TOP_K, SelectionComparison

AGAIN = "runs/again"
FLAGS = dict(zip(KINDS, ("--sensitivity", "--youden", "--cost-ratio"), strict=True))


def commands(evidence: Evidence) -> list[Block]:
    """Return the commands that make a run like this one, in a new folder."""
    lines = [_search(evidence)]
    if evidence.plan is not None:
        trials = " ".join(f"--trial {number}" for number in evidence.plan.trials)
        folds = f"--folds {evidence.plan.folds} --seed {evidence.plan.seed}"
        lines.append(f"medray crossval {AGAIN} {trials} {folds}")
    if evidence.selections is not None and evidence.manifest is not None:
        lines.append(_ensemble(evidence.selections, evidence.manifest))
    if evidence.scores is not None:
        lines.append(f"medray evaluate {AGAIN} --seed {evidence.scores.seed}")
    note = (
        "With the same versions on a CPU a training gives the same figures again; which trials are drawn also "
        "depends on the order in which they end, so several at once may search another way."
    )
    return [Code("The study once more, in another folder", "\n".join(lines)), Text(note, "note")]


def _search(evidence: Evidence) -> str:
    options = evidence.snapshot.facts.options
    words = ["medray", "search", evidence.run.path(evidence.run.SPACE), "--data", options.data]
    if options.baselines_only:
        words.append("--baselines-only")
    else:
        words += [] if options.trials is None else ["--trials", str(options.trials)]
        words += [] if options.hours is None else ["--hours", f"{options.hours:g}"]
        words += ["--stop-when-flat"] if options.stop_when_flat else []
        words += [word for run in options.warm_start for word in ("--warm-start", run)]
    words += ["--max-epochs", str(options.max_epochs), "--top-k", str(options.top_k),
              "--seed", str(options.seed)]  # fmt: skip
    if options.concurrency:
        words += ["--concurrency", str(options.concurrency)]
    return shlex.join([*words, "--out", AGAIN])


def _ensemble(comparison: SelectionComparison, manifest: Manifest) -> str:
    selected, points = comparison.of_ensemble, manifest.operating_points
    words = ["medray", "ensemble", AGAIN, "--strategy", selected.strategy, "--from", selected.source]
    if selected.strategy == TOP_K:
        words += ["--top-k", str(len({member.trial for member in manifest.members}))]
    for rule in dict.fromkeys(point.rule for point in points):  # of several labels each has the point of a rule
        words += [FLAGS[rule.kind], *([] if rule.value is None else [f"{rule.value:.12g}"])]
    if len({point.event for point in points}) == 1:
        words += ["--positive", manifest.class_names[points[0].event.class_index]]  # of "2 or more", the grade 2
    for coverage in dict.fromkeys(sets.coverage for sets in manifest.conformal_sets):
        words += ["--coverage", f"{coverage:g}"]
    return shlex.join(words)


def seeds(evidence: Evidence) -> list[Block]:
    """Return seeds, fingerprints and versions, as the run has stored them."""
    rows = [["seed of the search", str(evidence.snapshot.facts.options.seed)]]
    if evidence.plan is not None:
        rows.append([f"seed of the folds ({CrossvalDir.PLAN})", str(evidence.plan.seed)])
    rows.append(["fingerprint of the data", evidence.data.fingerprint])
    if evidence.scores is not None:
        rows.append(["seed of the evaluation", str(evidence.scores.seed)])
        rows.append(["fingerprint of the ensemble that was evaluated", evidence.scores.ensemble])
    facts = evidence.snapshot.facts
    versions = {"medray": facts.medray, "Python": facts.python, **facts.packages}
    return [
        Table("Seeds and fingerprints", ["what", "value"], rows, frozenset({1})),
        Table("Versions", ["package", "version"], [[*item] for item in versions.items()], frozenset({1})),
    ]


def search_space(evidence: Evidence) -> list[Block]:
    """Return the text of the search space."""
    space = evidence.snapshot.space
    return [] if space is None else [Code(f"{evidence.run.SPACE}, as it was searched", space.text, folded=True)]
