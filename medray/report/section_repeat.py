"""How to repeat it: the commands with their seeds, the fingerprints, the versions, the search space."""

import shlex
from typing import Any

from medray.decisions.thresholds import KINDS
from medray.report.blocks import Block, Code, Table, Text
from medray.report.evidence import Evidence
from medray.runs.fold_results import PLAN

AGAIN = "runs/again"
FLAGS = dict(zip(KINDS, ("--sensitivity", "--youden", "--cost-ratio"), strict=True))


def commands(found: Evidence) -> list[Block]:
    """The commands that lead to a run like this one, in a new folder."""
    lines = [_search(found)]
    if found.plan is not None:
        lines.append(_crossval(found.plan))
    if found.ways is not None and found.manifest is not None:
        lines.append(_ensemble(found.ways, found.manifest))
    if found.scores is not None:
        lines.append(f"medray evaluate {AGAIN} --seed {found.scores['seed']}")
    said = (
        "With the same versions on a CPU a training gives the same figures again; which trials are drawn also "
        "depends on the order in which they end, so several at once may search another way."
    )
    return [Code("The study once more, in another folder", "\n".join(lines)), Text(said, "note")]


def _search(found: Evidence) -> str:
    options = found.seen.options
    words = ["medray", "search", found.run.path(found.run.SPACE), "--data", str(options["data"])]
    if options.get("baselines_only"):
        words.append("--baselines-only")
    else:
        words += ["--trials", str(options["trials"])]
    words += ["--max-epochs", str(options["max_epochs"]), "--top-k", str(options["top_k"]),
              "--seed", str(options["seed"])]  # fmt: skip
    if options.get("concurrency"):
        words += ["--concurrency", str(options["concurrency"])]
    return shlex.join([*words, "--out", AGAIN])


def _crossval(plan: dict[str, Any]) -> str:
    trials = [word for number in plan["trials"] for word in ("--trial", str(number))]
    return shlex.join(
        ["medray", "crossval", AGAIN, *trials, "--folds", str(plan["folds"]), "--seed", str(plan["seed"])]
    )


def _ensemble(ways: dict[str, Any], manifest: dict[str, Any]) -> str:
    name, source = ways["chosen"]
    words = ["medray", "ensemble", AGAIN, "--way", name, "--from", source]
    if name == "top-k":
        words += ["--top-k", str(len({member["trial"] for member in manifest["members"]}))]
    points = manifest["operating_points"]
    for point in points:
        kind, _, value = point["name"].partition(" ")
        words += [FLAGS[kind], *([value] if value else [])]
    if points:
        words += ["--positive", points[0]["positive"]]
    for sets in manifest["conformal_sets"]:
        words += ["--coverage", f"{sets['coverage']:g}"]
    return shlex.join(words)


def seeds(found: Evidence) -> list[Block]:
    """Seeds, fingerprints and versions, as the run has stored them."""
    rows = [["seed of the search", str(found.seen.options["seed"])]]
    if found.plan is not None:
        rows.append([f"seed of the folds ({PLAN})", str(found.plan["seed"])])
    rows.append(["fingerprint of the data", str(found.data["fingerprint"])])
    if found.scores is not None:
        rows.append(["seed of the intervals", str(found.scores["seed"])])
        rows.append(["fingerprint of the ensemble that was evaluated", found.scores["ensemble"]])
    facts = found.facts
    versions = {"medray": facts.get("medray"), "Python": facts.get("python"), **facts.get("packages", {})}
    known = [[name, str(version)] for name, version in versions.items() if version]
    return [
        Table("Seeds and fingerprints", ["what", "value"], rows, frozenset({1})),
        *([Table("Versions", ["package", "version"], known, frozenset({1}))] if known else []),
    ]


def space(found: Evidence) -> list[Block]:
    """The search space's own text."""
    own = found.seen.space
    return [] if own is None else [Code(f"{found.run.SPACE}, as it was searched", own.text, folded=True)]
