"""A load of HTTP clients in a process of its own, lean enough not to be what is measured.

Each client sends its next request when it has its answer, over one connection. Prints one JSON document.

    python benchmarks/load.py PORT --clients 32 --seconds 5 --images FOLDER [--form litserve]
"""

import argparse
import asyncio
import base64
import contextlib
import json
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BOUNDARY = "7d0c3f6b5a"


@dataclass(frozen=True)
class Form:
    """How an image is sent: the path, the headers, and the body that is made of its bytes."""

    path: str
    headers: tuple[str, ...]
    body: Callable[[bytes], bytes] = bytes

    def request(self, image: bytes) -> bytes:
        """Return the bytes of one request."""
        body = self.body(image)
        lines = [f"POST {self.path} HTTP/1.1", "Host: 127.0.0.1", *self.headers, f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


def _json(image: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(image).decode()}).encode()


def _multipart(image: bytes) -> bytes:
    disposition = 'Content-Disposition: form-data; name="image"; filename="image.png"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: image/png\r\n\r\n"
    return head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


FORMS: Mapping[str, Form] = {
    "image": Form("/predict", ("Content-Type: image/png",)),
    "litserve": Form("/predict", ("Content-Type: application/json",), _json),
    "bentoml": Form("/predict", (f"Content-Type: multipart/form-data; boundary={BOUNDARY}",), _multipart),
    "triton": Form(
        "/v2/models/ensemble/infer",
        ("Content-Type: application/octet-stream", "Inference-Header-Content-Length: 0"),
    ),
}


@dataclass(frozen=True)
class Answer:
    """An answer: its status, whether the connection goes on, and, in a body of JSON, how long that is (Triton)."""

    status: int
    goes_on: bool
    body: bytes = b""
    json_length: int | None = None

    def probabilities(self) -> list[float]:
        """Return the class probabilities of the one image."""
        if self.json_length is not None:
            numbers = self.body[self.json_length :]
            return list(struct.unpack(f"<{len(numbers) // 4}f", numbers))
        document = json.loads(self.body)
        if isinstance(document, dict):
            document = document.get("predictions", [document])
        return list(document[0]["probabilities"].values())


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer whole."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status, goes_on = int(head[9:12]), b"connection: close" not in head
    lengths = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if b"content-length: " in line)
    json_length = lengths.get(b"inference-header-content-length")
    if b"content-length" in lengths:
        body = await reader.readexactly(int(lengths[b"content-length"]))
        return Answer(status, goes_on, body, None if json_length is None else int(json_length))
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):  # chunked: Serve's own proxy
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return Answer(status, goes_on, b"".join(parts))


async def client(
    port: int, requests: list[bytes], first: int, until: float, times: list[float], bad: list[int]
) -> None:
    """Ask until `until`; note the seconds of each answer."""
    number, writer = first, None
    while (began := time.perf_counter()) < until:
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(requests[number % len(requests)])
        number += 7
        answer = await read_answer(reader)
        times.append(time.perf_counter() - began)
        if answer.status != 200:
            bad.append(answer.status)
        if not answer.goes_on:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


def ask_once(port: int, request: bytes, timeout: float = 30.0) -> Answer:
    """Send one request over a connection of its own.

    Raises:
        OSError: nobody answers.
        EOFError: the answer breaks off.
    """

    async def ask() -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        try:
            return await read_answer(reader)
        finally:
            writer.close()

    return asyncio.run(asyncio.wait_for(ask(), timeout))


async def load(port: int, requests: list[bytes], clients: int, seconds: float) -> dict[str, float]:
    """Run `clients` for `seconds`; give images a second, and milliseconds."""
    times: list[float] = []
    bad: list[int] = []
    began = time.perf_counter()
    await asyncio.gather(*(client(port, requests, n, began + seconds, times, bad) for n in range(clients)))
    spent = time.perf_counter() - began
    p50, p99 = (float(np.percentile(times, q)) * 1000 for q in (50, 99))
    return {"rate": len(times) / spent, "p50": p50, "p99": p99, "requests": len(times), "bad": len(bad)}


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--images", type=Path, required=True, help="a folder of PNGs")
    parser.add_argument("--form", choices=tuple(FORMS), default="image", help="how the service takes an image")
    given = parser.parse_args()
    form = FORMS[given.form]
    requests = [form.request(path.read_bytes()) for path in sorted(given.images.glob("*.png"))]
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    print(json.dumps(asyncio.run(load(given.port, requests, given.clients, given.seconds))))


if __name__ == "__main__":
    main()
