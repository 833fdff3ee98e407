"""Sources: what `--data` names -> ImageDataset.

medmnist:organsmnist       a 2-D MedMNIST set, 28×28
medmnist:organsmnist:64    the same at 64, 128 or 224
path/to/images.npz         MedMNIST's form: {train,val,test}_{images,labels}, class_names if wanted
phantom                    procedural images of the search space's own modality
phantom:organs             those of another space
phantom:covid?images=200&size=32&seed=1    fewer or smaller ones, or others of the same kind
folder:path                class folders, with folders of splits or folds above them if there are
csv:path/labels.csv        a table of file names and labels
dicom:path                 a folder of DICOM files
"""

from dataclasses import replace

from medray._types import Progress, silent
from medray.data.arrays import medmnist
from medray.data.arrays.npz import read_npz
from medray.data.arrays.resize import resized
from medray.data.build import build
from medray.data.dataset import ImageDataset
from medray.data.listing.list_source import KINDS, list_source
from medray.data.phantoms import PHANTOMS, phantom_of
from medray.errors import DataError, nearest
from medray.files import expanded
from medray.space.preparation import Preparation


def load_data(
    source: str,
    *,
    phantom: str = "organs",
    seed: int = 0,
    preparation: Preparation | None = None,
    progress: Progress = silent,
) -> ImageDataset:
    """Load the data set that `source` names; `phantom` is the space whose phantom a bare `phantom` means.

    Image files become a data set as `preparation` says, and arrays get the size that it names; `progress` is told
    what is done, how many of how many.

    Raises:
        DataError: there is no such source, it can't be had, or its content does not fit.
    """
    preparation = preparation or Preparation()
    if source.partition(":")[0] in KINDS:
        return build(list_source(source), preparation, progress)
    dataset = _load_arrays(source, phantom, seed)
    if _is_drawn(source):  # in the size that the source itself says
        return replace(dataset, notes=(*dataset.notes, *_left_as_they_are(dataset.shape, preparation)))
    return resized(dataset, preparation.images, progress)


def _is_drawn(source: str) -> bool:
    return source.partition(":")[0].partition("?")[0] == "phantom"


def _left_as_they_are(shape: tuple[int, int, int], preparation: Preparation) -> list[str]:
    """A note where a space asks for another shape than that of drawings, which are not resized."""
    asked = (*(preparation.images.image_size or shape[:2]), preparation.images.channels or shape[2])
    if asked == shape:
        return []
    told = [f"{h}×{w} in {'grey' if c == 1 else 'colours'}" for h, w, c in (shape, asked)]
    return [f"drawn as the source says, {told[0]}: the space's `images`, {told[1]}, are not for drawings"]


def _load_arrays(source: str, phantom: str, seed: int) -> ImageDataset:
    """The sets that are arrays already: phantoms, MedMNIST, .npz files."""
    kind, _, rest = source.partition(":")
    if _is_drawn(source):
        return phantom_of(source, phantom, seed)
    if kind == "medmnist":
        name, _, size = rest.partition(":")
        path = medmnist.locate(name, size or "28")
        return read_npz(path, source=source, class_names=medmnist.class_names(name))
    if source.endswith(".npz"):
        return read_npz(expanded(source), source=source)
    hint = nearest(kind, ["medmnist", "phantom", *KINDS])
    forms = (
        f"phantom, phantom:NAME ({', '.join(sorted(PHANTOMS))}), medmnist:NAME[:SIZE], "
        f"{', '.join(f'{name}:PATH' for name in KINDS)} or a path ending in .npz"
    )
    raise DataError(f"unknown data source '{source}'{hint}; valid: {forms}")
