"""How large a search one driver carries: how busy its slots are, what a trial costs it, what a run takes on disk.

    python benchmarks/scaling.py real --slots 2 --trials 24        # real trainings on this machine's cores
    python benchmarks/scaling.py simulated --slots 64 --trial-seconds 30 --trials 512
    python benchmarks/scaling.py simulated --slots 512 --nodes 8 --trial-seconds 60 --trials 2048
    python benchmarks/scaling.py simulated --slots 16 --trial-seconds 0.05 --epochs 1 --trials 5000
    python benchmarks/scaling.py table [--page docs/cluster.md]

Each of the first two runs a search through all of medray.search but the ensemble, and appends a line to --results.
"busy" is the share of the slots' time in which their trials trained: the epochs' own seconds, divided by slots
times seconds, from when every slot could have begun until the last trial was drawn. The driver's time is all
processor time of its process, the threads of Ray in it included, for each trial that ended. What is real and what
is simulated in `simulated` says `simulated_slots.py`.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medray.cluster.connect import prepare_environment

if TYPE_CHECKING:
    from driver_meter import Meter
    from simulated_slots import Template

    from medray.data.dataset import ImageDataset

SIMULATED, REAL, TABLE = KINDS = ("simulated", "real", "table")
TENTHS = 10
SPACE = """
name: scaling
data: phantom
objective: {{metric: accuracy}}
budget: {{trials: {trials}, max_epochs: {epochs}, grace_epochs: {grace}, reduction_factor: 2, patience: null}}
resources: {{cpu: 1}}
space:
  learning_rate: {{log: [0.0005, 0.02]}}
  dropout: {{uniform: [0.0, 0.5]}}
  optimizer: {{choice: [adam, adamw, sgd]}}
  momentum: {{uniform: [0.5, 0.99], when: {{optimizer: sgd}}}}
  batch_size: {{choice: [32, 64]}}
  label_smoothing: {{uniform: [0.0, 0.1]}}
fixed: {{backbone: lenet5}}
"""
TEMPLATE = {
    "backbone": "lenet5", "batch_size": 32, "optimizer": "adam", "learning_rate": 0.001, "epochs": 9,
    "dropout": 0.1,
}  # fmt: skip


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--results", type=Path, default=Path("scaling.jsonl"))
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=4, help="fake nodes that simulated slots lie on")
    parser.add_argument("--hosts", type=int, default=2, help="processes that simulated slots share")
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument(
        "--epochs", type=int, default=20, help="of a trial that is not stopped; about twice the mean"
    )
    parser.add_argument(
        "--trial-seconds", type=float, default=30.0, help="of a simulated trial of half the epochs"
    )
    parser.add_argument("--start-seconds", type=float, default=5.0, help="of a simulated worker, imports included")
    parser.add_argument("--images", type=int, default=2000, help="of 28×28 to train on; a quarter to validate")
    parser.add_argument("--hours", type=float, help="limit the search's time: it reckons with epochs' times then")
    parser.add_argument("--terminal", action="store_true", help="draw the live table, to nowhere")
    parser.add_argument("--keep", type=Path, help="keep the run in this folder")
    parser.add_argument("--page", type=Path, help="with table: write it between the marks of this page")
    return parser.parse_args()


@contextlib.contextmanager
def fake_nodes(slots: int, nodes: int) -> Iterator[None]:
    """Start a head without cores and nodes that claim one for each slot, and join them."""
    import ray
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="mr", dir="/tmp")
    head = {"num_cpus": 0, "temp_dir": folder, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=-(-slots // nodes))
        ray.init(address=cluster.address, log_to_driver=False, logging_level="CRITICAL")
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def real_template(dataset: "ImageDataset", start_s: float) -> "Template":
    """Train a real trial's epoch in this process, and return its files."""
    from simulated_slots import Template

    from medray.cluster.trial_worker import Worker
    from medray.config import TrainConfig
    from medray.runs.rundir import TrialDir

    with tempfile.TemporaryDirectory() as name:
        folder = TrialDir(name, name)
        folder.write_json(folder.CONFIG, TrainConfig.from_dict(TEMPLATE).to_dict())
        worker = Worker(1)
        worker.open(folder, dataset.split("train"), dataset.split("val"), "accuracy")
        worker.step()
        files = {name: folder.read(name) for name in (folder.WEIGHTS, folder.PREDICTIONS, folder.CHECKPOINT)}
        return Template(files, folder.epochs()[-1], start_s)


