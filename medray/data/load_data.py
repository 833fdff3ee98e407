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
from medray.errors import DataError
from medray.space.preparation import Preparation
from medray.tasks import SEVERAL, SINGLE, TASKS


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
    just `phantom` means the phantom called `phantom`, drawn with `seed` unless the source has one. Without a
    `preparation`, arrays keep the labels that they have, one class or several for each image.

    >>> load_data("phantom:organs?images=400").shape
    (28, 28, 1)

    Raises:
        DataError: there is no such source, it can't be read or downloaded, or its content does not fit.
    """
    source = parse_source(source) if isinstance(source, str) else source
    task = None if preparation is None else preparation.task
    preparation = preparation or Preparation()
    if source.is_listed:
        return build_dataset(list_source(source), preparation, progress)
    if source.kind == PHANTOM:
        dataset = phantom_from_source(source, phantom, seed)
        check_task(dataset.source, task, label_sets=dataset.has_label_sets)
        expected = (
            *(preparation.images.image_size or dataset.shape[:2]),
            preparation.images.channels or dataset.shape[2],
        )
        if expected == dataset.shape:
            return dataset
        drawn, asked = (f"{h}×{w} in {'grey' if c == 1 else 'colours'}" for h, w, c in (dataset.shape, expected))
        note = f"drawn as the source says, {drawn}: the space's `images`, {asked}, are not for drawings"
        return replace(dataset, notes=(*dataset.notes, note))
    if source.kind == MEDMNIST:
        check_task(str(source), task, label_sets=source.name in medmnist.MULTI_LABEL)  # before a download
        path = medmnist.locate(source.name, source.options.get(SIZE, medmnist.SIZES[0]))
        dataset = read_npz(path, source=str(source), class_names=medmnist.class_names(source.name), task=task)
    else:
        dataset = read_npz(source.path, source=str(source), task=task)
    return resize_dataset(dataset, preparation.images, progress, longest=preparation.longest)


def check_task(source: str, task: str | None, *, label_sets: bool) -> None:
    """Check that images which have several labels, or one class each, are for such a task; None is any.

    Raises:
        DataError: they are not; the line names the task that they are for.
    """
    if task is None or TASKS[task].label_sets == label_sets:
        return
    have, taking = ("may have several labels", SEVERAL) if label_sets else ("have one class each", SINGLE)
    raise DataError(f"its images {have}: `task: {taking.name}` takes them, and not `{task}`", file=source)
