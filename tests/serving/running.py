"""`medray serve` in a process of its own, as a person starts it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from medray.serving.deploy.ray_environment import free_ports

ROOT = Path(__file__).resolve().parents[2]
READER, BOSS = "0123456789abcdef", "fedcba9876543210"


@dataclass
class Running:
    """`medray serve`, started."""

    process: subprocess.Popen[str]
    port: int
    home: Path
    output: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, token: str = READER) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, headers={"authorization": f"Bearer {token}"})

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def replicas(self) -> list[psutil.Process]:
        return [process for process in self.family() if "ServeReplica" in " ".join(process.cmdline()[:1])]


def wait_for(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    for _ in range(int(seconds / 0.1)):
        with contextlib.suppress(httpx.HTTPError, psutil.Error):
            if value := condition():
                return value
        time.sleep(0.1)
    raise AssertionError("it did not come")


@contextlib.contextmanager
def started(run: Path, home: Path, *more: str) -> Iterator[Running]:
    """Start the command, wait for its first word that it serves, and end it."""
    (port,) = free_ports(1)
    arguments = [str(run), "--port", str(port), "--home", str(home), *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "medray.serve", *arguments], cwd=ROOT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    running = Running(process, port, home)
    reading = threading.Thread(target=lambda: running.output.extend(process.stdout or []), daemon=True)
    reading.start()
    try:
        wait_for(lambda: process.poll() is not None or any("Ctrl-C" in line for line in running.output), 300)
        assert process.poll() is None, "".join(running.output)
        yield running
    finally:
        family = running.family() if process.poll() is None else []
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
        children: list[Any] = [*family, process]
        for child in children:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                child.kill()
        process.wait()
        reading.join(10)
        if process.stdout is not None and not reading.is_alive():
            process.stdout.close()
