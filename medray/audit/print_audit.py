"""Print a Profile and an Audit as tables that fit 80 columns."""

from collections.abc import Iterator
from itertools import islice

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from medray.audit.findings import INFO, LEAK, WARNING, Audit
from medray.audit.profile import NO_SPLIT, Profile, Spread
from medray.console import say
from medray.data.listing.listing import BLANK
from medray.data.similarity.duplicates import LOOKED_FOR
from medray.text import plural

MOST_SIZES = 3
SEVERITY_STYLES = {LEAK: "bold red", WARNING: "yellow", INFO: "cyan"}
LOOK_TITLES = {
    "brightness": "brightness (0 to 255)", "contrast": "contrast (standard deviation)",
    "sharpness": "sharpness (at 64 x 64)", "tone": "tone (red minus blue)",
}  # fmt: skip


def print_profile(profile: Profile, console: Console) -> None:
    """Print the classes by split, and what the images are."""
    say(console, f"{profile.source}: {_summary(profile)}")
    console.print(_class_table(profile))
    if profile.rows:
        total = sum(profile.rows.values())
        table = Table(title="Rows of the table by label", title_justify="left", show_footer=True)
        table.add_column("label", "all", overflow="fold")
        table.add_column("rows", str(total), justify="right")
        for name, count in profile.rows.items():
            table.add_row(Text(name), _share(count, total))
        console.print(table)
    table = Table(title="What the images are", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in _properties(profile):
        table.add_row(name, Text(value))
    console.print(table)
    for note in profile.notes:
        say(console, f"note: {note}")


def print_audit(audit: Audit, console: Console) -> None:
    """Print each finding, leaks first."""
    counts = {name: sum(f.severity == name for f in audit.findings) for name in SEVERITY_STYLES}
    findings = f"{plural(counts[LEAK], 'leak')}, {plural(counts[WARNING], 'warning')}"
    findings += f", {counts[INFO]} for information" if counts[INFO] else ""
    findings = findings if audit.findings else "no findings"
    say(console, f"{audit.source}: {plural(audit.images, 'image')}, {findings}")
    if not audit.leaks:
        no_leak = f"No leak was found. Looked for: {LOOKED_FOR}, most of which are found; and known patients."
        console.print(Padding(Text(no_leak), (0, 0, 0, 4), expand=False))
    order = list(SEVERITY_STYLES)
    for finding in sorted(audit.findings, key=lambda finding: order.index(finding.severity)):
        style = SEVERITY_STYLES[finding.severity]
        console.print(Text(f"{finding.severity}  ", style=style).append(finding.kind, style="bold"))
        console.print(Padding(Text(finding.text), (0, 0, 0, 4), expand=False))
    for note in audit.notes:
        console.print(Text(f"note: {note}"))


def _summary(profile: Profile) -> str:
    parts = [plural(profile.images, "image")]
    if profile.patients:
        parts.append(plural(profile.patients, "patient"))
    if profile.folds is not None:
        parts.append(plural(profile.folds, "ready-made fold"))
    unusable = {
        "without a label": profile.blank, "with several labels": profile.multiple,
        "unreadable": profile.unreadable, "missing": profile.missing,
    }  # fmt: skip
    parts += [f"{count} {description}" for description, count in unusable.items() if count]
    if profile.ignored:
        parts.append(f"{plural(profile.ignored, 'file')} ignored")
    return ", ".join(parts)


def _class_table(profile: Profile) -> Table:
    """Return the images of each class by split, with the share of the class in the split.

    Where images have several labels, they are counted in each, and once in the rows below.
    """
    sets = {f"labels: {kind[1:-1]}": counts for kind, counts in profile.sets.items()}
    title = "Images by label and split, each in all of its labels" if sets else "Images by class and split"
    table = Table(title=title, title_justify="left", show_footer=True)
    once = [*sets.values(), *([profile.counts[BLANK]] if BLANK in profile.counts else [])]
    totals = [sum(column) for column in zip(*(once if sets else profile.counts.values()), strict=True)]
    table.add_column("label" if sets else "class", "all images" if sets else "all", overflow="fold")
    for split, total in zip(profile.splits, totals, strict=True):
        table.add_column("images" if profile.splits == (NO_SPLIT,) else split, str(total), justify="right")
    if len(profile.splits) > 1:
        table.add_column("all", str(sum(totals)), justify="right")
    last = list(profile.counts)[-1]
    for name, counts in [*profile.counts.items(), *sets.items()]:
        shares = [_share(count, total) for count, total in zip(counts, totals, strict=True)]
        if len(shares) > 1:
            shares.append(_share(sum(counts), sum(totals)))
        table.add_row(Text(name), *shares, end_section=bool(sets) and name == last)
    return table


def _properties(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each property of the images."""
    if profile.height and profile.width:
        sizes = ", ".join(f"{size} ({count})" for size, count in islice(profile.sizes.items(), MOST_SIZES))
        more = len(profile.sizes) - MOST_SIZES
        yield "height x width", f"{sizes} and {plural(more, 'other size')}" if more > 0 else sizes
        if len(profile.sizes) > 1:
            yield "height", _range(profile.height)
            yield "width", _range(profile.width)
    for name, counts in (
        ("channels", profile.channels), ("formats", profile.formats), ("bits of a channel", profile.bits),
    ):  # fmt: skip
        if counts:
            yield name, ", ".join(f"{value} ({count})" for value, count in counts.items())
    if profile.two_valued:
        share = _share(profile.two_valued, profile.images)
        yield (
            "of two values only",
            f"{share}: {'drawings or masks' if profile.two_valued == profile.images else 'masks?'}",
        )
    for look, spread in profile.looks.items():
        if look != "tone" or spread.min or spread.max:
            yield LOOK_TITLES[look], _range(spread)


def _range(spread: Spread) -> str:
    low, middle, high = (f"{value:.1f}".removesuffix(".0") for value in (spread.min, spread.median, spread.max))
    return low if low == high else f"{low} to {high}, median {middle}"


def _share(count: int, total: int) -> str:
    return f"{count} ({count / total:4.0%})" if total else "0"
