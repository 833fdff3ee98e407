"""How fast the service is, beside what a person would use instead, all in one run on the same cores.

    raw           (a) Ensemble.predict in a loop, images already decoded, at batch 1 and at larger ones
    medray            medray serve as it comes: one replica, one thread
    uvicorn-onnx  (b) uvicorn + FastAPI with a simple batcher, and the file of medray export in ONNX Runtime
    uvicorn           the same with the networks in PyTorch
    litserve      (c) LitServe; images go in JSON as base64
    serve         (d) Ray Serve as its documentation has it: a deployment for each network, default settings
    triton        (e) Triton by PyTriton; images are the raw body, and are decoded in the inference callable
    bentoml       (f) BentoML with adaptive batching; images are files of a form

Four small networks (untrained: what they answer does not matter here, but it is compared with the ensemble's own)
on 28×28 grey images; PNGs of 28×28 and of 224×224, which every way decodes and resizes. Batches have at most 64
images; ONNX Runtime has two threads in all (medray's one). What is not installed is left out, with the line that
installs it.
Each load is a line of --results, so that runs are added at will; nothing else should run on the machine.

    uv run python benchmarks/serving.py [--runs 3] [--seconds 3] [--ways medray,triton]
    uv run python benchmarks/serving.py --table [--page docs/performance.md]
    uv run python benchmarks/serving.py --soak 100000
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from rivals.measured import RAW, Measured, append, read, tables
from rivals.samples import SHAPE, make_ensemble, raw, write_images
from rivals.ways import WAYS, Process, Way, started
from search_quality.tables import write_between

from medray._types import Array
from medray.ensemble.ensemble import Ensemble
from medray.serving.deploy.ray_environment import free_ports

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = (1, 8, 32, 128)
SIZES = (28, 224)
PART = "serving"  # the marks on a page, between which the tables stand


def ask(port: int, images: Path, clients: int, seconds: float, form: str) -> dict[str, float]:
    """Load a way from another process.

    Raises:
        RuntimeError: the connection breaks off.
    """
    arguments = [str(port), "--clients", str(clients), "--seconds", str(seconds), "--images", str(images)]
    done = subprocess.run(
        [sys.executable, "benchmarks/load.py", *arguments, "--form", form],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(name: str, samples: "Samples", seconds: float, sizes: list[int], results: Path) -> None:
    """Start a way, and measure every load on it.

    Raises:
        RuntimeError: it ends, or answers otherwise than the ensemble.
    """
    commit = _commit()
    if name == RAW:
        for batch, rate in raw(samples.ensemble, seconds).items():
            times = 1000 * batch / rate
            line = Measured(RAW, SHAPE[0], batch, rate, times, times, times / batch, 0, _load(), commit)
            append(results, line)
        return
    way, port = WAYS[name], free_ports(1)[0]
    with started(way, samples.ensemble, port, samples.first, samples.expected) as process:
        ask(port, samples.pngs[28], 32, 2, way.form)  # warm
        for size in sizes:
            for clients in CLIENTS:
                load, before = _load(), processor_seconds(process)
                found = ask(port, samples.pngs[size], clients, seconds, way.form)
                found["cpu"] = 1000 * (processor_seconds(process) - before) / found["requests"]
                figures = found["rate"], found["p50"], found["p99"], found["cpu"], int(found["bad"])
                append(results, Measured(name, size, clients, *figures, load, commit))
                print(f"{name:>12} {size:>3} px {clients:>3} clients: {found}", flush=True)


class Samples:
    """The ensemble, the images, and what the ensemble says of the first of 28×28."""

    def __init__(self, folder: Path) -> None:
        self.ensemble = make_ensemble(folder / "run")
        self.pngs = {size: write_images(folder / str(size), size) for size in SIZES}
        self.first = self.pngs[28] / "0.png"
        picture = np.asarray(Image.open(BytesIO(self.first.read_bytes()))).reshape(1, *SHAPE)
        self.expected: Array = Ensemble.load(str(self.ensemble)).predict(picture).probabilities[0]


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.strip() or None


def processor_seconds(process: Process) -> float:
    """Return the seconds of processor time of the process and its children so far."""
    total = 0.0
    for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def resident(process: Process) -> dict[str, float]:
    """MiB of the process and its children, by name; a replica's is what is to stay flat."""
    found: dict[str, float] = {}
    for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            name = (one.cmdline() or [one.name()])[0].split(" ")[0][:40]
            found[name] = found.get(name, 0.0) + one.memory_info().rss / 2**20
    return found


def soak(samples: Samples, requests: int) -> None:
    """Ask medray very often, and print the memory of every process as it goes."""
    way, port = WAYS["medray"], free_ports(1)[0]
    with started(way, samples.ensemble, port, samples.first, samples.expected) as process:
        done, bad = 0.0, 0.0
        while True:
            memory = {name: round(size) for name, size in resident(process).items()}
            print(f"{int(done):>8} requests, {int(bad)} bad", memory, flush=True)
            if done >= requests:
                return
            found = ask(port, samples.pngs[28], 32, 20, way.form)
            done, bad = done + found["requests"], bad + found["bad"]


def main() -> None:
    """Run every way in turn, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--ways", nargs="+", choices=(RAW, *WAYS), default=[RAW, *WAYS])
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=list(SIZES))
    parser.add_argument("--results", type=Path, default=Path("serving.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the tables of the results, and run nothing")
    parser.add_argument("--page", type=Path, help="with --table: write them between the marks of this page")
    parser.add_argument(
        "--soak", type=int, default=0, metavar="REQUESTS", help="only this: memory over so many requests"
    )
    given = parser.parse_args()
    if given.table:
        text = tables(read(given.results))
        print(text)
        if given.page:
            write_between(given.page, PART, text)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended too
    ways = [name for name in given.ways if name == RAW or _is_installed(WAYS[name])]
    with tempfile.TemporaryDirectory() as temporary:
        samples = Samples(Path(temporary))
        if given.soak:
            soak(samples, given.soak)
            return
        for _ in range(given.runs):
            for name in ways:
                try:
                    measure(name, samples, given.seconds, given.sizes, given.results)
                except RuntimeError as error:
                    print(f"{name}: {error}", flush=True)


def _is_installed(way: Way) -> bool:
    line = way.missing()
    if line is not None:
        print(f"left out: {line}", flush=True)
    return line is None


if __name__ == "__main__":
    main()
