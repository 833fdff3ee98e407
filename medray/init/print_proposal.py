"""Print a proposal: what the images are, warnings, and the next commands."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from medray.audit.findings import Audit
from medray.audit.profile import NO_SPLIT, count_sets
from medray.console import say
from medray.data.folds import FOLD_COUNT
from medray.data.listing.listing import TEST, TRAIN, VAL
from medray.errors import printable
from medray.init.data_sections import describe_size
from medray.init.label_section import note_none_beside_others
from medray.init.proposal import StudyProposal, count_pool
from medray.init.task_section import grades_of
from medray.init.writer import title
from medray.text import first_names, plural

FEW = 50  # validation images; each then counts for 2 % and more
TRY = "--trials 4 --max-epochs 2"


def print_proposal(
    proposal: StudyProposal, audit: Audit, path: Path, console: Console, *, hints: bool = True
) -> None:  # fmt: skip
    """Print all of it, with `hints` also the next commands; `audit` is that of the kept images in their splits."""
    say(console, printable(title(proposal)))
    for line in describe_images(proposal):
        say(console, f"  {printable(line)}")
    for line in list_warnings(proposal, audit):
        console.print("warning", style="bold yellow", end="  ")
        say(console, printable(line))
    if not hints:
        return
    say(console, f"\n{printable(str(path))} is written: look at it, then")
    for command in next_commands(proposal, path, leaks=bool(audit.leaks)):
        say(console, f"  {command}")


def describe_images(proposal: StudyProposal) -> Iterator[str]:
    """Yield a line for each fact of the images, for what was left out, and for what was guessed."""
    survey, kept = proposal.survey, proposal.kept
    height, width, channels = proposal.shape
    yield f"data: {proposal.source}"
    shape = f"{height}×{width}×{channels}"
    size = f"{describe_size(survey)}, resized to {shape}" if survey.from_files else f"{shape}, as they are"
    yield f"images: {size}"
    if (order := grades_of(proposal)) is not None:
        grades = " < ".join(order)
        yield f"task: ordered, as classes look like grades: {grades}; the file says how to take them as classes"
    if survey.label_sets:
        several = sum(len({*names}) > 1 for names in survey.labels)
        way = "; the file says how to take one class each" if survey.from_files else ""
        yield f"task: several, as {several:,} of {plural(len(survey), 'image')} have several labels{way}"
        counts = count_sets(kept, tuple(dict.fromkeys(split or NO_SPLIT for split in kept.splits)))
        yield f"labels an image: {', '.join(f'{kind[1:-1]} {sum(row):,}' for kind, row in counts.items())}"
        yield from note_none_beside_others(survey)
    if proposal.excluded:
        yield f"{proposal.excluded}; if they are images, write `side_cars=keep` in place of `exclude=` in the file"
    if len(kept) < len(survey):
        yield f"left out: {len(survey) - len(kept):,} of {len(survey):,} images"
    for line in (*proposal.images, *proposal.labels):
        if line.value == "drop" or line.key in ("min_count", "leave_out", "none"):
            yield f"  {line.key}: {line.value} ({line.reason})"
    yield from kept.notes
    yield describe_published(proposal)
    yield from (f"  {line}" for line in proposal.not_published)
    if proposal.guessed:
        columns = ", ".join(f"{role} is '{column}'" for role, column in proposal.guessed)
        yield f"columns, by their names: {columns}; if that is wrong, change them in the file"


def describe_published(proposal: StudyProposal) -> str:
    """Return which published weights the study starts from, or how it would get some."""
    if proposal.published:
        return f"published weights: {', '.join(proposal.published)}; linear heads on them run first"
    return (
        "published weights: none at hand, so all networks start from random ones; $MEDRAY_WEIGHTS may name a "
        "folder of BACKBONE.safetensors where timm's hub can't be reached"
    )


def list_warnings(proposal: StudyProposal, audit: Audit) -> Iterator[str]:
    """Yield a line for each reason why the search would refuse the data, or its scores mean little."""
    for leak in audit.leaks:
        yield f"leak: {leak.text}; `medray search` refuses to start on it without --allow-leaks"
    yield from (finding.text for finding in audit.findings if finding.kind == "duplicates_across_classes")
    for finding in audit.findings:
        if finding.kind in ("shortcut_source", "shortcut_form"):
            yield f"a shortcut: {finding.text}"
    label_sets = proposal.survey.label_sets
    for absence in proposal.absent_classes(VAL) if label_sets else ():
        yield f"{absence}: the search can't judge a model by it"
    for absence in proposal.absent_classes(TRAIN) if label_sets else proposal.absent_classes(TRAIN, VAL):
        yield f"{absence}: `medray search` refuses to start; make other splits, or leave the class out or merge it"
    for absence in proposal.absent_classes(TEST):
        yield f"{absence}: the evaluation will have no figures of it{'' if label_sets else ', nor AUC'}"
    small = {name: count for name, count in count_pool(proposal).items() if count < FOLD_COUNT}
    if small and proposal.kept.folds is None:
        names = first_names([f"{name} ({count})" for name, count in small.items()])
        noun = "label" if label_sets else "class"
        yield f"fewer images, or patients, of a {noun} than the {FOLD_COUNT} folds of `medray crossval`: {names}"
    images = int(proposal.kept.in_split(VAL).sum())
    if images < FEW:
        yield (
            f"val has {images} images, so a metric on it is a matter of chance; `medray crossval` measures on all "
            "but the test split"
        )
    if 2 * len(proposal.kept) < len(proposal.survey):
        yield f"more than half of the {len(proposal.survey):,} images are left out"


def next_commands(proposal: StudyProposal, path: Path, *, leaks: bool) -> Iterator[str]:
    """Yield the next commands, each with a comment; first a short search that shows whether everything runs."""
    file, run = shlex.quote(str(path)), f"runs/{proposal.name}"
    audit = f"medray data audit {shlex.quote(proposal.source)} --out audits/{proposal.name}"
    least = min(count_pool(proposal).values())  # the smallest class allows no more folds
    fewer = proposal.kept.folds is None and 2 <= least < FOLD_COUNT and not proposal.kept.label_sets
    folds = f" --folds {least}" if fewer else ""
    commands = {audit: "which images leak?"} if leaks else {}
    commands |= {
        f"medray search {file} {TRY} --out {run}-try": "does everything run?",
        f"medray search {file}": "the search itself",
        f"medray crossval {run}{folds}": "was the best one lucky?",
        f"medray evaluate {run}": "the test split, once, at the end",
    }
    longest = max(map(len, commands))
    for command, purpose in commands.items():
        yield f"{command:{longest}}  # {purpose}"
