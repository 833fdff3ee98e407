"""How fast the service is, beside what a person would use instead, all in one run on the same cores.

    raw        (a) Ensemble.predict in a loop, images already decoded, at batch 1 and at its best batch
    medray         python -m medray.serve
    uvicorn    (b) uvicorn + FastAPI with a simple batcher
    litserve   (c) LitServe, batches of at most 64 (`uv pip install litserve`)
    serve      (d) Ray Serve as its documentation has it: a deployment for each member, default settings

Four small networks (untrained: what they answer does not matter here) on 28×28 grey images; PNGs of 28×28 and
of 224×224, which every way resizes. The ways take turns, `--runs` times; medians are printed.

    uv run python benchmarks/serving.py [--runs 3] [--seconds 5] [--ways raw,medray] [--soak 100000]
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import psutil
from PIL import Image

BACKBONES = ("lenet5", "lenet5", "resnet8_small", "resnet8_small")
ROOT = Path(__file__).resolve().parent.parent
CLIENTS = (1, 8, 32, 128)
SIZES = (28, 224)
RIVALS = {"uvicorn": "uvicorn_batcher", "litserve": "litserve_api", "serve": "plain_serve"}


def make_ensemble(folder: Path) -> Path:
    """Write an ensemble of untrained networks; return its folder."""
    from medray.config import TrainConfig
    from medray.data.dataset import ImageDataset
    from medray.ensemble.candidates import TRIALS, Candidate, Member, Pool
    from medray.ensemble.selection import make_selection
    from medray.ensemble.write_ensemble import write_ensemble
    from medray.runs.run_facts import DataFacts
    from medray.runs.rundir import RunDir
    from medray.runs.selection_facts import TOP_K
    from medray.runs.trial_record import FINISHED, TrialRecord
    from medray.training.models import build_network
    from medray.training.weights import write_weights

    run, candidates = RunDir(str(folder)), []
    for number, backbone in enumerate(BACKBONES):
        config = TrainConfig(backbone=backbone)
        tensors = build_network(config, (28, 28, 1), 4).state_dict()
        trial = run.trial(number)
        trial.write_by(trial.WEIGHTS, partial(write_weights, tensors=tensors, facts={}))
        trial.write_json(trial.CONFIG, config.to_dict())
        record = TrialRecord(number, FINISHED, objective=0.5, best_epoch=1)
        candidates.append(
            Candidate(number, (Member(record, trial),), np.full((8, 4), 0.25, dtype=np.float32), 0.5)
        )
    pool = Pool(TRIALS, candidates, np.arange(8) % 4)
    selection = make_selection(TOP_K, pool, [(candidate, 1.0) for candidate in candidates])
    images, labels = np.zeros((4, 28, 28, 1), dtype=np.uint8), np.arange(4)
    data = DataFacts.of(ImageDataset(images, labels, ("a", "b", "c", "d"), {}, "benchmark"))
    write_ensemble(run, selection, data=data, metric="accuracy")
    return folder / "ensemble"


def write_images(folder: Path, size: int, count: int = 64) -> Path:
    """Write PNGs of blurred noise: as hard to decode as a photograph."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        small = rng.integers(0, 256, (size // 4, size // 4), dtype=np.uint8)
        picture = Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)
        file = BytesIO()
        picture.save(file, "PNG")
        (folder / f"{number}.png").write_bytes(file.getvalue())
    return folder


def raw(ensemble_folder: Path, seconds: float) -> dict[int, float]:
    """Images a second at each batch size, on one thread."""
    code = f"""
import json, time, numpy as np, torch
torch.set_num_threads(1)
from medray import Ensemble
ensemble = Ensemble.load({str(ensemble_folder)!r})
found = {{}}
for batch in (1, 8, 16, 32, 64, 128):
    images = np.random.default_rng(0).integers(0, 256, (batch, 28, 28, 1), dtype=np.uint8)
    ensemble.predict(images)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < {seconds / 3}:
        ensemble.predict(images); done += batch
    found[batch] = done / (time.perf_counter() - began)
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {int(batch): rate for batch, rate in json.loads(done.stdout).items()}


def command(way: str, ensemble: Path, port: int) -> list[str]:
    """How a way is started."""
    if way == "medray":
        home = str(ensemble.parent / "home")
        return [sys.executable, "-m", "medray.serve", str(ensemble), "--port", str(port), "--home", home]
    return [sys.executable, f"benchmarks/rivals/{RIVALS[way]}.py", str(ensemble), str(port)]


@contextlib.contextmanager
def started(way: str, ensemble: Path, port: int, image: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a way, wait for its first answer, and end it with all its children."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if not os.environ.get("SHOW") else {}
    process = subprocess.Popen(command(way, ensemble, port), cwd=ROOT, start_new_session=True, **quiet)  # type: ignore[call-overload]
    try:
        wait_for(port, image, way == "litserve", process)
        yield process
    finally:
        family = (
            [process, *psutil.Process(process.pid).children(recursive=True)]
            if process.poll() is None
            else [process]
        )
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60 if way == "medray" else 5)
        for one in family:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                one.kill()
        process.wait()


def wait_for(port: int, image: Path, as_json: bool, process: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers an image."""
    from load import request

    body = request(image.read_bytes(), as_json).partition(b"\r\n\r\n")[2]
    kind = "application/json" if as_json else "image/png"
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}; SHOW=1 shows why")
        with contextlib.suppress(OSError):
            urlopen(Request(f"http://127.0.0.1:{port}/predict", body, {"Content-Type": kind}), timeout=5).read()
            return
        time.sleep(0.2)
    raise RuntimeError("no answer within two minutes")


