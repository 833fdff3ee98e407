"""Does a data set larger than memory train? Decode, load and train one epoch in a control group that holds less.

The same process runs twice, each time in its own control group: once with all of the machine's memory, once with
`--limit` MiB, which is less than the decoded images take. Prints how long loading and an epoch took in both, and
what the limited one held at most. Needs Linux and the right to make a control group (version 1).

    uv run python benchmarks/larger_than_memory.py [--images 8000] [--limit 1000]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDE = 224
GROUPS = Path("/sys/fs/cgroup/memory")


def write_images(folder: Path, count: int) -> None:
    """Write PNG files of two classes, plain tints with a noisy patch: small files, large once decoded."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, share in (("train", 0.9), ("val", 0.05), ("test", 0.05)):
        for number in range(int(count * share)):
            path = folder / split / ("dark", "light")[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((SIDE, SIDE, 3), rng.integers(0, 100, 3) + 100 * (number % 2), dtype=np.uint8)
            image[:16, :16] = rng.integers(0, 256, (16, 16, 3))
            Image.fromarray(image).save(path, compress_level=1)


def train(folder: str) -> None:
    """Load and train one epoch; print seconds as JSON."""
    from medray.config import TrainConfig
    from medray.data.load_data import load_data
    from medray.training.loop import fit

    began = time.perf_counter()
    dataset = load_data(folder)
    _ = dataset.fingerprint
    loaded = time.perf_counter()
    config = TrainConfig(backbone="lenet5", batch_size=16, epochs=1, patience=None)
    epochs = list(fit(config, dataset.split("train"), dataset.split("val")))
    ended = time.perf_counter()
    assert len(epochs) == 1
    said = {"load": loaded - began, "epoch": ended - loaded, "bytes": dataset.images.nbytes}
    print(json.dumps(said))


def limited(folder: str, cache: Path, mebibytes: int | None) -> dict[str, float]:
    """Run `train` in a control group of its own."""
    group = GROUPS / f"medray-{os.getpid()}"
    group.mkdir()
    try:
        if mebibytes is not None:
            (group / "memory.limit_in_bytes").write_text(str(mebibytes * 2**20))
        inside = f"echo $$ > {group}/cgroup.procs; exec '{sys.executable}' '{__file__}' --train '{folder}'"
        settings = os.environ | {"MEDRAY_CACHE": str(cache)}
        done = subprocess.run(["sh", "-c", inside], env=settings, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"the training ended with status {done.returncode}")
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        found["most"] = int((group / "memory.max_usage_in_bytes").read_text())
        return found
    finally:
        group.rmdir()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--limit", type=int, default=1000, help="MiB")
    parser.add_argument("--train", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        train(given.train)
        return
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room) / "images"
        write_images(folder, given.images)
        for told, limit in (("all memory", None), (f"{given.limit} MiB", given.limit)):
            found = limited(f"folder:{folder}", Path(room) / "cache" / str(limit), limit)
            size, most = found["bytes"] / 2**20, found["most"] / 2**20
            times = f"decoded and hashed in {found['load']:.0f} s, an epoch in {found['epoch']:.0f} s"
            print(f"{told:>12}: {size:.0f} MiB of images {times}, at most {most:.0f} MiB in the group")


if __name__ == "__main__":
    main()
