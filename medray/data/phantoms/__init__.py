"""Phantoms: synthetic stand-ins for data sets, drawn when needed where the real images can't be had.

They are drawings, not medical images: a figure measured on a phantom shows that the code works and how
models compare on it, and can't be compared with any figure on the data set that it stands in for.
"""

from collections.abc import Callable

from medray.data.dataset import ImageDataset
from medray.data.phantoms.bloodcells import draw_bloodcells
from medray.data.phantoms.chest import draw_chest
from medray.data.phantoms.covid import draw_covid
from medray.data.phantoms.glaucoma import draw_glaucoma
from medray.data.phantoms.organs import draw_organs
from medray.data.phantoms.retinopathy import draw_retinopathy
from medray.data.phantoms.skin import draw_skin
from medray.data.source import Source
from medray.errors import DataError, unknown_choice_line

PHANTOMS: dict[str, Callable[..., ImageDataset]] = {
    "organs": draw_organs,
    "glaucoma": draw_glaucoma,
    "covid": draw_covid,
    "bloodcells": draw_bloodcells,
    "skin": draw_skin,
    "retinopathy": draw_retinopathy,
    "chest": draw_chest,
}


OPTIONS = {"seed": (0, 2**63 - 1), "size": (16, 1024), "images": (100, 100_000)}  # least and most


def load_phantom(name: str, seed: int = 0, size: int | None = None, images: int | None = None) -> ImageDataset:
    """Draw a phantom; one seed always gives the same images.

    `size` is the side of an image in pixels, `images` about how many there are; by default the phantom's own.

    Raises:
        DataError: there is no phantom of that name, or so few images leave a class out of a split.
    """
    if name not in PHANTOMS:
        raise DataError(unknown_choice_line("phantom", name, PHANTOMS))
    options = {"size": size, "images": images}
    dataset = PHANTOMS[name](seed=seed, **{key: value for key, value in options.items() if value is not None})
    for split in dataset.splits:
        counts = dataset.split(split).class_counts()
        if not counts.all():
            missing = dataset.class_names[int(counts.argmin())]
            raise DataError(f"{dataset.source}: {split} has no image of {missing}: ask for more images")
    return dataset


def phantom_from_source(source: Source, default: str, seed: int = 0) -> ImageDataset:
    """Draw the phantom of a source such as `phantom`, `phantom:NAME` or `phantom:NAME?size=32&images=200&seed=1`.

    `default` is the name of the phantom where the source gives none, `seed` the seed.

    Raises:
        DataError: there is no such phantom, or an option is unknown or not allowed.
    """
    numbers = {"seed": seed}
    for name, value in source.options.items():
        least, most = OPTIONS[name]
        if not (value.isascii() and value.isdigit() and len(value) < 20 and least <= int(value) <= most):
            raise DataError(f"{source}: {name} is '{value}', not a whole number from {least} to {most}")
        numbers[name] = int(value)
    return load_phantom(source.name or default, **numbers)
