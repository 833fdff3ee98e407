"""A load of HTTP clients in a process of its own, lean enough not to be what is measured.

Each client sends its next request when it has its answer, over one connection. Prints one JSON document.

    python benchmarks/load.py PORT --clients 32 --seconds 5 --images FILE.npz [--json]
"""

import argparse
import asyncio
import base64
import contextlib
import json
import time
from pathlib import Path

import numpy as np


def request(image: bytes, as_json: bool) -> bytes:
    """The bytes of one request."""
    kind, body = "image/png", image
    if as_json:
        kind, body = "application/json", json.dumps({"image": base64.b64encode(image).decode()}).encode()
    return (
        f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read one answer: its status, and whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status, goes_on = int(head[9:12]), b"connection: close" not in head
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line[15:]))
            return status, goes_on
    while size := int(await reader.readuntil(b"\r\n"), 16):  # chunked: Serve's own proxy
        await reader.readexactly(size + 2)
    await reader.readexactly(2)
    return status, goes_on


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
        status, goes_on = await answer(reader)
        times.append(time.perf_counter() - began)
        if status != 200:
            bad.append(status)
        if not goes_on:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


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
    parser.add_argument("--json", action="store_true", help="send JSON with base64")
    given = parser.parse_args()
    requests = [request(path.read_bytes(), given.json) for path in sorted(given.images.glob("*.png"))]
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    print(json.dumps(asyncio.run(load(given.port, requests, given.clients, given.seconds))))


if __name__ == "__main__":
    main()
