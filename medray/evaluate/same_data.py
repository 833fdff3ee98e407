"""Whether a report's figures and a run's scores are of the same images."""

from medray.data.arrays.medmnist import FLAT_SETS
from medray.data.listing.listing import CALIBRATION, TRAIN
from medray.data.source import MEDMNIST, NPZ, PHANTOM, SIZE, Source, parse_source
from medray.errors import DataError
from medray.runs.run_facts import DataFacts
from medray.space.published import Published

NEARLY = 0.01  # MedMNIST 3 left out 10 of OrganSMNIST's 25,221 images


def same_data(published: Published, data: DataFacts) -> tuple[bool | None, str | None]:
    """Return whether the figures can be compared, None where that is unknown, and a sentence that says so.

    The sentence is None where source and counts are those of the report.
    """
    source = data.source
    parsed = _parse(source)
    if parsed is not None and parsed.kind == PHANTOM:
        images = f"the images here are drawings ({source}), the published figures are of {published.data}"
        return False, f"NOT COMPARABLE: {images}."
    if published.source is not None and _image_set(published.source) != _image_set(source):
        return False, f"OTHER DATA: the published figures are of {published.source}, those here of {source}."
    if published.images:
        counts = {split: facts.images for split, facts in data.splits.items()}
        aside = counts.get(CALIBRATION, 0)  # of the training images
        here = {split: counts.get(split, 0) + aside * (split == TRAIN) for split in published.images}
        if here == dict(published.images):
            kept = f"{aside} training images are kept aside here to calibrate on; the report trained on them."
            return True, kept if aside else None
        nearly = all(abs(here[split] - count) <= NEARLY * count for split, count in published.images.items())
        theirs, ours = (
            ", ".join(f"{count} {split}" for split, count in counts.items()) for counts in (published.images, here)
        )
        prefix = "NEARLY THE SAME" if nearly else "OTHER"
        return nearly, f"{prefix} DATA: the report had {theirs} images, here are {ours}."
    if published.source is None:
        return None, f"Whether the images here are those of the report can't be told from their source, {source}."
    return True, None


def _parse(source: str) -> Source | None:
    """Parse a stored source; None if the question mark in a path that is gone was taken for that of options."""
    try:
        return parse_source(source)
    except DataError:
        return None


def _image_set(text: str) -> tuple[str, str]:
    """Return the name and size of the MedMNIST set that a source is or is named as a file of; else its text."""
    source = _parse(text)
    if source is not None and source.kind == MEDMNIST:
        return source.name, source.options.get(SIZE, "28")
    if source is not None and source.kind == NPZ:
        name, _, size = source.path.stem.partition("_")
        if name in FLAT_SETS:
            return name, size or "28"
    return text, ""