def ask(port: int, images: Path, clients: int, seconds: float, *, as_json: bool = False) -> dict[str, float]:
    """Load a way from another process."""
    arguments = [str(port), "--clients", str(clients), "--seconds", str(seconds), "--images", str(images)]
    done = subprocess.run(
        [sys.executable, "benchmarks/load.py", *arguments, *(["--json"] if as_json else [])],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def resident(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """MiB of the process and its children, by name; a replica's is what is to stay flat."""
    found: dict[str, float] = {}
    for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            name = (one.cmdline() or [one.name()])[0].split(" ")[0][:40]
            found[name] = found.get(name, 0.0) + one.memory_info().rss / 2**20
    return found


def soak(ensemble: Path, images: Path, requests: int, port: int) -> None:
    """Ask very often, and print the memory of every process as it goes."""
    with started("medray", ensemble, port, next(images.glob("*.png"))) as process:
        done, bad = 0.0, 0.0
        while True:
            print(
                f"{int(done):>8} requests, {int(bad)} bad",
                {k: round(v) for k, v in resident(process).items()},
                flush=True,
            )
            if done >= requests:
                return
            found = ask(port, images, 32, 20)
            done, bad = done + found["requests"], bad + found["bad"]


def main() -> None:
    """Run every way in turn, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--ways", default="raw,medray,uvicorn,litserve,serve")
    parser.add_argument("--sizes", default="28,224")
    parser.add_argument(
        "--soak", type=int, default=0, metavar="REQUESTS", help="only this: memory over so many requests"
    )
    given = parser.parse_args()
    ways, sizes = given.ways.split(","), [int(size) for size in given.sizes.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ensemble = make_ensemble(folder / "run")
        pngs = {size: write_images(folder / str(size), size) for size in SIZES}
        if given.soak:
            soak(ensemble, pngs[28], given.soak, 8790)
            return
        rates: list[dict[int, float]] = []
        found: dict[tuple[str, int, int], list[dict[str, float]]] = {}
        for number in range(given.runs):
            if "raw" in ways:
                rates.append(raw(ensemble, given.seconds))
            for place, way in enumerate(way for way in ways if way != "raw"):
                port = 8790 + 10 * number + place
                try:
                    with started(way, ensemble, port, next(pngs[28].glob("*.png"))):
                        ask(port, pngs[28], 32, 2, as_json=way == "litserve")  # warm
                        for size in sizes:
                            for clients in CLIENTS:
                                one = ask(port, pngs[size], clients, given.seconds, as_json=way == "litserve")
                                found.setdefault((way, size, clients), []).append(one)
                                print(
                                    f"run {number + 1} {way:>9} {size} px {clients:>3} clients: {one}", flush=True
                                )
                except RuntimeError as error:
                    print(f"run {number + 1} {way}: {error}", flush=True)
        report(rates, found)


def report(rates: list[dict[int, float]], found: dict[tuple[str, int, int], list[dict[str, float]]]) -> None:
    """Print medians."""
    print()
    best = 0.0
    if rates:
        medians = {batch: statistics.median(run[batch] for run in rates) for batch in rates[0]}
        best = max(medians.values())
        print("raw ensemble, images/s by batch:", {batch: round(rate) for batch, rate in medians.items()})
    for (way, size, clients), runs in found.items():
        rate, p50, p99 = (statistics.median(run[key] for run in runs) for key in ("rate", "p50", "p99"))
        share = f"  {rate / best:.2f} of raw's best" if best else ""
        bad = sum(run["bad"] for run in runs)
        what = f"{way:>9} {size:>4} px {clients:>4} clients"
        print(
            f"{what} {rate:8.0f}/s  p50 {p50:7.1f} ms  p99 {p99:7.1f} ms{share}"
            + (f"  {bad:.0f} BAD" if bad else "")
        )


if __name__ == "__main__":
    main()
