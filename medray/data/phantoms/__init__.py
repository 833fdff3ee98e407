"""Phantoms: synthetic stand-ins for data sets, drawn on the spot where the real images can't be had.

They are drawings, not medical images: a figure measured on a phantom says that the machinery works and how
models compare on it, and can't be compared with any figure on the data set that it stands in for.
"""

from collections.abc import Callable

from medray.data.dataset import ImageDataset
from medray.data.phantoms.bloodcells import draw_bloodcells
from medray.data.phantoms.covid import draw_covid
from medray.data.phantoms.glaucoma import draw_glaucoma
from medray.data.phantoms.organs import draw_organs
from medray.data.phantoms.skin import draw_skin
from medray.errors import DataError, unknown

PHANTOMS: dict[str, Callable[..., ImageDataset]] = {
    "organs": draw_organs,
    "glaucoma": draw_glaucoma,
    "covid": draw_covid,
    "bloodcells": draw_bloodcells,
    "skin": draw_skin,
}


def load_phantom(name: str, seed: int = 0, size: int | None = None) -> ImageDataset:
    """Draw a phantom; one seed always gives the same images. `size` is the phantom's own where none is given.

    Raises:
        DataError: there is no phantom of that name.
    """
    if name not in PHANTOMS:
        raise DataError(unknown("phantom", name, PHANTOMS))
    draw = PHANTOMS[name]
    return draw(seed=seed) if size is None else draw(seed=seed, size=size)
