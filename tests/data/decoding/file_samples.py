"""Image files for tests, written by Pillow and pydicom where these can write them, else byte by byte."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

from medray._types import Array
from medray.data.decoding import ImageError, decode

SECRET = "Doe^Jane"
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def assert_refused(content: bytes, kind: str, text: str = "", **options: Any) -> None:
    """Check that an image is refused, by a message of one line that holds `text` and names no patient."""
    with pytest.raises(ImageError) as caught:
        decode(content, (8, 8, 1), **options)
    message = str(caught.value)
    assert caught.value.kind == kind, message
    assert text in message
    assert SECRET not in message
    assert "\n" not in message


def noise(height: int, width: int, channels: int = 1, seed: int = 0) -> Array:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height: int, width: int, channels: int = 1) -> Array:
    """Return an image without sharp edges, of all values; its channels differ."""
    y, x = np.mgrid[:height, :width]
    made = [
        np.sin(x * (k + 2) / width * 3) * 70 + np.cos(y * (k + 1) / height * 5) * 55 + 127 for k in range(channels)
    ]
    return np.stack(made, axis=-1).astype(np.uint8).squeeze()


def saved(image: Image.Image | Array, kind: str, **options: Any) -> bytes:
    """Return the file that Pillow makes of an image."""
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


# -- PNG, with what Pillow does not write


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))


def png(
    rows: Array, bits: int, colour: int, *, interlaced: bool = False, before: bytes = b"", cut: int = 0
) -> bytes:
    """Return a PNG of samples (H, W, C); `before` are more chunks, `cut` drops bytes from the end of the rows."""
    height, width, _ = rows.shape
    raw = b""
    for left, top, across, down in PASSES if interlaced else ((0, 0, 1, 1),):
        part = rows[top::down, left::across]
        if part.size:
            raw += b"".join(b"\0" + packed(row.reshape(-1), bits) for row in part)
    header = struct.pack(">LLBBBBB", width, height, bits, colour, 0, 0, interlaced)
    data = zlib.compress(raw[: len(raw) - cut])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def packed(values: Array, bits: int) -> bytes:
    """Return values packed one after another, the highest bit first."""
    if bits == 16:
        return values.astype(">u2").tobytes()
    ones = (values[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(ones.astype(np.uint8)).tobytes()


# -- TIFF


def tiff(
    tags: dict[int, int | tuple[int, ...]], parts: list[bytes], order: str = "<", *, tiled: bool = False
) -> bytes:
    """Return a TIFF of these tags and strips or tiles; the parts' offsets and sizes are added to the tags."""
    content = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, 8 + sum(map(len, parts)))
    places, position = [], 8
    for part in parts:
        places.append(position)
        position += len(part)
    added = {324 if tiled else 273: tuple(places), 325 if tiled else 279: tuple(map(len, parts))}
    entries, outside = b"", b""
    every = sorted((added | tags).items())
    after = position + 2 + 12 * len(every) + 4
    for tag, value in every:
        values = value if isinstance(value, tuple) else (value,)
        data = struct.pack(f"{order}{len(values)}L", *values)
        where = data if len(data) == 4 else struct.pack(f"{order}L", after + len(outside))
        outside += b"" if len(data) == 4 else data
        entries += struct.pack(f"{order}HHL", tag, 4, len(values)) + where
    return b"".join((content, *parts, struct.pack(f"{order}H", len(every)), entries, bytes(4), outside))


# -- DICOM


def dataset(pixels: Array, **values: Any) -> Dataset:
    """Return a DICOM data set of pixels (H, W) or (H, W, 3) of 8 or 16 bits, and any further elements."""
    made = Dataset()
    made.PatientName = SECRET
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, UID("1.2.3.4")
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    data = pixels.tobytes()
    made.PixelData = data + bytes(len(data) % 2)
    made["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for name, value in values.items():
        setattr(made, name, value)
    return made


def written(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the file that pydicom makes of a data set."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def dicom(pixels: Array, **values: Any) -> bytes:
    return written(dataset(pixels, **values))


def run_length(made: Dataset) -> bytes:
    """Return the file of a data set whose pixels pydicom has run-length coded."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    return written(made, RLELossless)


def element(tag: int, vr: str, value: bytes, *, undefined: bool = False) -> bytes:
    """Return one element, explicit and little-endian."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in ("OB", "OW", "SQ", "UN"):
        return head + struct.pack("<HL", 0, 0xFFFFFFFF if undefined else len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def raw_dicom(syntax: str, data: bytes) -> bytes:
    """Return a file of a transfer syntax, followed by `data`."""
    name = syntax.encode()
    return bytes(128) + b"DICM" + element(0x00020010, "UI", name + bytes(len(name) % 2)) + data


def fragments(*parts: bytes) -> bytes:
    """Return compressed pixels: an empty table of offsets, and the parts."""
    items = [struct.pack("<HHL", 0xFFFE, 0xE000, len(part)) + part for part in (b"", *map(even, parts))]
    return element(0x7FE00010, "OB", b"".join(items) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0), undefined=True)


def even(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)


def compressed(syntax: str, frame: bytes, height: int, width: int, **values: int | str) -> bytes:
    """Return a DICOM file of one compressed frame."""
    us = {"Samples": 1, "Bits": 8, "Signed": 0} | values
    meaning = str(us.get("Meaning", "MONOCHROME2" if us["Samples"] == 1 else "RGB"))
    numbers = {
        0x00280010: height, 0x00280011: width, 0x00280100: 8 if int(us["Bits"]) <= 8 else 16,
        0x00280101: us["Bits"], 0x00280102: int(us["Bits"]) - 1, 0x00280103: us["Signed"],
    }  # fmt: skip
    head = element(0x00280002, "US", struct.pack("<H", us["Samples"])) + element(
        0x00280004, "CS", meaning.encode() + b" " * (len(meaning) % 2)
    )
    return raw_dicom(
        syntax,
        head + b"".join(element(t, "US", struct.pack("<H", v)) for t, v in numbers.items()) + fragments(frame),
    )
