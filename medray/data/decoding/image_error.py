"""The error of an image that is refused, and the check of its size, which comes before any pixel is decoded."""

from typing import Literal, get_args

from medray.errors import DataError

Kind = Literal["unsupported", "too_large", "unreadable", "multi_frame"]
KINDS: tuple[str, ...] = get_args(Kind)


class ImageError(DataError):
    """An image that is not read. `kind` says why; the message is one line and holds nothing of the image.

    unsupported   a format, or a way of writing it, that is not read
    too_large     more pixels, or more bytes once inflated, than allowed
    unreadable    damaged, cut short, or without pixels
    multi_frame   more than one image: animated, several pages, several DICOM frames
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def damaged(format_name: str) -> ImageError:
    """Return the error for a file that contradicts itself or ends too early."""
    return ImageError("unreadable", f"the {format_name} is damaged or cut short")


def check_size(format_name: str, width: int, height: int, limit: int) -> None:
    """Check the size in pixels that a header declares against a limit in pixels.

    Raises:
        ImageError: there are no pixels, or more than `limit`.
    """
    if width < 1 or height < 1:
        raise ImageError("unreadable", f"the {format_name} is {width} x {height} pixels: there is nothing in it")
    if width * height > limit:
        raise ImageError("too_large", f"the {format_name} is {width} x {height} pixels; at most {limit} are read")
