"""Damaged and malicious files give nothing but an ImageError, in little time and memory, without output."""

import logging
import pickle
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medray.data.decoding import KINDS, ImageError, decode
from medray.data.decoding.dicom_elements import MAX_DEPTH
from tests.data.decoding.file_samples import (
    chunk,
    compressed,
    dataset,
    dicom,
    element,
    noise,
    png,
    raw_dicom,
    run_length,
    saved,
    smooth,
    tiff,
    written,
)

EXPLICIT, DEFLATED, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
JPEG, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
LIMIT = 1_000_000


def valid_files() -> dict[str, bytes]:
    """Return small files of every kind that is read."""
    grey, colours, wide = smooth(12, 14), smooth(12, 14, 3), smooth(12, 14).astype(np.uint16) * 257
    glass = np.dstack([colours, noise(12, 14)])
    files = {
        "png grey": saved(grey, "PNG"), "png colours": saved(colours, "PNG"), "png 16": saved(wide, "PNG"),
        "png glass": saved(glass, "PNG"), "png palette": saved(Image.fromarray(colours).quantize(9), "PNG"),
        "png interlaced": png(colours, 8, 2, interlaced=True), "bmp": saved(colours, "BMP"),
        "bmp palette": saved(Image.fromarray(colours).quantize(9), "BMP"),
        "jpeg grey": saved(grey, "JPEG"), "jpeg": saved(colours, "JPEG", progressive=True),
        "jpeg inks": saved(Image.fromarray(colours).convert("CMYK"), "JPEG"),
        "dicom": dicom(wide, WindowCenter=30000, WindowWidth=9000, RescaleSlope=1, RescaleIntercept=-5),
        "dicom colours": dicom(colours), "dicom deflated": written(dataset(grey), DEFLATED),
        "dicom jpeg": compressed(JPEG, saved(colours, "JPEG"), 12, 14, Samples=3),
        "dicom jpeg 2000": compressed(JPEG_2000, saved(wide, "JPEG2000", no_jp2=True), 12, 14, Bits=16),
    }  # fmt: skip
    files["dicom run-length"] = run_length(dataset(wide))
    files["dicom bare"] = files["dicom"][132:]
    files["dicom of elements"] = files["dicom"][files["dicom"].index(struct.pack("<HH2s", 8, 0x16, b"UI")) :]
    files["tiff multiplied"] = tiff(
        {256: 14, 257: 12, 258: (8,) * 4, 262: 2, 277: 4, 338: 1},
        [(glass // 2 + [0, 0, 0, 127]).astype(np.uint8).tobytes()],
    )
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        files[f"tiff {name}"] = saved(glass, "TIFF", compression=name)
        files[f"tiff 16 {name}"] = saved(wide, "TIFF", compression=name)
    return files


FILES = valid_files()


def decode_or_refuse(content: bytes) -> None:
    """Decode what may be damaged, and check that it gives pixels or a short error of one line."""
    error: ImageError | None = None
    try:
        decoded = decode(content, (7, 6, 3), max_pixels=LIMIT)
    except ImageError as raised:
        error = raised
    if error is None:
        assert decoded.pixels.shape == (7, 6, 3)
    else:
        assert error.kind in KINDS
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 200


def test_the_files_are_valid() -> None:
    for content in FILES.values():
        decode_or_refuse(content)
        decode(content, (7, 6, 1))


# -- damage


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(FILES)), st.randoms(use_true_random=False))
def test_damage_of_any_kind(name: str, rng: random.Random) -> None:
    for _ in range(4):
        content = bytearray(FILES[name])
        for _ in range(rng.choice([1, 1, 2, 6])):
            # Headers are at the beginning, and in TIFF at the end.
            end = rng.choice([len(content), min(len(content), 300)])
            at = (
                rng.randrange(end)
                if rng.random() < 0.8
                else rng.randrange(max(0, len(content) - 300), len(content))
            )
            content[at] = rng.choice([0, 255, content[at] ^ 1 << rng.randrange(8), rng.randrange(256)])
        way = rng.random()
        if way < 0.2:
            del content[rng.randrange(len(content)) :]
        elif way < 0.3:
            at = rng.randrange(len(content))
            content[at:at] = rng.randbytes(rng.randrange(1, 9))
        if name.startswith("png") and rng.random() < 0.7:
            mend_checksums(content)
        decode_or_refuse(bytes(content))


def mend_checksums(content: bytearray) -> None:
    """Make a damaged PNG's checksums right, so that the damage gets further."""
    position = 8
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">L", content, position)
        if position + 12 + length > len(content):
            return
        sum_ = zlib.crc32(content[position + 4 : position + 8 + length])
        struct.pack_into(">L", content, position + 8 + length, sum_)
        position += 12 + length


def test_cut_short_anywhere() -> None:
    for content in FILES.values():
        for size in range(0, len(content), max(1, len(content) // 60)):
            decode_or_refuse(content[:size])


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0\x08\0\0\0", b"MM\0*", bytes(128) + b"DICM"]
    ),
    st.binary(max_size=400),
)
def test_any_bytes(opening: bytes, rest: bytes) -> None:
    decode_or_refuse(opening + rest)


