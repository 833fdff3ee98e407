"""Whether a report's figures are of the images that a run has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medray.space.published import Published

NEARLY = 0.01  # MedMNIST 3 left out 10 of OrganSMNIST's 25,221 images


def same_data(published: Published, data: Mapping[str, Any]) -> tuple[bool | None, str | None]:
    """Whether the figures can be compared, None where that can't be told; and the sentence that says so.

    `data` is a run's data.json. There is no sentence where source and counts are those of the report.
    """
    source = str(data["source"])
    if source.startswith("phantom"):
        what = f"the images here are drawings ({source}), the published figures are of {published.data}"
        return False, f"NOT COMPARABLE: {what}."
    if published.source is not None and not _same_source(published.source, source):
        return False, f"OTHER DATA: the published figures are of {published.source}, those here of {source}."
    if published.images:
        return _same_counts(published.images, data)
    if published.source is None:
        return None, f"Whether the images here are those of the report can't be told from their source, {source}."
    return True, None


def _same_source(published: str, source: str) -> bool:
    """Whether both name the same images: a file of MedMNIST's own name is that set."""
    own = f"medmnist:{Path(source).stem.replace('_', ':')}" if source.endswith(".npz") else source
    return own.removesuffix(":28") == published.removesuffix(":28")


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
