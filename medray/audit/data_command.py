"""The command line of a first look at data, before any training."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medray.cli.base import MedrayCommand, MedrayGroup, errors_in_one_line, fail
from medray.console import NARROW, make_console
from medray.files import write_file

if TYPE_CHECKING:
    from medray._types import Array
    from medray.audit.findings import Audit
    from medray.audit.survey import Survey
    from medray.data.dataset import ImageDataset
    from medray.data.listing.listing import Listing

SOURCES = """
\b
SOURCE is what a search takes as --data:
  folder:PATH                  class folders, perhaps in folders of splits and folds
  csv:PATH                     a table, one row for each image
  dicom:PATH                   DICOM files
  path/to/images.npz           MedMNIST's form
  medmnist:organsmnist[:SIZE]  one of its sets
  phantom[:NAME]               drawings
"""
PROFILE_EXAMPLES = """
\b
Examples:
  medray data profile folder:scans
  medray data profile csv:cells/labels.csv --sheet cells.png
  medray data profile images.npz --json profile.json
"""
AUDIT_EXAMPLES = """
\b
Examples:
  medray data audit folder:scans
  medray data audit csv:cells/labels.csv --out audits/cells
"""
SHEET_COLUMNS = 8
TILE = 128


@click.group("data", cls=MedrayGroup)
def data() -> None:
    """Look at images before any training: what they are, and what is wrong with them."""


@data.command("profile", cls=MedrayCommand, epilog=SOURCES + PROFILE_EXAMPLES)
@click.argument("source")
@click.option("--json", "json_file", metavar="FILE", help="Write the profile there as JSON too.")
@click.option("--sheet", metavar="FILE.png", help="Draw a few images of each class there.")
def profile(source: str, json_file: str | None, sheet: str | None) -> None:
    """Count images by class and split; tell sizes and looks."""
    from medray.audit.print_audit import print_profile
    from medray.audit.profile import profile as make_profile
    from medray.audit.survey_images import open_source, survey_source
    from medray.console import step

    with errors_in_one_line():
        opened = open_source(source)
        with step(make_console(True), f"Reading {source}") as told:
            survey = survey_source(opened, told)
        made = make_profile(survey)
        print_profile(made, make_console(width=NARROW))
        if json_file:
            write_file(Path(json_file), json.dumps(made.to_dict(), indent=2).encode(), parents=True)
        if sheet:
            write_file(Path(sheet), draw_sheet(opened, survey), parents=True)


@data.command("audit", cls=MedrayCommand, epilog=SOURCES + AUDIT_EXAMPLES)
@click.argument("source")
@click.option("--out", metavar="FOLDER", help="Write audit.json and duplicates.csv there.")
def audit(source: str, out: str | None) -> None:
    """Look for leaks, and for what else spoils a training.

    A leak is a copy of an image, or a patient, that several splits or the sides of a fold share. Copies are found
    though they are renamed, resized, compressed again, mirrored or turned by quarters.

    The exit status is 1 if there is a leak, 0 if there are warnings at most, and 2 if SOURCE can't be read.
    """
    from medray.audit.audit import audit as make_audit
    from medray.audit.print_audit import print_audit
    from medray.audit.survey_images import open_source, survey_source
    from medray.console import step
    from medray.errors import LeakError

    with errors_in_one_line():
        try:
            opened, console = open_source(source), make_console(True)
        except LeakError as leak:
            fail(str(leak), code=1)
        with step(console, f"Reading {source}") as told:
            survey = survey_source(opened, told)
        with step(console, "Looking for copies, and for what else is wrong"):
            made = make_audit(survey)
        print_audit(made, make_console(width=NARROW))
        if out:
            write_file(Path(out) / "audit.json", json.dumps(made.to_dict(), indent=2).encode(), parents=True)
            write_file(Path(out) / "duplicates.csv", to_csv(made).encode())
    sys.exit(1 if made.leaks else 0)


@data.command("cache", cls=MedrayCommand)
@click.option("--clear", is_flag=True, help="Delete all of it; a search that runs may need it.")
def cache(clear: bool) -> None:
    """Show the decoded images that are kept, the ones used last first.

    They lie in $MEDRAY_CACHE, or in medray's part of the user's own cache. Beyond $MEDRAY_CACHE_GIB, 20 as it
    comes, those used longest ago are deleted when others are kept.
    """
    from datetime import datetime

    from medray.data.cache import arrays
    from medray.files import cache_folder

    with errors_in_one_line():
        held, most = arrays.entries(), arrays.limit()
        left = arrays.leftovers()
        total = sum(entry.bytes for entry in held) + sum(left.values())
        for entry in held:
            used = datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
            shape = "×".join(map(str, entry.facts.get("shape", [])))
            source = entry.facts.get("source", "?")
            click.echo(f"{entry.bytes / 2**20:10.1f} MiB  {used}  {shape:>20}  {source}")
        if left:
            what = f"left over from processes that were killed: {len(left)}"
            click.echo(f"{sum(left.values()) / 2**20:10.1f} MiB  {what}")
        click.echo(f"{total / 2**20:10.1f} MiB of {most / 2**20:,.0f} in {cache_folder(arrays.KIND)}")
        if clear:
            for entry in held:
                arrays.delete(entry.key)
            click.echo(f"deleted: {len(held) + arrays.delete_leftovers()}")


def draw_sheet(opened: "Listing | ImageDataset", survey: "Survey") -> bytes:
    """Draw a row of images for each class, for images without a label and for those with several: a PNG's bytes.

    Raises:
        DataError: no image can be read.
    """
    import numpy as np

    from medray.audit.survey_images import pictures
    from medray.data.listing.listing import BLANK, SEVERAL, counted_as
    from medray.pictures.contact_sheet import contact_sheet

    of_class: dict[str, list[int]] = {name: [] for name in (*survey.class_names, BLANK, SEVERAL)}
    for place in np.flatnonzero(survey.measures.readable).tolist():
        of_class[counted_as(survey.labels[place])].append(place)
    rows = [(name, spaced(places, SHEET_COLUMNS)) for name, places in of_class.items() if places]
    found = pictures(opened, [place for _, places in rows for place in places], TILE)
    columns = max((len(places) for _, places in rows), default=1)
    tiles = iter(found)
    images: list[Array | None] = []
    captions: list[str] = []
    for name, places in rows:
        gaps = columns - len(places)
        sizes = [f"{survey.measures.height[place]} x {survey.measures.width[place]}" for place in places]
        images += [*(next(tiles) for _ in places), *([None] * gaps)]
        captions += [*(f"{name}\n{size}" for size in sizes), *([""] * gaps)]
    return contact_sheet(images, captions, columns=columns, tile=TILE, title=survey.source)


def spaced(places: list[int], most: int) -> list[int]:
    """Take `most` of the places, from the first to the last at even steps; all where there are fewer."""
    if len(places) <= most:
        return places
    return [places[round(step * (len(places) - 1) / (most - 1))] for step in range(most)]


def to_csv(audit: "Audit") -> str:
    """The pairs of copies as CSV, one row each."""
    from dataclasses import astuple, fields

    from medray.audit.findings import CopyRow

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([own.name for own in fields(CopyRow)])
    writer.writerows(astuple(row) for row in audit.copies)
    return stream.getvalue()


def main() -> None:
    """Run the command."""
    data(prog_name="medray data")