# -- bombs


def idat(size: int) -> bytes:
    return chunk(b"IDAT", zlib.compress(bytes(size), 9))


def header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0))


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def many_scans() -> bytes:
    content = saved(smooth(800, 1000), "JPEG", progressive=True)
    last = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + last * 300 + content[-2:]


def changed(stream: bytes, marker: bytes, after: int, replacement: bytes) -> bytes:
    """Return the stream with other bytes, so many bytes after the beginning of a marker."""
    at = stream.index(marker) + after
    return stream[:at] + replacement + stream[at + len(replacement) :]


def bombs() -> dict[str, tuple[bytes, tuple[str, ...]]]:
    """Return small files that ask for much time or memory, and the kinds of error that they may give."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(20_000_000), 9))
    tiled = {256: 10, 257: 10, 258: 8, 262: 1, 322: 65536, 323: 65536, 259: 8}
    strips = {256: 1, 257: 60_000, 258: 8, 262: 1, 278: 1, 259: 8}
    stream = saved(noise(64, 64), "JPEG2000", no_jp2=True)
    sequence = element(0x00091001, "SQ", b"", undefined=True)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    big = element(0x00091001, "OB", bytes(40_000_000))
    return {
        "png, large": (header(60_000, 60_000) + idat(10) + chunk(b"IEND", b""), ("too_large",)),
        "png, second header": (header(8, 8) + header(60_000, 60_000)[8:] + idat(72), ("unreadable",)),
        "png, many parts": (header(8, 8) + chunk(b"IDAT", b"") * 300_000, ("too_large",)),
        "png, text": (header(8, 8) + text * 20 + idat(1), ("unreadable",)),
        "png, profile": (header(8, 8) + chunk(b"iCCP", text[8:-4]) + idat(1), ("unreadable",)),
        "jpeg, scans": (many_scans(), ("too_large",)),
        "jpeg, segments": (b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000, ("too_large",)),
        "bmp, large": (
            b"BM" + struct.pack("<LHHLLllHHLL", 0, 0, 0, 54, 40, 1 << 30, 1 << 30, 1, 8, 0, 0) + bytes(40),
            ("too_large",),
        ),
        "bmp, runs": (
            b"BM" + struct.pack("<LHHLLllHHLL", 0, 0, 0, 1078, 40, 999_999, 1, 1, 8, 1, 0) + bytes(1040)
            + b"\0\2\xff\xff" * 1000, ("unsupported",),
        ),
        "tiff, large": (tiff({256: 1 << 31, 257: 1 << 31, 258: 8, 262: 1}, [b"x"]), ("too_large",)),
        "tiff, tile": (tiff(tiled, [zlib.compress(bytes(10_000_000))], tiled=True), ("too_large",)),
        "tiff, parts": (tiff(strips, [b""] * 60_000), ("too_large",)),
        "tiff, values": (tiff({256: 8, 257: 8, 258: (8,) * 500_000, 262: 1}, [bytes(64)]), ("too_large",)),
        "dicom, large": (dicom(noise(8, 8), Rows=65535, Columns=65535), ("too_large",)),
        "dicom, deflated": (raw_dicom(DEFLATED, deflated(big)), ("too_large",)),
        "dicom, deep": (raw_dicom(EXPLICIT, sequence * 200_000), ("unreadable",)),
        "dicom, items": (raw_dicom(EXPLICIT, sequence + item * 600_000), ("too_large",)),
        "dicom, runs": (
            compressed(RLE, struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\0" * 2_000_000, 8, 8), (),
        ),
        "dicom, jpeg scans": (compressed(JPEG, many_scans(), 800, 1000), ("too_large",)),
        "jpeg 2000, tiles": (
            compressed(
                JPEG_2000, changed(changed(stream, b"\xff\x51", 22, struct.pack(">LL", 1, 1)), b"\xff\x51", 6,
                                   struct.pack(">LL", 900, 900)), 900, 900,
            ), ("too_large",),
        ),
        "jpeg 2000, layers": (
            compressed(JPEG_2000, changed(stream, b"\xff\x52", 4, b"\0\0\xff\xff"), 64, 64), ("unsupported",),
        ),
        "jpeg 2000, blocks": (
            compressed(JPEG_2000, saved(noise(64, 64), "JPEG2000", no_jp2=True, codeblock_size=(16, 16)), 64, 64),
            ("unsupported",),
        ),
        "jpeg 2000, precincts": (
            compressed(
                JPEG_2000,
                changed(saved(np.zeros((900, 1000), np.uint8), "JPEG2000", no_jp2=True, precinct_size=(64, 64)),
                        b"\xff\x52", 14, b"\x11" * 6), 900, 1000,
            ), ("unsupported",),
        ),
    }  # fmt: skip


RUN = """
import pathlib, pickle, resource, sys
from medray.data.decoding import ImageError, decode
import medray.data.decoding.dicom, PIL.Jpeg2KImagePlugin, numpy, pydicom.uid
bombs = pickle.loads(sys.stdin.buffer.read())
size = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 40_000_000, -1))
for name, content in bombs.items():
    try:
        decode(content, (28, 28, 1), max_pixels=1_000_000)
        print(name, "decoded", sep="|")
    except ImageError as error:
        print(name, error.kind, error, sep="|")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of memory")