def run(given: argparse.Namespace, folder: Path) -> tuple["Meter", dict[str, Any]]:
    """Run the search in `folder`; return what was measured, and what else is to be known of it."""
    from driver_meter import metered
    from rich.console import Console
    from search_overhead import write_data

    from medray.runs.lock import held
    from medray.search.open_run import open_run
    from medray.search.prepare_run import prepare_run
    from medray.search.run_trials import run_trials
    from medray.search.search_options import SearchOptions

    grace = given.epochs // 4 or 1000  # of one epoch there are no rungs
    (folder / "scaling.yaml").write_text(SPACE.format(trials=given.trials, epochs=given.epochs, grace=grace))
    data = write_data(folder / "noise.npz", given.images)
    options = SearchOptions(
        space=str(folder / "scaling.yaml"), data=str(data), out=str(folder / "run"), hours=given.hours,
        concurrency=given.slots if given.kind == REAL else None,
    )  # fmt: skip
    more: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open(os.devnull, "w")) if given.terminal else io.StringIO()  # noqa: PTH123
        console = Console(file=stream, force_terminal=given.terminal, width=120)
        if given.kind == SIMULATED:
            stack.enter_context(fake_nodes(given.slots, given.nodes))
        run_dir, space, resolved = open_run(options)
        stack.enter_context(held(run_dir, console))
        dataset, capacity = prepare_run(options, run_dir, space, resolved, console, stack)
        if given.kind == SIMULATED:
            from simulated_slots import simulated_slots

            template = real_template(dataset, given.start_seconds)
            epoch_s = given.trial_seconds / max(1.0, given.epochs / 2)
            more["files"] = {name: len(content) for name, content in template.files.items()}
            stack.enter_context(simulated_slots(template, epoch_s, given.hosts))
        meter = stack.enter_context(metered())
        ledger = run_trials(run_dir, space, resolved, dataset, capacity, console, verbose=False)
        more["ended"] = time.monotonic()
        assert all(record.state != "failed" for record in ledger.records.values())
    return meter, more


def busy(meter: "Meter", slots: int, first: float, last: float) -> float:
    """Return the share of the slots' time between two moments in which epochs were trained."""
    return sum(seconds for when, seconds in meter.epochs if first < when <= last) / (slots * (last - first))


def disk_use(folder: Path) -> dict[str, dict[str, int]]:
    """Return the files and bytes in a run's folder, by the kind of file."""
    used: dict[str, dict[str, int]] = {}
    for path in folder.rglob("*"):
        top = path.relative_to(folder).parts[0]
        if path.is_file():
            entry = used.setdefault(top if top == "tune" else path.name, {"files": 0, "bytes": 0})
            entry["files"] += 1
            entry["bytes"] += path.stat().st_size
    return used


def summary(meter: "Meter", more: dict[str, Any], given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return a result as plain values."""
    count, trained = len(meter.ends), [seconds for _, seconds in meter.epochs]
    tenths = list(pairwise(round(i * (count - 1) / TENTHS) for i in range(TENTHS + 1)))
    whole = more["ended"] - meter.began
    last_end, last_draw = meter.ends[-1][0], meter.draws[-1]
    first_full = meter.epochs[0][0] if given.kind == REAL else meter.draws[min(given.slots, count) - 1]
    first_full += 0.0 if given.kind == REAL else given.start_seconds
    return {
        "kind": given.kind, "slots": given.slots, "trials": count, "epochs": len(trained) / count,
        "epoch_s": statistics.median(trained), "trial_s": sum(trained) / count, "seconds": whole,
        "busy": busy(meter, given.slots, first_full, last_draw), "window_s": last_draw - first_full,
        "busy_whole": sum(trained) / (given.slots * whole), "end_s": more["ended"] - last_end,
        "first_draw_s": meter.draws[0] - meter.began,
        "driver_ms": meter.trial_ms(0, count - 1),
        "driver_ms_by_tenth": [meter.trial_ms(a, b) for a, b in tenths],
        "clock_ms_by_tenth": [1000 * (meter.ends[b][0] - meter.ends[a][0]) / (b - a) for a, b in tenths],
        "driver_share": (meter.ends[-1][1] - meter.ends[0][1]) / (last_end - meter.ends[0][0]),
        "parts_ms": meter.by_part(), "files": more.get("files"), "disk": disk_use(folder / "run"),
        "cores": os.cpu_count(), "load": os.getloadavg()[1], "hours": given.hours, "terminal": given.terminal,
    }  # fmt: skip


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Run a search and return the result."""
    folder = Path(tempfile.mkdtemp(prefix="medray-bench-")) if given.keep is None else given.keep
    folder.mkdir(parents=True, exist_ok=True)
    try:
        meter, more = run(given, folder)
        return summary(meter, more, given, folder)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure, or show what was measured."""
    given = arguments()
    if given.kind == TABLE:
        from scaling_tables import read_results, write_tables

        print(write_tables(read_results(given.results), given.page))
        return
    prepare_environment()
    # On a busy machine a node takes longer to start than Ray waits for it, and a fake one shows no token.
    os.environ["RAY_raylet_start_wait_time_s"] = "300"  # noqa: SIM112
    if given.kind == SIMULATED:
        os.environ["RAY_AUTH_MODE"] = "disabled"
    result = measure(given)
    with given.results.open("a") as file:
        file.write(json.dumps(result) + "\n")
    json.dump({name: value for name, value in result.items() if name != "disk"}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
