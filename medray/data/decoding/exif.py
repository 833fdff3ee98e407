"""The orientation in an EXIF block; nothing else of EXIF is read."""

from medray.data.decoding.ifd import ORIENTATION, read_directory
from medray.data.decoding.image_error import ImageError


def orientation(exif: bytes) -> int:
    """How EXIF, which opens by its byte order, says that the image is to be turned: 1 to 8, 1 is upright.

    Damaged EXIF says nothing: cameras and editors often leave some, and the pixels are whole without it.
    """
    try:
        directory = read_directory(exif, "EXIF")
        values = directory.values(exif, ORIENTATION)
    except ImageError:
        return 1
    return values[0] if len(values) == 1 and 1 <= values[0] <= 8 else 1
