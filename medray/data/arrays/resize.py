"""Ready-made arrays in the size that a space asks for: fitted once, as image files are, and kept by content."""

import hashlib
import json
from collections import Counter
from contextlib import closing
from dataclasses import replace

from PIL import Image

from medray._types import Array, Progress, silent
from medray.data.cache import arrays
from medray.data.cache.parallel import in_order
from medray.data.dataset import ImageDataset
from medray.data.decoding.fit import fit
from medray.data.decoding.picture import Picture
from medray.space.preparation import LESION, Images

FORM = 1  # of what is cached; another one means other pixels


def resize_dataset(dataset: ImageDataset, rules: Images, progress: Progress = silent) -> ImageDataset:
    """The same data set with images of `rules`' size and channels; what was done to how many stands in `notes`.

    Raises:
        DataError: the cache can't be written.
    """
    shape = (*(rules.image_size or dataset.shape[:2]), rules.channels or dataset.shape[2])
    if shape == dataset.shape and rules.aspect != LESION:
        return replace(dataset, aspect=rules.aspect)
    told = json.dumps(["arrays", FORM, shape, rules.aspect, dataset.fingerprint])
    key = hashlib.sha256(told.encode()).hexdigest()
    images, facts = arrays.find_or_make(
        key, lambda: _fit_all(key, dataset, shape, rules.aspect, progress), dataset.source
    )
    height, width, channels = dataset.shape
    done = [
        f"{count} images of {height}×{width}×{channels} {what}" for what, count in sorted(facts["done"].items())
    ]
    done += arrays.too_large(images.array)
    return replace(
        dataset, images=images.array, mapped=str(images.path), aspect=rules.aspect, notes=(*dataset.notes, *done),
        original=dataset,
    )  # fmt: skip


def _fit_all(
    key: str, dataset: ImageDataset, shape: tuple[int, int, int], aspect: str, progress: Progress
) -> None:
    facts: dict[str, object] = {"source": dataset.source, "done": {}}
    done: Counter[str] = Counter()
    with (
        arrays.new_array(key, (len(dataset), *shape), facts) as images,
        closing(in_order(lambda image: fit(_picture(image), shape, aspect), dataset.images)) as fitted,
    ):
        for place, (pixels, notes) in enumerate(fitted):
            images[place] = pixels
            done.update(notes)
            progress("Resizing", place + 1, len(dataset))
        facts["done"] = dict(done)


def _picture(image: Array) -> Picture:
    height, width, channels = image.shape
    return Picture(Image.fromarray(image[:, :, 0] if channels == 1 else image), (width, height))
