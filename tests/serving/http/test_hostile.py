"""Ten thousand requests that nobody means well: none is answered by a 5xx, and the memory does not grow."""

import asyncio
import io
import random
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.serving.conftest import Site, pictures, png

pytestmark = pytest.mark.component

REQUESTS, CONNECTIONS = 10_000, 16


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that claims so many pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100_000)) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A good PNG with a compressed text that is a thousand times as long."""
    good = png(pictures(1)[0])
    return good[:33] + chunk(b"zTXt", b"c\0\0" + zlib.compress(b"a" * 5_000_000)) + good[33:]


def seeds() -> list[bytes]:
    colour = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    images = [png(colour, kind) for kind in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")]
    file = io.BytesIO()
    Image.fromarray(colour).save(file, "TIFF", append_images=[Image.fromarray(colour)], save_all=True)
    dicom = (
        b"\0" * 128
        + b"DICM"
        + b"\x02\0\0\0UL\x04\0\xff\xff\xff\x7f"
        + b"\x02\0\x10\0UI\x14\0"
        + b"1.2.840.10008.1.2.1\0"
    )
    return [
        *images, file.getvalue(), dicom, bomb(60_000, 60_000), bomb(2**31 - 1, 2**31 - 1), bomb(6000, 6000), text_bomb(),
        images[0] + images[1], b"%PDF-1.7" + images[0], b"", b"\0" * 1000, b"<svg/>", b"{}", b"II*\0" + b"\xff" * 60,
    ]  # fmt: skip


def bodies(count: int) -> Iterator[bytes]:
    """Good files, then cut, turned, joined, and made up."""
    chance, samples = random.Random(0), seeds()
    for number in range(count):
        content = bytearray(samples[number % len(samples)])
        way = chance.randrange(6)
        if way == 0 and content:
            del content[chance.randrange(len(content)) :]
        elif way == 1:
            for _ in range(chance.randrange(1, 9)):
                if content:
                    content[chance.randrange(len(content))] = chance.randrange(256)
        elif way == 2:
            content = bytearray(chance.randbytes(chance.randrange(300)))
        elif way == 3:
            content[:0] = chance.randbytes(chance.randrange(20))
        elif way == 4:
            content += chance.choice(samples)[:5000]
        yield bytes(content)


def requests(count: int, token: str | None) -> Iterator[bytes]:
    """Whole requests, whose heads are not meant well either."""
    chance = random.Random(1)
    types = ["image/png", "application/dicom", "application/octet-stream", "multipart/form-data; boundary=x", "text/html",
             "multipart/form-data", "image/png\x80", ""]  # fmt: skip
    paths = ["/predict"] * 8 + [
        "/v2/models/corners/infer",
        "/predict?explain=" + "x" * 100,
        "/%00",
        "/../etc/passwd",
        "/" + "a" * 500,
    ]
    for body in bodies(count):
        sent, more = body, "" if token is None else f"Authorization: Bearer {token}\r\n"
        if chance.random() < 0.15:
            sent = (
                b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n" + body + b"\r\n--x--\r\n"
            )
        if chance.random() < 0.05:
            more += f"X-Long: {'y' * chance.randrange(8000)}\r\n"
        if chance.random() < 0.05:
            more += f"Inference-Header-Content-Length: {chance.choice(['-1', '0', '5', '9' * 30])}\r\n"
        if chance.random() < 0.05 and token is None:
            more += "Authorization: Bearer \xff\r\n"
        head = (
            f"POST {chance.choice(paths)} HTTP/1.1\r\nHost: x\r\nContent-Type: {chance.choice(types)}\r\n"
            f"{more}Content-Length: {len(sent)}\r\n\r\n"
        )
        yield head.encode("latin-1") + sent


async def answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """An answer's status, and whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return int(head[9:12]), b"connection: close" not in head


async def flood(port: int, contents: Iterator[bytes], seen: Counter[int]) -> None:
    """Send one request after the other, on a new connection where the old one was closed."""
    writer = None
    for content in contents:
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(content)
        try:
            status, goes_on = await answer(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            status, goes_on = 0, False
        seen[status] += 1
        if not goes_on:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


def attack(port: int, count: int, token: str | None = None) -> Counter[int]:
    async def run() -> Counter[int]:
        seen: Counter[int] = Counter()
        shared = iter(list(requests(count, token)))
        await asyncio.gather(*(flood(port, shared, seen) for _ in range(CONNECTIONS)))
        return seen

    return asyncio.run(run())


@pytest.mark.slow
def test_mangled_requests_are_refused_and_cost_nothing_that_stays(site: Callable[..., Site]) -> None:
    attacked = site(max_body=2**20, max_memory=64 * 2**20, max_pixels=10**6)
    port = int(attacked.url.rpartition(":")[2])
    attack(port, REQUESTS // 5)  # fills caches
    before = psutil.Process().memory_info().rss
    seen = attack(port, REQUESTS)
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    assert sum(seen.values()) == REQUESTS
    assert not [status for status in seen if status >= 500], seen
    assert seen[200] > 100, seen
    assert seen[0] < 50, seen  # connections that the server's own parser ended
    assert grown < 40, f"{grown:.0f} MiB"
    assert attacked.predict(png(pictures(1)[0])).status_code == 200
    assert attacked.service.memory.held == 0


@pytest.mark.parametrize("name", ["bomb", "text"])
def test_a_bomb_costs_no_memory(open_site: Site, name: str) -> None:
    before = psutil.Process().memory_info().rss
    content = bomb(50_000, 50_000) if name == "bomb" else text_bomb()
    assert open_site.predict(content).status_code in ((413, 422) if name == "bomb" else (200, 413, 422))
    assert psutil.Process().memory_info().rss - before < 100 * 2**20
