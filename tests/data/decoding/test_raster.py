"""PNG, JPEG, TIFF and BMP of every kind, against Pillow's own reading and against plain arithmetic."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from medray._types import Array
from medray.data.decoding import NOTES, Decoded, ImageError, decode, sniff
from medray.errors import ConfigError, DataError
from tests.data.decoding.file_samples import assert_refused, chunk, noise, packed, png, saved, smooth, tiff

KEYS = {"PNG": "png", "JPEG": "jpeg", "TIFF": "tiff", "BMP": "bmp"}


def decode_full_size(content: bytes, channels: int) -> Decoded:
    """Decode to the size of the file."""
    first = decode(content, (1, 1, channels))
    return decode(content, (first.height, first.width, channels))


# -- an image that fits is left alone


@settings(deadline=None, max_examples=60)
@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3])),
        fill=st.integers(0, 255),
    ),
    st.sampled_from(["PNG", "TIFF", "BMP"]),
)
def test_an_image_of_the_shape_comes_back_as_it_is(image: Array, kind: str) -> None:
    decoded = decode(saved(image.squeeze(axis=2) if image.shape[2] == 1 else image, kind), image.shape)
    assert np.array_equal(decoded.pixels, image)
    assert (decoded.notes, decoded.format) == ((), KEYS[kind])
    assert (decoded.height, decoded.width) == image.shape[:2]
    pixels = decoded.pixels
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.owndata
    assert pixels.flags.writeable


def test_an_rgb_file_of_equal_channels_is_grey_already() -> None:
    grey = noise(9, 7)
    content = saved(np.stack([grey] * 3, axis=-1), "PNG")
    decoded = decode(content, (9, 7, 1))
    assert np.array_equal(decoded.pixels[..., 0], grey)
    assert decoded.notes == ()
    assert decode(saved(grey, "PNG"), (9, 7, 3)).notes == ("colourised",)


# -- every mode of Pillow in every format


def reference(image: Image.Image) -> Array:
    """Return what Pillow makes of an image in colours, without alpha."""
    if image.mode in ("I;16", "I;16B"):
        grey = np.round(np.asarray(image) / 257)
        return np.stack([grey] * 3, axis=-1)
    return np.asarray(image.convert("RGB"))


def in_mode(mode: str) -> Image.Image:
    base = Image.fromarray(np.dstack([smooth(33, 50, 3), noise(33, 50)]))
    if mode == "I;16":
        return Image.fromarray(np.random.default_rng(1).integers(0, 65536, (33, 50), dtype=np.uint16))
    return base.convert("RGB").quantize(20) if mode == "P" else base.convert(mode)


CASES = [
    ("PNG", "1 L LA P RGB RGBA I;16", {}),
    ("BMP", "1 L P RGB", {}),
    ("TIFF", "1 L LA P RGB RGBA CMYK I;16", {}),
    *(("TIFF", "1 L LA P RGB RGBA CMYK I;16", {"compression": name}) for name in ("tiff_lzw", "packbits")),
    *(
        ("TIFF", "L LA RGB RGBA CMYK I;16", {"compression": name, "tiffinfo": {317: 2}})
        for name in ("tiff_lzw", "tiff_adobe_deflate", "tiff_deflate")
    ),
    ("TIFF", "L RGB I;16", {"compression": "tiff_lzw", "strip_size": 64}),
]
EXPECTED = {
    "1": {"rescaled_to_8_bit", "colourised"}, "L": {"colourised"}, "LA": {"colourised", "alpha_dropped"},
    "P": {"palette"}, "RGB": set(), "RGBA": {"alpha_dropped"}, "CMYK": {"cmyk"},
    "I;16": {"rescaled_to_8_bit", "colourised"},
}  # fmt: skip


def test_every_mode_is_read_as_pillow_reads_it() -> None:
    for kind, modes, options in CASES:
        for mode in modes.split():
            image = in_mode(mode)
            decoded = decode(saved(image, kind, **options), (33, 50, 3))
            case = (kind, mode, options)
            assert np.array_equal(decoded.pixels, reference(image)), case
            assert list(decoded.notes) == [n for n in NOTES if n in EXPECTED[mode]], case


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_read_as_pillow_reads_it(mode: str, progressive: bool) -> None:
    content = saved(in_mode(mode), "JPEG", progressive=progressive)
    decoded = decode(content, (33, 50, 3))
    with Image.open(io.BytesIO(content)) as opened:
        assert np.array_equal(decoded.pixels, np.asarray(opened.convert("RGB")))
    assert set(decoded.notes) == {"L": {"colourised"}, "RGB": set(), "CMYK": {"cmyk"}}[mode]


def test_lzw_of_all_lengths_of_codes_is_unpacked() -> None:
    for image in (noise(200, 150), np.zeros((300, 300), np.uint8), smooth(300, 400), noise(1, 1), noise(1, 255)):
        content = saved(image, "TIFF", compression="tiff_lzw", strip_size=1 << 20)
        assert np.array_equal(decode_full_size(content, 1).pixels[..., 0], image)


# -- depths


def test_16_bits_are_divided_by_257() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.round(every / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        decoded = decode(saved(every, kind), (256, 256, 1))
        assert np.array_equal(decoded.pixels[..., 0], expected)
        assert decoded.notes == ("rescaled_to_8_bit",)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("bits", "few"), [(10, True), (12, True), (14, True), (15, False), (16, False)])
def test_16_bits_that_hold_fewer_are_noted(kind: str, bits: int, few: bool) -> None:
    values = np.linspace(0, 2**bits - 1, 64 * 64).astype(np.uint16).reshape(64, 64)
    assert ("few_grey_levels" in decode(saved(values, kind), (64, 64, 1)).notes) == few


def test_colours_of_16_bits_give_their_upper_8() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, 4), dtype=np.uint16)
    values[..., 3] = 65535
    for content in (
        png(values[..., :3], 16, 2), png(values, 16, 6),
        tiff({256: 5, 257: 6, 258: (16, 16, 16), 262: 2, 277: 3}, [values[..., :3].astype("<u2").tobytes()]),
        tiff({256: 5, 257: 6, 258: 16, 262: 2, 277: 3}, [values[..., :3].astype(">u2").tobytes()], ">"),
    ):  # fmt: skip
        decoded = decode(content, (6, 5, 3))
        assert np.array_equal(decoded.pixels, values[..., :3] >> 8)
        assert decoded.notes == ("rescaled_to_8_bit",)
    grey_alpha = decode(png(values[..., 2:], 16, 4), (6, 5, 3))
    assert np.array_equal(grey_alpha.pixels[..., 0], values[..., 2] >> 8)
    assert grey_alpha.notes == ("rescaled_to_8_bit", "colourised")


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_few_bits_take_the_full_range(bits: int, interlaced: bool) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (11, 13, 1))
    expected = (values * 255 // (2**bits - 1))[..., 0]
    decoded = decode(png(values, bits, 0, interlaced=interlaced), (11, 13, 1))
    assert np.array_equal(decoded.pixels[..., 0], expected)
    assert decoded.notes == ("rescaled_to_8_bit",)
    if interlaced:
        return
    tags: dict[int, int | tuple[int, ...]] = {256: 13, 257: 11, 258: bits, 278: 4}
    rows = [packed(row[:, 0], bits) for row in values]
    strips = [b"".join(rows[at : at + 4]) for at in (0, 4, 8)]
    assert np.array_equal(decode(tiff(tags | {262: 1}, strips), (11, 13, 1)).pixels[..., 0], expected)
    white = decode(tiff(tags | {262: 0}, strips), (11, 13, 1))
    assert np.array_equal(white.pixels[..., 0], 255 - expected)
    assert white.notes == ("rescaled_to_8_bit", "inverted")
    turned = [bytes(int(f"{byte:08b}"[::-1], 2) for byte in strip) for strip in strips]
    assert np.array_equal(decode(tiff(tags | {262: 1, 266: 2}, turned), (11, 13, 1)).pixels[..., 0], expected)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (17, 20)])
def test_png_of_all_sizes_interlaced_or_not(interlaced: bool, size: tuple[int, int]) -> None:
    image = noise(*size, 3)
    decoded = decode(png(image, 8, 2, interlaced=interlaced), (*size, 3))
    assert np.array_equal(decoded.pixels, image)


# -- transparency and palettes


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["L", "RGB"]),
    st.sampled_from(["PNG", "TIFF", "TIFF multiplied"]),
    st.one_of(st.integers(0, 255), st.integers(0, 2**32 - 1).map(lambda seed: noise(8, 6, seed=seed))),
)
def test_alpha_of_any_kind_changes_no_colour(mode: str, kind: str, alpha: int | Array) -> None:
    opaque = noise(8, 6, seed=1) if mode == "L" else noise(8, 6, 3, seed=1)
    glass = np.dstack([opaque, np.broadcast_to(np.uint8(alpha) if isinstance(alpha, int) else alpha, (8, 6))])
    channels = glass.shape[2] - 1
    if kind == "TIFF multiplied":  # in name only: most colours are brighter than their alpha
        tags = {256: 6, 257: 8, 258: (8,) * (channels + 1), 262: 1 if mode == "L" else 2, 277: channels + 1}
        content = tiff(tags | {338: 1}, [glass.tobytes()])
    else:
        content = saved(glass, kind)
    decoded = decode(content, (8, 6, channels))
    if kind != "TIFF multiplied" or (opaque.reshape(8, 6, -1) > glass[..., -1:]).any():
        assert np.array_equal(decoded.pixels.squeeze(), opaque)
    assert decoded.notes == (("alpha_dropped",) if glass[..., -1].min() < 255 else ())
    assert decoded.opacity == pytest.approx(glass[..., -1].mean() / 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_that_were_multiplied_by_alpha_come_back(bits: int) -> None:
    image, highest = smooth(9, 11, 3).astype(int), 2**bits - 1
    alpha = np.where(np.arange(11) < 6, 64, 255)[None, :, None] * np.ones((9, 1, 1), int)
    multiplied = np.round(image / 255 * alpha / 255 * highest)
    samples = np.dstack([multiplied, alpha * (highest // 255)]).astype(f"<u{bits // 8}")
    tags: dict[int, int | tuple[int, ...]] = {256: 11, 257: 9, 258: (bits,) * 4, 262: 2, 277: 4, 338: 1}
    decoded = decode(tiff(tags, [samples.tobytes()]), (9, 11, 3))
    assert np.abs(decoded.pixels.astype(int) - image).max() <= 4
    assert "alpha_dropped" in decoded.notes
    nothing = decode(tiff(tags, [(samples * [1, 1, 1, 0]).astype(samples.dtype).tobytes()]), (9, 11, 3))
    assert nothing.pixels.any(), "an alpha of 0 keeps what there is"


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_the_grey_that_means_transparent_is_kept(bits: int) -> None:
    values = np.array([[[0], [1], [2**bits - 1]]])
    for key, seen in ((1, True), (2**bits - 1, True), (2 % 2**bits, bits == 1)):
        decoded = decode(png(values, bits, 0, before=chunk(b"tRNS", struct.pack(">H", key))), (1, 3, 1))
        assert np.array_equal(decoded.pixels, np.round(values * 255 / (2**bits - 1)))
        assert ("alpha_dropped" in decoded.notes) == seen
        assert decoded.opacity == pytest.approx(np.mean(values != key))


@pytest.mark.parametrize("bits", [8, 16])
def test_the_colour_that_means_transparent_is_kept(bits: int) -> None:
    image = np.array([[[1, 2, 3], [1, 2, 4], [9, 9, 9]]]) * (257 if bits == 16 else 1)
    key = chunk(b"tRNS", struct.pack(">HHH", *image[0, 0].tolist()))
    decoded = decode(png(image, bits, 2, before=key), (1, 3, 3))
    assert decoded.pixels.tolist() == [[[1, 2, 3], [1, 2, 4], [9, 9, 9]]]
    assert "alpha_dropped" in decoded.notes
    assert decoded.opacity == pytest.approx(2 / 3)


def test_palettes_become_their_colours() -> None:
    colours = noise(16, 3)
    numbers = np.random.default_rng(0).integers(0, 16, (5, 9, 1))
    plte = chunk(b"PLTE", colours.tobytes())
    decoded = decode(png(numbers, 4, 3, before=plte), (5, 9, 3))
    assert np.array_equal(decoded.pixels, colours[numbers[..., 0]])
    assert decoded.notes == ("palette",)
    glass = decode(png(numbers, 4, 3, before=plte + chunk(b"tRNS", b"\0\xff")), (5, 9, 3))
    assert np.array_equal(glass.pixels, colours[numbers[..., 0]])
    assert glass.opacity == pytest.approx((numbers != 0).mean())
    assert glass.notes == ("palette", "alpha_dropped")
    table = tuple(int(value) * 257 for value in colours.T.reshape(-1))
    rows = [b"".join(packed(row[:, 0], 4) for row in numbers)]
    mapped = decode(tiff({256: 9, 257: 5, 258: 4, 262: 3, 320: table}, rows), (5, 9, 3))
    assert np.array_equal(mapped.pixels, colours[numbers[..., 0]])
    grey = chunk(b"PLTE", bytes(np.repeat(np.arange(16), 3).tolist()))
    assert decode(png(numbers, 4, 3, before=grey), (5, 9, 1)).notes == ("palette",)  # nothing was lost
    assert_refused(png(numbers, 4, 3), "unreadable")


def test_the_fourth_byte_of_a_bmp_changes_no_colour() -> None:
    image = noise(5, 6, 4)
    for alpha in (image[..., 3], 0, 255):
        image[..., 3] = alpha
        plain = decode(saved(image, "BMP"), (5, 6, 3))
        assert np.array_equal(plain.pixels, image[..., :3])
        assert plain.notes == ()
        masks = struct.pack("<4L", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)
        header = struct.pack("<LllHHLLllLL", 108, 6, -5, 1, 32, 3, 120, 0, 0, 0, 0) + masks + bytes(52)
        content = b"BM" + struct.pack("<LHHL", 242, 0, 0, 122) + header + image.tobytes()
        named = decode(content, (5, 6, 3))
        assert np.array_equal(named.pixels, image[..., :3])
        assert named.opacity == pytest.approx(image[..., 3].mean() / 255)


# -- TIFF's ways of cutting an image up


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
def test_tiles_and_planes(order: str, planar: bool) -> None:
    image = np.random.default_rng(0).integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    tags = {256: 50, 257: 40, 258: (16, 16, 16), 262: 2, 277: 3, 284: 2 if planar else 1}
    wide = np.zeros((48, 64, 3), dtype=f"{order}u2")
    wide[:40, :50] = image
    planes = [wide[..., k : k + 1] for k in range(3)] if planar else [wide]
    tiles = [p[y : y + 16, x : x + 32].tobytes() for p in planes for y in (0, 16, 32) for x in (0, 32)]
    content = tiff(tags | {322: 32, 323: 16, 259: 8}, [zlib.compress(tile) for tile in tiles], order, tiled=True)
    assert np.array_equal(decode(content, (40, 50, 3)).pixels, image >> 8)
    strips = [p[y : y + 7, :50].tobytes() for p in [q[:40] for q in planes] for y in range(0, 40, 7)]
    assert np.array_equal(decode(tiff(tags | {278: 7}, strips, order), (40, 50, 3)).pixels, image >> 8)


def test_the_fourth_sample_of_a_tiff() -> None:
    image = noise(4, 5, 4)
    tags: dict[int, int | tuple[int, ...]] = {256: 5, 257: 4, 258: (8,) * 4, 262: 2, 277: 4}
    named = [decode(tiff(tags | {338: kind}, [image.tobytes()]), (4, 5, 3)) for kind in range(3)]
    unnamed = decode(tiff(tags, [image.tobytes()]), (4, 5, 3))
    for decoded in (*named, unnamed):
        assert np.array_equal(decoded.pixels, image[..., :3])
    assert [d.notes for d in (*named, unnamed)] == [(), ("alpha_dropped",), ("alpha_dropped",), ()]
    five = {256: 5, 257: 4, 258: (8,) * 5, 262: 2, 277: 5, 338: (0, 0)}
    assert_refused(tiff(five, [bytes(100)]), "unsupported", "5 samples of 8 bits")


# -- size, orientation, colours


def test_resizing_is_antialiased_and_notes_what_it_does() -> None:
    image = smooth(60, 90, 3)
    decoded = decode(saved(image, "PNG"), (20, 30, 3))
    assert np.array_equal(
        decoded.pixels, np.asarray(Image.fromarray(image).resize((30, 20), Image.Resampling.BICUBIC))
    )
    assert decoded.notes == ("resized",)
    assert (decoded.height, decoded.width) == (60, 90)
    assert decode(saved(image, "PNG"), (20, 31, 3)).notes == ("resized", "stretched")
    grey = decode(saved(image, "PNG"), (20, 30, 1))
    assert grey.notes == ("greyscaled", "resized")
    stripes = np.tile(np.array([[0, 255]], dtype=np.uint8), (64, 32))
    assert np.abs(decode(saved(stripes, "PNG"), (8, 8, 1)).pixels.astype(int) - 128).max() < 8  # no aliasing


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 255), st.integers(1, 60), st.integers(1, 60), st.sampled_from(["PNG", "JPEG", "TIFF"]))
def test_one_colour_stays_one_colour(value: int, height: int, width: int, kind: str) -> None:
    content = saved(np.full((height, width), value, dtype=np.uint8), kind)
    assert (decode(content, (7, 9, 1)).pixels == value).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(512, 512), (515, 613)])
def test_large_jpegs_are_decoded_smaller_but_alike(channels: int, size: tuple[int, int]) -> None:
    image = smooth(*size, channels) // 2 + noise(*size, channels) // 4
    content = saved(image, "JPEG", quality=95)
    full = decode_full_size(content, channels).pixels.squeeze()
    expected = Image.fromarray(full).resize((28, 28), Image.Resampling.BICUBIC)
    smaller = decode(content, (28, 28, channels)).pixels.squeeze()
    assert np.abs(smaller.astype(int) - np.asarray(expected)).max() <= 3


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_that_of_exif(turn: int) -> None:
    image = Image.fromarray(noise(12, 18, 3))
    exif = Image.Exif()
    exif[274] = turn
    marked = image.copy()
    marked.getexif()[274] = turn
    expected = np.asarray(ImageOps.exif_transpose(marked))
    for content in (
        saved(image, "PNG", exif=exif),
        tiff({256: 18, 257: 12, 258: (8, 8, 8), 262: 2, 277: 3, 274: turn}, [image.tobytes()]),
    ):
        decoded = decode(content, expected.shape)
        assert np.array_equal(decoded.pixels, expected)
        assert decoded.notes == (("turned",) if turn > 1 else ())
        assert (decoded.height, decoded.width) == (12, 18)
        half = decode(content, (expected.shape[0] // 2, expected.shape[1] // 2, 3))
        assert "stretched" not in half.notes
    jpeg = decode(saved(image, "JPEG", exif=exif, quality=100, subsampling=0), expected.shape)
    assert np.abs(jpeg.pixels.astype(int) - expected).mean() < 3


def test_damaged_exif_says_nothing() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20)):
        assert decode(saved(noise(8, 8), "JPEG", exif=exif), (8, 8, 1)).notes == ()


# -- what is refused


def test_formats_are_recognised_by_content() -> None:
    for kind, key in KEYS.items():
        assert sniff(saved(noise(8, 8), kind)) == key
    for content in (b"", b"BM", b"RIFF" + bytes(100), bytes(200)):
        assert sniff(content) is None
        assert_refused(content, "unsupported", "png, jpeg, tiff, bmp, dicom")
    assert issubclass(ImageError, DataError)


@pytest.mark.parametrize("kind", ["GIF", "WebP"])
def test_usual_formats_that_are_not_read_are_refused_by_their_names(kind: str) -> None:
    frames = [Image.fromarray(noise(8, 8, seed=seed)) for seed in range(3)]
    for content in (saved(frames[0], kind), saved(frames[0], kind, save_all=True, append_images=frames[1:])):
        assert sniff(content) is None
        assert_refused(content, "unsupported", f"{kind} is not read (it may be animated): save it as PNG")


def test_several_images_are_refused() -> None:
    frames = [Image.fromarray(noise(8, 8, seed=seed)) for seed in range(3)]
    for kind in ("PNG", "TIFF"):
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert_refused(content, "multi_frame", "only single images are read: save ")


def test_what_has_no_evident_meaning_is_refused() -> None:
    for values in (np.zeros((8, 8), np.float32), np.zeros((8, 8), np.int32)):
        assert_refused(saved(values, "TIFF"), "unsupported")
    assert_refused(tiff({256: 8, 257: 8, 258: 8, 262: 1, 339: 2}, [bytes(64)]), "unsupported", "signed")
    assert_refused(b"II+\0\x08\0\0\0" + bytes(100), "unsupported", "BigTIFF")
    assert_refused(saved(in_mode("RGB"), "TIFF", compression="jpeg"), "unsupported", "LZW")
    assert_refused(
        saved(in_mode("L"), "BMP")[:30] + struct.pack("<L", 1) + saved(in_mode("L"), "BMP")[34:], "unsupported"
    )
    twelve = saved(in_mode("L"), "JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c")
    assert_refused(twelve, "unsupported", "12 bits")
    assert_refused(
        saved(in_mode("L"), "JPEG").replace(b"\xff\xc0\0\x0b", b"\xff\xc3\0\x0b"), "unsupported", "lossless"
    )
    for bits in (8, 16):  # a transparent colour beside an alpha channel
        assert_refused(png(np.zeros((2, 2, 4), int), bits, 6, before=chunk(b"tRNS", bytes(2))), "unreadable")
    assert_refused(png(np.zeros((2, 2, 3), np.uint8), 8, 2, before=chunk(b"CgBI", bytes(4))), "unsupported")


def test_missing_rows_are_an_error_and_not_black() -> None:
    image = noise(16, 16, 1)[..., None]
    for interlaced in (False, True):
        for cut in (1, 17, 100, 200):
            assert_refused(png(image, 8, 0, interlaced=interlaced, cut=cut), "unreadable")
    image[-1] = 90  # what the decoder is given before it writes
    assert np.array_equal(decode(png(image, 8, 0), (16, 16, 1)).pixels, image)
    assert_refused(png(image, 8, 0, cut=1), "unreadable")
    tags: dict[int, int | tuple[int, ...]] = {256: 16, 257: 16, 258: 8, 262: 1, 278: 4}
    strips = [bytes(64)] * 4
    assert decode(tiff(tags, strips), (16, 16, 1)).notes == ()
    for fewer in (strips[:3], [*strips[:3], bytes(63)]):
        assert_refused(tiff(tags, fewer), "unreadable")
    content = saved(noise(16, 16), "TIFF", compression="tiff_lzw")
    with Image.open(io.BytesIO(content)) as opened:
        start, size = opened.tag_v2[273][0], opened.tag_v2[279][0]
    lzw = content[start : start + size]
    tags |= {278: 16, 259: 5}
    assert np.array_equal(decode(tiff(tags, [lzw]), (16, 16, 1)).pixels[..., 0], noise(16, 16))
    for wrong in (lzw[:-12], lzw[: size // 2], lzw[:2], b"", b"\0" + lzw[1:], b"\x80\xff" + lzw[2:]):
        assert_refused(tiff(tags, [wrong]), "unreadable")


def test_a_changed_byte_of_a_png_is_found() -> None:
    content = png(noise(8, 8)[..., None], 8, 0)
    for position in range(12, len(content) - 12):
        changed = bytearray(content)
        changed[position] ^= 1
        with pytest.raises(ImageError):
            decode(bytes(changed), (8, 8, 1))


def test_size_is_checked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    large = [saved(noise(40, 50), kind) for kind in KEYS]
    for content in large:
        assert_refused(content, "too_large", "50 x 40 pixels; at most 1999", max_pixels=1999)
        assert decode(content, (8, 8, 1), max_pixels=2000).width == 50
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for content in large:
        assert_refused(content, "too_large", "at most 1000")


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 2), (0, 8, 1), (8, 8, 4)])
def test_a_shape_must_be_one(shape: Any) -> None:
    with pytest.raises(ConfigError, match="channels"):
        decode(saved(noise(8, 8), "PNG"), shape)
