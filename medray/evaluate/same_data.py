"""Whether a report's figures are of the images that a run has."""

from collections.abc import Mapping
from typing import Any

from medray.data.source import MEDMNIST, NPZ, PHANTOM, SIZE, Source, parse_source
from medray.errors import DataError
from medray.space.published import Published

NEARLY = 0.01  # MedMNIST 3 left out 10 of OrganSMNIST's 25,221 images


def same_data(published: Published, data: Mapping[str, Any]) -> tuple[bool | None, str | None]:
    """Whether the figures can be compared, None where that can't be told; and the sentence that says so.

    `data` is a run's data.json. There is no sentence where source and counts are those of the report.
    """
    source = str(data["source"])
    parsed = _parse(source)
    if parsed is not None and parsed.kind == PHANTOM:
        what = f"the images here are drawings ({source}), the published figures are of {published.data}"
        return False, f"NOT COMPARABLE: {what}."
    if published.source is not None and _image_set(_parse(published.source)) != _image_set(parsed):
        return False, f"OTHER DATA: the published figures are of {published.source}, those here of {source}."
    if published.images:
        return _same_counts(published.images, data)
    if published.source is None:
        return None, f"Whether the images here are those of the report can't be told from their source, {source}."
    return True, None


def _parse(source: str) -> Source | None:
    """Parse a stored source; None if the question mark in a path that is gone was taken for that of options."""
    try:
        return parse_source(source)
    except DataError:
        return None


def _image_set(source: Source | None) -> tuple[str, str] | None:
    """Return the name and size of the MedMNIST set that a source is or is a file of; else the source, no size."""
    if source is not None and source.kind == NPZ:
        name, _, size = source.path.stem.partition("_")
        return name, size or "28"
    if source is not None and source.kind == MEDMNIST:
        return source.name, source.options.get(SIZE, "28")
    return source and (str(source), "")


def _same_counts(published: Mapping[str, int], data: Mapping[str, Any]) -> tuple[bool, str | None]:
    here = {split: int(data["splits"].get(split, {"images": 0})["images"]) for split in published}
    if here == dict(published):
        return True, None
    nearly = all(abs(here[split] - count) <= NEARLY * count for split, count in published.items())
    counts = ", ".join(f"{count} {split}" for split, count in published.items())
    own = ", ".join(f"{count} {split}" for split, count in here.items())
    return (
        nearly,
        f"{'NEARLY THE SAME' if nearly else 'OTHER'} DATA: the report had {counts} images, here are {own}.",
    )