def test_bombs_take_little_time_and_memory() -> None:
    every = bombs()
    given_ = pickle.dumps({name: content for name, (content, _) in every.items()})
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN], input=given_, capture_output=True, check=False
    )
    assert time.perf_counter() - started < 20
    assert (done.returncode, done.stderr) == (0, b"")
    answers = {line.split("|")[0]: line.split("|")[1:] for line in done.stdout.decode().splitlines()}
    assert answers.keys() == every.keys()
    for name, (_, kinds) in every.items():
        kind, *message = answers[name]
        assert kind in kinds or not kinds, (name, answers[name])
        assert "more memory than there is" not in "".join(message), name


def test_text_that_inflates_is_never_inflated() -> None:
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(30_000_000), 9))
    image = noise(8, 8)
    assert np.array_equal(decode(png(image[..., None], 8, 0, before=text * 100), (8, 8, 1)).pixels[..., 0], image)


def test_parts_that_lie_upon_one_another_are_each_read_once() -> None:
    """50 000 strips of one row, all of them the same megabyte that inflates to nothing."""
    empty = b"\x78\x01" + b"\0\0\0\xff\xff" * 200_000
    content = tiff({256: 1, 257: 50_000, 258: 8, 262: 1, 278: 1, 259: 8}, [empty] + [b""] * 49_999)
    position = content.index(struct.pack("<LL", 8, 8 + len(empty)))
    changed = bytearray(content)
    changed[position : position + 200_000] = struct.pack("<L", 8) * 50_000
    sizes = content.index(struct.pack("<LL", len(empty), 0), position)
    changed[sizes : sizes + 200_000] = struct.pack("<L", len(empty)) * 50_000
    started = time.perf_counter()
    with pytest.raises(ImageError):
        decode(bytes(changed), (8, 8, 1))
    assert time.perf_counter() - started < 5


def test_sequences_may_be_nested_but_not_without_end() -> None:
    def nested(depth: int) -> bytes:
        opened = element(0x00091001, "SQ", b"", undefined=True) + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
        closed = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        content = dicom(noise(8, 8))
        start = content.index(struct.pack("<HH", 0x0028, 0x0002))
        return content[:start] + opened * depth + closed * depth + content[start:]

    assert decode(nested(20), (8, 8, 1)).notes == ()
    with pytest.raises(ImageError, match="deeper"):
        decode(nested(MAX_DEPTH), (8, 8, 1))


# -- threads, output, imports


def test_threads_get_the_right_pixels() -> None:
    jobs: list[tuple[bytes, tuple[int, int, int]]] = [
        (content, (7 + k % 5, 6 + k % 3, 1 + 2 * (k % 2))) for k, content in enumerate(FILES.values())
    ] * 12
    broken = FILES["tiff tiff_lzw"][:-40]
    alone = [decode(*job).pixels for job in jobs]

    def work(job: tuple[bytes, tuple[int, int, int]]) -> np.ndarray:
        with pytest.raises(ImageError):
            decode(broken, (8, 8, 1))
        return decode(*job).pixels

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(work, jobs))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_nothing_is_printed_or_logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for content in FILES.values():
        for size in (len(content), len(content) // 2, len(content) - 30):
            decode_or_refuse(content[:size])
        middle = len(content) // 2
        decode_or_refuse(content[:middle] + bytes(8) + content[middle + 8 :])
    assert capfd.readouterr() == ("", "")
    shown = [r for r in caplog.records if r.levelno > logging.DEBUG or r.name.startswith("pydicom")]
    assert not shown


def test_pydicom_is_not_loaded_for_reading() -> None:
    code = (
        "import sys, pickle; from medray.data.decoding import decode; "
        "[decode(c, (8, 8, 1)) for c in pickle.loads(sys.stdin.buffer.read())]; assert 'pydicom' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(list(FILES.values())), check=True)


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageError("too_large", "the PNG is 9 x 9 pixels; at most 8 are read")))
    assert (error.kind, str(error)) == ("too_large", "the PNG is 9 x 9 pixels; at most 8 are read")


@pytest.mark.parametrize(
    "error", [MemoryError, RecursionError, SystemError, OSError, ValueError, ZeroDivisionError]
)
def test_every_error_of_a_library_becomes_one_of_ours(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Callable[..., object]:
        raise error("/a/path and \x00\xff")

    monkeypatch.setattr(Image.Image, "frombytes", fail)
    with pytest.raises(ImageError) as caught:
        decode(FILES["png grey"], (8, 8, 1))
    assert caught.value.kind == ("too_large" if error is MemoryError else "unreadable")
    assert "path" not in str(caught.value)
