"""What a person is told: what was seen, what to beware of, and which commands come next."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from medray.audit.findings import Audit, few
from medray.console import say
from medray.data.folds import COUNT
from medray.data.listing.listing import TEST, TRAIN, VAL
from medray.errors import shown
from medray.init.data_sections import told_size
from medray.init.proposal import Study, pool_counts
from medray.init.writer import title

FEW = 50  # validation images; each then counts for 2 % and more
TRY = "--trials 4 --max-epochs 2"


def print_study(study: Study, audit: Audit, path: Path, console: Console) -> None:
    """Print all of it; `audit` is of the images that are kept, in their splits."""
    say(console, shown(title(study)))
    for line in seen(study):
        say(console, f"  {shown(line)}")
    for line in warnings(study, audit):
        console.print("warning", style="bold yellow", end="  ")
        say(console, shown(line))
    say(console, f"\n{shown(str(path))} is written: look at it, then")
    for command in next_commands(study, path, leaks=bool(audit.leaks)):
        say(console, f"  {command}")


def seen(study: Study) -> Iterator[str]:
    """What the images are, what was left out, and what was guessed."""
    survey, kept = study.survey, study.kept
    height, width, channels = study.shape
    yield f"data: {study.source}"
    made = f"{height}×{width}×{channels}"
    yield f"images: {told_size(survey)}, to be made {made}" if survey.files else f"images: {made}, as they are"
    if len(kept) < len(survey):
        yield f"left out: {len(survey) - len(kept):,} of {len(survey):,} images"
    for line in (*study.images, *study.labels):
        if line.value == "drop" or line.key == "min_count":
            yield f"  {line.key}: {line.value} ({line.why})"
    if study.splits:
        yield f"the source does not name {' and '.join(line.key for line in study.splits)}: they are taken from it"
    yield from survey.notes
    if study.guessed:
        columns = ", ".join(f"{own} is '{column}'" for own, column in study.guessed)
        yield f"columns, by their names: {columns}; the file names them: change them there if they are others"


def warnings(study: Study, audit: Audit) -> Iterator[str]:
    """What makes the search refuse, or its figures say little."""
    for leak in audit.leaks:
        yield f"leak: {leak.text}; `medray search` refuses to start on it without --allow-leaks"
    yield from (one.text for one in audit.findings if one.kind == "copies_across_classes")
    yield from (f"{one}: it can't be learned or measured there" for one in study.absent(TRAIN, VAL, TEST))
    small = {name: count for name, count in pool_counts(study).items() if count < COUNT}
    if small and study.kept.folds is None:
        told = few([f"{name} ({count})" for name, count in small.items()])
        yield f"fewer images, or patients, of a class than the {COUNT} folds of `medray crossval`: {told}"
    images = sum(study.counts(VAL).values())
    if images < FEW:
        yield (
            f"val has {images} images, so a metric on it is a matter of chance; `medray crossval` measures on all "
            "but the test split"
        )
    if 2 * len(study.kept) < len(study.survey):
        yield f"more than half of the {len(study.survey):,} images are left out"


def next_commands(study: Study, path: Path, *, leaks: bool) -> Iterator[str]:
    """The commands that come next, with a short search first that shows whether all is well."""
    file, run = shlex.quote(str(path)), f"runs/{study.name}"
    audit = f"medray data audit {shlex.quote(study.source)} --out audits/{study.name}"
    commands = {audit: "which images leak?"} if leaks else {}
    commands |= {
        f"medray search {file} {TRY} --out {run}-try": "does all of it run?",
        f"medray search {file}": "the search itself",
        f"medray crossval {run}{_folds(study)}": "was the best one lucky?",
        f"medray evaluate {run}": "the test split, once, at the end",
    }
    longest = max(map(len, commands))
    for command, what in commands.items():
        yield f"{command:{longest}}  # {what}"


def _folds(study: Study) -> str:
    """As many folds as the smallest class allows, where those are fewer than crossval's own."""
    least = min(pool_counts(study).values())
    return f" --folds {least}" if study.kept.folds is None and 2 <= least < COUNT else ""
