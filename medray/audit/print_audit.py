"""Profile and Audit for a person: tables that fit 80 columns."""

from collections.abc import Iterator, Mapping
from itertools import islice

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from medray.audit.findings import LEAK, Audit, counted
from medray.audit.profile import NO_SPLIT, Profile, Spread
from medray.console import say

MOST_SIZES = 3
_STYLES = {"leak": "bold red", "warning": "yellow"}
_LOOKS = {
    "brightness": "brightness (0 to 255)", "contrast": "contrast (standard deviation)",
    "sharpness": "sharpness (at 64 x 64)", "tone": "tone (red less blue)",
}  # fmt: skip


def print_profile(profile: Profile, console: Console) -> None:
    """Print the classes by split, and what the images are."""
    say(console, f"{profile.source}: {_summary(profile)}")
    console.print(_classes(profile))
    if profile.rows:
        console.print(_rows(profile))
    console.print(_facts(profile))
    for note in profile.notes:
        say(console, f"note: {note}")


def print_audit(audit: Audit, console: Console) -> None:
    """Print each finding, leaks first."""
    warnings = len(audit.findings) - len(audit.leaks)
    found = (
        f"{counted(len(audit.leaks), 'leak')}, {counted(warnings, 'warning')}" if audit.findings else "no findings"
    )
    say(console, f"{audit.source}: {counted(audit.images, 'image')}, {found}")
    for one in sorted(audit.findings, key=lambda own: own.severity != LEAK):
        heading = Text(f"{one.severity}  ", style=_STYLES[one.severity]).append(one.kind, style="bold")
        console.print(heading)
        console.print(Padding(Text(one.text), (0, 0, 0, 4), expand=False))


def _summary(profile: Profile) -> str:
    parts = [counted(profile.images, "image")]
    if profile.patients:
        parts.append(counted(profile.patients, "patient"))
    if profile.folds is not None:
        parts.append(counted(profile.folds, "ready-made fold"))
    unusable = {
        "without a label": profile.blank, "with several labels": profile.multiple,
        "unreadable": profile.unreadable, "missing": profile.missing,
    }  # fmt: skip
    parts += [f"{count} {what}" for what, count in unusable.items() if count]
    return ", ".join([*parts, *([counted(profile.ignored, "file") + " ignored"] if profile.ignored else [])])


def _classes(profile: Profile) -> Table:
    """Images of each class by split; with the share of the class in the split."""
    table = Table(title="Images by class and split", title_justify="left", show_footer=True)
    totals = [sum(own[place] for own in profile.counts.values()) for place in range(len(profile.splits))]
    table.add_column("class", "all", overflow="fold")
    for split, total in zip(profile.splits, totals, strict=True):
        table.add_column("images" if profile.splits == (NO_SPLIT,) else split, str(total), justify="right")
    if len(profile.splits) > 1:
        table.add_column("all", str(sum(totals)), justify="right")
    for name, counts in profile.counts.items():
        row = [_share(count, total) for count, total in zip(counts, totals, strict=True)]
        table.add_row(Text(name), *row, *([_share(sum(counts), sum(totals))] if len(row) > 1 else []))
    return table


def _rows(profile: Profile) -> Table:
    total = sum(profile.rows.values())
    table = Table(title="Rows of the table by label", title_justify="left", show_footer=True)
    table.add_column("label", "all", overflow="fold")
    table.add_column("rows", str(total), justify="right")
    for name, count in profile.rows.items():
        table.add_row(Text(name), _share(count, total))
    return table


def _facts(profile: Profile) -> Table:
    table = Table(title="What the images are", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in _told(profile):
        table.add_row(name, Text(value))
    return table


def _told(profile: Profile) -> Iterator[tuple[str, str]]:
    if profile.height and profile.width:
        yield "height x width", _sizes(profile.sizes)
        if len(profile.sizes) > 1:
            yield "height", _spread(profile.height)
            yield "width", _spread(profile.width)
    for name, counts in (
        ("channels", profile.channels), ("formats", profile.formats), ("bits of a channel", profile.bits),
    ):  # fmt: skip
        if counts:
            yield name, ", ".join(f"{what} ({count})" for what, count in counts.items())
    for look, spread in profile.looks.items():
        if look != "tone" or spread.min or spread.max:
            yield _LOOKS[look], _spread(spread)


def _sizes(sizes: Mapping[str, int]) -> str:
    first = ", ".join(f"{size} ({count})" for size, count in islice(sizes.items(), MOST_SIZES))
    more = len(sizes) - MOST_SIZES
    return f"{first} and {counted(more, 'other size')}" if more > 0 else first


def _spread(spread: Spread) -> str:
    low, middle, high = (f"{value:.1f}".removesuffix(".0") for value in (spread.min, spread.median, spread.max))
    return low if low == high else f"{low} to {high}, median {middle}"


def _share(count: int, total: int) -> str:
    return f"{count} ({count / total:4.0%})" if total else "0"
