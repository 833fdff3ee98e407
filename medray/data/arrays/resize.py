"""Resize ready-made arrays to the shape that a search space asks for, as image files are, and cache them."""

from dataclasses import replace

from PIL import Image

from medray._types import Array, Progress, silent
from medray.data.dataset import ImageDataset
from medray.data.decoding.fit import fit
from medray.data.decoding.picture import Picture
from medray.data.fitted_images import Converted, fit_images
from medray.data.resampling import limited
from medray.space.preparation import LESION, Images

FORM = 3  # of what is cached; another one means other pixels


def resize_dataset(
    dataset: ImageDataset, rules: Images, progress: Progress = silent, *, longest: int | None = None
) -> ImageDataset:
    """Return the data set with images of the size and channels in `rules`; `notes` say what was done to how many.

    Without a size there, images of a longer side than `longest` shrink to it, the other side in proportion.

    Raises:
        DataError: the cache can't be written.
    """
    height, width, channels = dataset.shape
    shape = (*(rules.image_size or limited((height, width), longest)), rules.channels or channels)
    if shape == dataset.shape and rules.aspect != LESION:
        return replace(dataset, aspect=rules.aspect)

    def convert(image: Array) -> Converted:
        picture = Picture(Image.fromarray(image[:, :, 0] if channels == 1 else image), (width, height))
        pixels, notes = fit(picture, shape, rules.aspect)
        return pixels, tuple(notes), 0

    content = ["arrays", FORM, shape, rules.aspect, dataset.fingerprint]
    images = fit_images(content, shape, list(dataset.images), convert, dataset.source, "Resizing", progress)
    done = [f"{count} images of {height}×{width}×{channels} {name}" for name, count in sorted(images.done.items())]
    return replace(
        dataset, images=images.array, mapped=str(images.path), aspect=rules.aspect, original=dataset,
        notes=(*dataset.notes, *done, *images.notes),
    )  # fmt: skip
