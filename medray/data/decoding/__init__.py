"""Decode the untrusted bytes of one image to the pixels of a model, the same way for training and serving.

`decode(content, shape)` recognises the format by the content, checks the size that it declares before any pixel is
decoded, reads it, and fits it to the shape; `Decoded.notes` name all that was done. Whatever is wrong with
the content, it raises an ImageError of one line.

Bounds come first, libraries second: chunks, segments, directories and elements are walked through here, within
bounds, and Pillow's decoders are given only what makes pixels. So no call warns, logs or prints, and none
changes a setting of the process: there is nothing to silence, in whatever thread. Each module says what its
format's own reader in Pillow or pydicom did with hostile files.
"""

from medray.data.decoding.decode import FORMATS, MAX_PIXELS, Decoded, decode, decode_file, sniff
from medray.data.decoding.fit import NOTES
from medray.data.decoding.image_error import KINDS, ImageError

__all__ = [
    "FORMATS", "KINDS", "MAX_PIXELS", "NOTES", "Decoded", "ImageError", "decode", "decode_file", "sniff",
]  # fmt: skip
