"""Every way of serving the ensemble: how it is installed, started, asked, and ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import psutil
from load import FORMS, Answer, ask_once

from medray._types import Array
from medray.files import cache_folder

BENCHMARKS = Path(__file__).resolve().parent.parent
AGREE = 1e-4  # in probabilities, with those of the ensemble
START_S = 180.0
Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Way:
    """A way of serving: its name in tables, the command after a Python, and how it takes an image (load.FORMS).

    `{ensemble}`, `{port}` and `{home}` are filled in. The `packages` that it needs are installed in an environment
    of its own, named as its form, since they shall not be medray's; `imports` show whether they are there.
    """

    title: str
    command: tuple[str, ...]
    form: str = "image"
    packages: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()

    @cached_property
    def python(self) -> Path:
        """The Python that runs it."""
        return cache_folder("rivals") / self.form / "bin" / "python" if self.packages else Path(sys.executable)

    def missing(self) -> str | None:
        """Return the line that says how to install what is missing, None where nothing is."""
        if not self.packages:
            return None
        test = [str(self.python), "-c", f"import {', '.join(self.imports)}"]
        with contextlib.suppress(OSError):
            if not subprocess.run(test, capture_output=True, check=False).returncode:
                return None
        folder = self.python.parent.parent
        packages = " ".join(self.packages)
        return f"{self.title} is not installed: uv venv {folder} && uv pip install -p {folder} {packages}"


ONNX = ("onnxruntime", "pillow", "numpy")
ONNX_IMPORTS = ("onnxruntime", "PIL", "numpy")
LOCAL = ("--host", "127.0.0.1")
RIVAL = ("{ensemble}", "{port}")
WAYS: Mapping[str, Way] = {
    "medray": Way("**medray**", ("-m", "medray.serve", "{ensemble}", "--port", "{port}", "--home", "{home}")),
    "uvicorn-onnx": Way(
        "uvicorn + FastAPI + a batcher, ONNX Runtime", ("-m", "rivals.uvicorn_batcher", *RIVAL, "onnx")
    ),
    "uvicorn": Way("uvicorn + FastAPI + a batcher, PyTorch", ("-m", "rivals.uvicorn_batcher", *RIVAL)),
    "triton": Way(
        "Triton (PyTriton), ONNX Runtime", ("-m", "rivals.triton_onnx", *RIVAL), "triton",
        ("nvidia-pytriton", *ONNX), ("pytriton", *ONNX_IMPORTS),
    ),
    "bentoml": Way(
        "BentoML, ONNX Runtime",
        ("-m", "bentoml", "serve", "rivals.bentoml_api:EnsembleService", "--port", "{port}", *LOCAL),
        "bentoml", ("bentoml", "uvloop", *ONNX), ("bentoml", "uvloop", *ONNX_IMPORTS),
    ),
    "litserve": Way(
        "LitServe, ONNX Runtime", ("-m", "rivals.litserve_api", *RIVAL), "litserve",
        ("litserve", *ONNX), ("litserve", *ONNX_IMPORTS),
    ),
    "serve": Way("Ray Serve, a deployment for each network, PyTorch", ("-m", "rivals.plain_serve", *RIVAL)),
}  # fmt: skip


@contextlib.contextmanager
def started(way: Way, ensemble: Path, port: int, image: Path, expected: Array) -> Iterator[Process]:
    """Start a way, wait for its first answer, and end it with all its children.

    Raises:
        RuntimeError: it ends, or answers otherwise than `expected`, the probabilities of `image` (classes,).
    """
    values = {"ensemble": str(ensemble), "port": str(port), "home": str(ensemble.parent / "home")}
    command = [str(way.python), *(part.format(**values) for part in way.command)]
    paths = [str(BENCHMARKS), str(BENCHMARKS.parent)] if not way.packages else [str(BENCHMARKS)]
    own = {"PYTHONPATH": os.pathsep.join(paths), "ENSEMBLE": str(ensemble), "BENTOML_DO_NOT_TRACK": "True"}
    output = None if os.environ.get("SHOW") else subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=ensemble.parent, env=os.environ | own, start_new_session=True, stdout=output, stderr=output
    )
    try:
        _check(_first_answer(way, port, image, process), expected)
        yield process
    finally:
        _end(process, patience=60 if way.form == "image" else 10)


def _first_answer(way: Way, port: int, image: Path, process: Process) -> Answer:
    end = time.monotonic() + START_S
    content, form = image.read_bytes(), FORMS[way.form]
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}; SHOW=1 shows why")
        with contextlib.suppress(OSError, EOFError):
            answer = ask_once(port, form.request(content))
            if answer.status == 200:
                return answer
        time.sleep(0.2)
    raise RuntimeError(f"no answer within {START_S:g} s")


def _check(answer: Answer, expected: Array) -> None:
    difference = float(np.abs(np.array(answer.probabilities()) - expected).max())
    if not difference <= AGREE:
        raise RuntimeError(f"its probabilities differ from the ensemble's by {difference:.1e}")


def _end(process: Process, patience: float) -> None:
    family: list[Process | psutil.Process] = [process]
    with contextlib.suppress(psutil.Error):
        family += psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    for one in family:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            one.kill()
    process.wait()
