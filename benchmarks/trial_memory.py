"""Does a trial's own memory grow with the data set? Two searches that differ only in how many images they read.

Prints, for each size of data, the most anonymous memory (RssAnon: what a process has for itself, shared memory
and files left out) of each worker. Were the data copied into each trial, the figures of the larger size would be
larger by the difference in size. Workers on the same data differ by some tens of MiB, by how their threads
allocated what training needs: so there are several searches of each size, by turns, and the medians are compared.

    uv run python benchmarks/trial_memory.py [--small 20] [--large 400] [--rounds 3]
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil

SPACE = """
name: memory
data: phantom
objective: {metric: accuracy}
budget: {trials: 4, max_epochs: 2, grace_epochs: 1000, reduction_factor: 2, patience: null}
resources: {cpu: 1}
space:
  learning_rate: {log: [0.0005, 0.005]}
fixed: {backbone: lenet5, batch_size: 32}
"""
SIDE = 128


def write_data(path: Path, megabytes: int) -> Path:
    """Write images of noise: few to train and validate on, and so many others, in the test split, to carry."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 256), ("val", 64), ("test", megabytes * 2**20 // SIDE**2)):
        arrays[f"{split}_images"] = rng.integers(0, 256, size=(count, SIDE, SIDE), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 2)[:, None]
    np.savez(path, **arrays)
    return path


def own_memory(process: psutil.Process) -> int:
    """The process's anonymous memory, in KiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))


def watch(peaks: dict[int, int], ended: threading.Event) -> None:
    """Keep the largest memory of each worker, by process id, until the search has ended."""
    while not ended.wait(0.1):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError, StopIteration):
                # Between two steps its title is another.
                if process.pid in peaks or "TrialRunner" in " ".join(process.cmdline()):
                    peaks[process.pid] = max(own_memory(process), peaks.get(process.pid, 0))


def worker_peaks(megabytes: int) -> list[float]:
    """Search on that much data; return each worker's peak, in MiB."""
    from rich.console import Console

    from medray.search.run_search import run_search
    from medray.search.search_options import SearchOptions

    folder = Path(tempfile.mkdtemp(prefix="medray-bench-"))
    (folder / "memory.yaml").write_text(SPACE)
    data = write_data(folder / "data.npz", megabytes)
    peaks: dict[int, int] = {}
    ended = threading.Event()
    watcher = threading.Thread(target=watch, args=(peaks, ended))
    watcher.start()
    options = SearchOptions(space=str(folder / "memory.yaml"), data=str(data), out=str(folder / "run"))
    try:
        run_search(options, Console(file=io.StringIO()))
    finally:
        ended.set()
        watcher.join()
    return [peak / 1024 for peak in peaks.values()]


def main() -> None:
    """Measure both sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=20, help="MiB of images")
    parser.add_argument("--large", type=int, default=400, help="MiB of images")
    parser.add_argument("--rounds", type=int, default=3, help="searches of each size")
    given = parser.parse_args()
    peaks: dict[int, list[float]] = {given.small: [], given.large: []}
    for _ in range(given.rounds):
        for size, values in peaks.items():
            values += worker_peaks(size)
    for size, values in peaks.items():
        print(
            f"a worker's own memory with {size} MiB of images: median {statistics.median(values):.0f} MiB, "
            f"{min(values):.0f} to {max(values):.0f} of {len(values)} workers"
        )
    grown = statistics.median(peaks[given.large]) - statistics.median(peaks[given.small])
    print(f"grown by {grown:+.0f} MiB for {given.large - given.small} MiB more data")


if __name__ == "__main__":
    main()
