"""A picture of any size and colour becomes the pixels of one model, and every change is named."""

import numpy as np
from PIL import Image, ImageChops

from medray._types import Array
from medray.data.decoding.picture import Picture
from medray.space.preparation import LESION, PADDED, STRETCHED

#: Everything that may be done to an image on its way to a model.
NOTES = (
    "palette",  # the numbers of a palette were replaced by its colours
    "cmyk",  # four printing inks became red, green and blue by plain arithmetic, without a colour profile
    "windowed",  # DICOM: the file's first VOI window or its VOI look-up table was applied
    "rescaled_to_8_bit",  # values of another depth were scaled to 0..255, see `decode`
    "few_grey_levels",  # comes with "rescaled_to_8_bit": less than a quarter of the range is used
    "cropped",  # cut to the lesion, as the model's aspect asks
    "inverted",  # the file stores white as its lowest value (DICOM MONOCHROME1, TIFF WhiteIsZero)
    "alpha_dropped",  # some pixels were transparent; they were laid over black
    "greyscaled",  # colours became grey for a model of one channel
    "colourised",  # grey became three equal channels for a model of colours
    "resized",  # another size, antialiased
    "stretched",  # comes with "resized": the ratio of width to height changed by more than 2 %
    "turned",  # turned or mirrored as the EXIF orientation says
    "padded",  # black borders were added to keep the ratio of the sides
)
STRETCH = 1.02  # the ratio of the sides may change by this factor without a note
_WAYS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def lies_on_its_side(orientation: int) -> bool:
    """Whether turning by an EXIF orientation swaps width and height."""
    return orientation >= 5


def fit(picture: Picture, shape: tuple[int, int, int], aspect: str = STRETCHED) -> tuple[Array, frozenset[str]]:
    """Return pixels uint8 (H, W, C) of exactly `shape`, in memory of their own, and notes of what was done.

    Transparent pixels are laid over black: what can't be seen must not reach a model, and black is the
    background of most medical images. Sizes are changed by antialiased bicubic interpolation of the whole
    picture. With `aspect` "stretch" the sides' ratio may change; with "pad" the picture keeps it and lies in the
    middle of black; with "lesion" it is cut to the dark spot in its middle, if there is one, and then padded.
    Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
    """
    height, width, channels = shape
    if aspect == LESION:
        from medray.data.decoding.lesion import around_lesion

        picture = around_lesion(picture)
    image, notes = picture.image, set(picture.notes)
    if image.mode in ("LA", "RGBA"):
        image = _without_alpha(image, notes)
    if channels == 1 and image.mode == "RGB":
        image = _grey(image, notes)
    wanted = (height, width) if lies_on_its_side(picture.orientation) else (width, height)
    if aspect in (PADDED, LESION):
        wanted = _inside(picture.size, wanted)
    if picture.size != wanted:
        image = image.resize(wanted, Image.Resampling.BICUBIC, box=picture.box)
        notes.add("resized")
        if _stretch(picture.size, wanted) > STRETCH:
            notes.add("stretched")
    if channels == 3 and image.mode == "L":
        image = image.convert("RGB")
        notes.add("colourised")
    if picture.orientation != 1:
        image = image.transpose(_WAYS[picture.orientation])
        notes.add("turned")
    if image.size != (width, height):
        image = _on_black(image, (width, height))
        notes.add("padded")
    pixels = np.frombuffer(image.tobytes(), dtype=np.uint8).reshape(shape).copy()
    return pixels, frozenset(notes)


def _inside(size: tuple[int, int], frame: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same ratio that fits into `frame`; at least one pixel."""
    scale = min(frame[0] / size[0], frame[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _on_black(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    whole = Image.new(image.mode, size)
    whole.paste(image, ((size[0] - image.size[0]) // 2, (size[1] - image.size[1]) // 2))
    return whole


def _stretch(old: tuple[int, int], new: tuple[int, int]) -> float:
    """By which factor, 1 or more, the ratio of width to height changes."""
    change = (new[0] * old[1]) / (new[1] * old[0])
    return max(change, 1 / change)


def _without_alpha(image: Image.Image, notes: set[str]) -> Image.Image:
    alpha, mode = image.getchannel("A"), image.mode[:-1]
    colours = image.getchannel(0) if mode == "L" else image.convert(mode)
    lowest = alpha.getextrema()[0]
    if lowest == 255:
        return colours
    notes.add("alpha_dropped")
    over = Image.new(mode, image.size)
    over.paste(colours, mask=alpha)
    return over


def _grey(image: Image.Image, notes: set[str]) -> Image.Image:
    red, green, blue = image.split()
    if ImageChops.difference(red, green).getbbox() or ImageChops.difference(green, blue).getbbox():
        notes.add("greyscaled")
        return image.convert("L")
    return red
