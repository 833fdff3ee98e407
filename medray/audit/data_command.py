"""The commands `medray data profile`, `audit` and `cache`: a first look at data, before any training."""

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medray.cli.base import MedrayCommand, MedrayGroup, errors_in_one_line, fail, json_option
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
  medray data profile images.npz --json
"""
AUDIT_EXAMPLES = """
\b
Examples:
  medray data audit folder:scans
  medray data audit csv:cells/labels.csv --out audits/cells
  medray data audit 'csv:skin.csv?subgroups=lesion' --by lesion
"""
SHEET_COLUMNS = 8
TILE = 128


@click.group("data", cls=MedrayGroup)
def data() -> None:
    """Look at images before any training: what they are, and what is wrong with them."""


@data.command("profile", cls=MedrayCommand, epilog=SOURCES + PROFILE_EXAMPLES)
@click.argument("source")
@click.option("--sheet", metavar="FILE.png", help="Draw a few images of each class there.")
@json_option
def profile(source: str, sheet: str | None, as_json: bool) -> None:
    """Count images by class and split; summarise sizes, channels and brightness."""
    from medray.audit.print_audit import print_profile
    from medray.audit.profile import profile_survey
    from medray.audit.survey_images import open_source, survey_source
    from medray.console import step

    with errors_in_one_line(as_json=as_json):
        opened = open_source(source)
        with step(make_console(True), f"Reading {source}") as progress:
            survey = survey_source(opened, progress)
        result = profile_survey(survey)
        if sheet:
            write_file(Path(sheet), draw_sheet(opened, survey))
        if as_json:
            click.echo(json.dumps(result.to_dict()))
        else:
            print_profile(result, make_console(width=NARROW))


@data.command("audit", cls=MedrayCommand, epilog=SOURCES + AUDIT_EXAMPLES)
@click.argument("source")
@click.option("--out", metavar="FOLDER", help="Write audit.json and duplicates.csv there.")
@click.option("--by", metavar="COLUMN", help="Look at cases by this column too: an exam, a lesion.")
@json_option
def audit(source: str, out: str | None, by: str | None, as_json: bool) -> None:
    """Look for leaks, and for whatever else harms a training.

    A leak is a duplicate, a patient or a case that several splits, or the two sides of a fold, share. Duplicates
    are looked for also where they are renamed, resized, recompressed, mirrored, turned by quarters, cropped or
    shifted by up to 5 %, or marked in a corner; most of these are found.

    The exit status is 1 if there is a leak, 0 if there are warnings at most, and 2 if SOURCE can't be read.
    """
    from medray.audit.audit import audit_survey
    from medray.audit.print_audit import print_audit
    from medray.audit.survey_images import cases_by, open_source, survey_source
    from medray.console import step
    from medray.errors import LeakError

    with errors_in_one_line(as_json=as_json):
        try:
            opened, console = open_source(source), make_console(True)
        except LeakError as leak:
            fail(str(leak), as_json=as_json, code=1)
        with step(console, f"Reading {source}") as progress:
            survey = survey_source(opened, progress)
        if by is not None:
            survey = replace(survey, cases=cases_by(by, survey.patients, survey.columns))
        with step(console, "Looking for duplicates and other problems"):
            result = audit_survey(survey)
        if out:
            write_file(Path(out) / "audit.json", json.dumps(result.to_dict(), indent=2).encode())
            write_file(Path(out) / "duplicates.csv", to_csv(result).encode())
        if as_json:
            click.echo(json.dumps(result.to_dict()))
        else:
            print_audit(result, make_console(width=NARROW))
    sys.exit(1 if result.leaks else 0)


@data.command("cache", cls=MedrayCommand)
@click.option("--clear", is_flag=True, help="Delete all of it; a running search may need it.")
def cache(clear: bool) -> None:
    """List the decoded images and the features of frozen backbones in the cache, those used last first.

    They are in $MEDRAY_CACHE, or in medray's part of the user's own cache. When new images would exceed
    $MEDRAY_CACHE_GIB, by default 20, those unused for longest are deleted; likewise features.
    """
    from datetime import datetime

    from medray.data.cache import array_cache, row_cache
    from medray.files import cache_folder

    def line(entry: array_cache.Entry | row_cache.Entry, words: str) -> None:
        used = datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
        shape = "×".join(map(str, entry.shape))
        click.echo(f"{entry.bytes / 2**20:10.1f} MiB  {used}  {shape:>20}  {words}")

    def total(size: int, kind: str) -> None:
        limit = array_cache.size_limit() / 2**20
        click.echo(f"{size / 2**20:10.1f} MiB of {limit:,.0f} in {cache_folder(kind)}")

    with errors_in_one_line():
        images, features, leftovers = array_cache.entries(), row_cache.entries()[::-1], array_cache.leftovers()
        for entry in images:
            line(entry, entry.facts.source)
        if leftovers:
            size = sum(leftovers.values()) / 2**20
            click.echo(f"{size:10.1f} MiB  left over from processes that were killed: {len(leftovers)}")
        total(sum(entry.bytes for entry in images) + sum(leftovers.values()), array_cache.KIND)
        for rows in features:
            line(rows, "features of a frozen backbone")
        total(sum(rows.bytes for rows in features), row_cache.KIND)
        if clear:
            for entry in images:
                array_cache.delete(entry.key)
            gone = sum(row_cache.delete(rows.path) for rows in features)
            click.echo(f"deleted: {len(images) + gone + array_cache.delete_leftovers()}")
            if gone < len(features):
                click.echo(f"kept, as features are being computed: {len(features) - gone}")


def draw_sheet(opened: "Listing | ImageDataset", survey: "Survey") -> bytes:
    """Draw a few images of each class, of those without a label and of those with several: return a PNG's bytes.

    Of label sets, a class's row has images that have its label, perhaps among others; further rows are of images
    with no label, and of those of which the source says nothing.

    Raises:
        DataError: no image can be read.
    """
    import numpy as np

    from medray.audit.profile import NO_LABEL
    from medray.audit.survey_images import load_images
    from medray.data.listing.listing import BLANK, SEVERAL, counted_as
    from medray.pictures.contact_sheet import contact_sheet

    by_label: dict[str, list[int]] = {name: [] for name in (*survey.class_names, BLANK, SEVERAL, NO_LABEL)}
    blank = set(survey.blank_images)
    for index in np.flatnonzero(survey.measures.readable).tolist():
        names, uncertain = survey.labels[index], survey.uncertain[index] if survey.uncertain else ()
        if index in blank or not survey.label_sets:
            by_label[counted_as(names)].append(index)
        elif names or not uncertain:
            for name in {*names} or {NO_LABEL}:
                by_label[name].append(index)
    rows = {name: evenly_spaced(indices, SHEET_COLUMNS) for name, indices in by_label.items() if indices}
    columns = max(map(len, rows.values()), default=1)
    tiles = iter(load_images(opened, [index for indices in rows.values() for index in indices], TILE))
    images: list[Array | None] = []
    captions: list[str] = []
    for name, indices in rows.items():
        gaps = columns - len(indices)
        sizes = [_caption(survey, index, name) for index in indices]
        images += [*(next(tiles) for _ in indices), *([None] * gaps)]
        captions += [*(f"{name}\n{size}" for size in sizes), *([""] * gaps)]
    return contact_sheet(images, captions, columns=columns, tile=TILE, title=survey.source)


def _caption(survey: "Survey", index: int, label: str) -> str:
    """Return the second line of an image's caption: its other labels, or else its size."""
    others = [name for name in survey.labels[index] if survey.label_sets and name != label]
    if others:
        return f"+ {others[0]}" + (f", {len(others) - 1} more" if others[1:] else "")
    return f"{survey.measures.height[index]} x {survey.measures.width[index]}"


def evenly_spaced(indices: list[int], most: int) -> list[int]:
    """Return `most` of the indices, from the first to the last at even steps; all where there are fewer."""
    if len(indices) <= most:
        return indices
    return [indices[round(step * (len(indices) - 1) / (most - 1))] for step in range(most)]


def to_csv(audit: "Audit") -> str:
    """Return the pairs of duplicates as CSV, one row each."""
    from dataclasses import astuple, fields

    from medray.audit.findings import DuplicatePair

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(DuplicatePair)])
    writer.writerows(astuple(pair) for pair in audit.duplicates)
    return stream.getvalue()
