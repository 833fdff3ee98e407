"""Fit a picture of any size and colour to the shape of a model's images, and name every change."""

import numpy as np
from PIL import Image, ImageChops

from medray._types import Array
from medray.data.decoding.picture import Picture
from medray.space.preparation import LESION, PADDED, STRETCHED

#: Every change that may be made to an image on its way to a model.
NOTES = (
    "palette",  # palette indices were replaced by their colours
    "cmyk",  # four printing inks became red, green and blue by plain arithmetic, without a colour profile
    "syntax_guessed",  # DICOM: no transfer syntax is named, or the file does not keep to it; its elements show one
    "windowed",  # DICOM: the file's first valid VOI window or its VOI look-up table was applied
    "first_window",  # DICOM, comes with "windowed": the file names several windows
    "window_ignored",  # DICOM: the file names a window that is none, such as one of width 0 or below
    "rescaled_to_8_bit",  # values of another depth were scaled to 0..255, see `decode`
    "few_grey_levels",  # comes with "rescaled_to_8_bit": less than a quarter of the range is used
    "cropped",  # cut to the lesion, because the model's aspect is "lesion"
    "inverted",  # the file stores white as its lowest value (DICOM MONOCHROME1, TIFF WhiteIsZero)
    "alpha_dropped",  # some pixels were transparent; their colours were kept
    "greyscaled",  # colours became grey for a model of one channel
    "colourised",  # grey became three equal channels for a model of three channels
    "resized",  # the size changed, antialiased
    "stretched",  # comes with "resized": the ratio of width to height changed by more than 2 %
    "turned",  # turned or mirrored as the EXIF orientation says
    "padded",  # black borders were added to keep the ratio of the sides
)
STRETCH = 1.02  # the ratio of the sides may change by this factor without a note
_TRANSPOSES = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def lies_on_its_side(orientation: int) -> bool:
    """Return whether turning by an EXIF orientation swaps width and height."""
    return orientation >= 5


def fit(picture: Picture, shape: tuple[int, int, int], aspect: str = STRETCHED) -> tuple[Array, frozenset[str]]:
    """Return pixels uint8 (H, W, C) of exactly `shape`, in memory of their own, and notes of what was done.

    Transparent pixels keep their colours, as most readers of training images have it: an alpha that is 0
    everywhere, or another one for each class, must not turn images black. Sizes are changed by antialiased bicubic
    interpolation of the entire picture. With `aspect` "stretch" the ratio of the sides may change; with "pad" it
    is kept and the picture lies in the middle of black; with "lesion" the picture is cut to the dark spot in its
    middle, if there is one, and then padded. Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
    """
    height, width, channels = shape
    if aspect == LESION:
        from medray.data.decoding.lesion import around_lesion

        picture = around_lesion(picture)
    image, notes = picture.image, set(picture.notes)
    if image.mode in ("LA", "RGBA"):
        image = image.convert(image.mode.removesuffix("A"))
        notes |= {"alpha_dropped"} if picture.opacity < 1 else set()
    if channels == 1 and image.mode == "RGB":
        image = _grey(image, notes)
    size = (height, width) if lies_on_its_side(picture.orientation) else (width, height)
    if aspect in (PADDED, LESION):
        size = largest_within(picture.size, size)
    if picture.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC, box=picture.box)
        notes.add("resized")
        change = (size[0] * picture.size[1]) / (size[1] * picture.size[0])  # of the ratio of width to height
        if max(change, 1 / change) > STRETCH:
            notes.add("stretched")
    if channels == 3 and image.mode == "L":
        image = image.convert("RGB")
        notes.add("colourised")
    if picture.orientation != 1:
        image = image.transpose(_TRANSPOSES[picture.orientation])
        notes.add("turned")
    if image.size != (width, height):
        padded = Image.new(image.mode, (width, height))
        padded.paste(image, ((width - image.size[0]) // 2, (height - image.size[1]) // 2))
        image = padded
        notes.add("padded")
    pixels = np.frombuffer(image.tobytes(), dtype=np.uint8).reshape(shape).copy()
    return pixels, frozenset(notes)


def largest_within(size: tuple[int, int], bounds: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size (width, height) of the ratio of `size` that fits into `bounds`."""
    scale = min(bounds[0] / size[0], bounds[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _grey(image: Image.Image, notes: set[str]) -> Image.Image:
    """Return an RGB image as grey; where its channels are equal, nothing is lost and nothing noted."""
    red, green, blue = image.split()
    if ImageChops.difference(red, green).getbbox() or ImageChops.difference(green, blue).getbbox():
        notes.add("greyscaled")
        return image.convert("L")
    return red
