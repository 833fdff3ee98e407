"""Load the data set that a source names."""

from dataclasses import replace

from medray._types import Progress, silent
from medray.data.arrays import medmnist
from medray.data.arrays.npz import read_npz
from medray.data.arrays.resize import resize_dataset
from medray.data.build import build_dataset
from medray.data.dataset import ImageDataset
from medray.data.listing.list_source import list_source
from medray.data.phantoms import phantom_from_source
from medray.data.source import MEDMNIST, PHANTOM, SIZE, Source, parse_source
from medray.space.preparation import Preparation


def load_data(
    source: str | Source,
    *,
    phantom: str = "organs",
    seed: int = 0,
    preparation: Preparation | None = None,
    progress: Progress = silent,
) -> ImageDataset:
    """Load a data set; see `medray.data.source` for what `source` may be.

    Image files are decoded, and arrays resized, as `preparation` says; phantoms keep their size. A source that is
    just `phantom` means the phantom called `phantom`, drawn with `seed` unless the source has one.

    >>> load_data("phantom:organs?images=400").shape
    (28, 28, 1)

    Raises:
        DataError: there is no such source, it can't be read or downloaded, or its content does not fit.
    """
    source = parse_source(source) if isinstance(source, str) else source
    preparation = preparation or Preparation()
    if source.is_listed:
        return build_dataset(list_source(source), preparation, progress)
    if source.kind == PHANTOM:
        dataset = phantom_from_source(source, phantom, seed)
        expected = (
            *(preparation.images.image_size or dataset.shape[:2]),
            preparation.images.channels or dataset.shape[2],
        )
        if expected == dataset.shape:
            return dataset
        drawn, asked = (f"{h}×{w} in {'grey' if c == 1 else 'colours'}" for h, w, c in (dataset.shape, expected))
        note = f"drawn as the source says, {drawn}: the space's `images`, {asked}, are not for drawings"
        return replace(dataset, notes=(*dataset.notes, note))
    task = preparation.task
    if source.kind == MEDMNIST:
        path = medmnist.locate(source.name, source.options.get(SIZE, medmnist.SIZES[0]))
        dataset = read_npz(path, source=str(source), class_names=medmnist.class_names(source.name), task=task)
    else:
        dataset = read_npz(source.path, source=str(source), task=task)
    return resize_dataset(dataset, preparation.images, progress)
