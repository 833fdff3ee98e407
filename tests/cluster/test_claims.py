"""Two commands never write to one run, also where it lies in an object store."""

import io
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from medray.claims import CLAIM, held
from medray.errors import RunError
from medray.runs import RunDir
from tests.cluster.object_store import ObjectStore, object_store

pytestmark = pytest.mark.slow

HOLD = "import sys, time; from rich.console import Console; from medray.claims import held; from medray.runs import RunDir"
HOLD += "\nwith held(RunDir(sys.argv[1]), Console()): print('held', flush=True); time.sleep(600)"


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture
def run(store: ObjectStore, request: pytest.FixtureRequest) -> RunDir:
    return RunDir(f"{store.uri}/{request.node.name}")


def test_a_second_command_is_refused_and_says_who_holds_it(run: RunDir) -> None:
    said = io.StringIO()
    with held(run, Console(file=said, width=200)):
        first = run.read_json(CLAIM)
        with pytest.raises(RunError) as refusal, held(run, Console(file=said, width=200)):
            pass
        assert f"process {first['process']} on {socket.gethostname()}" in str(refusal.value)
        assert run.location in said.getvalue(), "the wait is told"
        assert run.read_json(CLAIM)["claim"] == first["claim"]
    assert not run.exists(CLAIM)


def test_a_killed_command_of_this_machine_is_followed_at_once(run: RunDir) -> None:
    command = subprocess.Popen([sys.executable, "-c", HOLD, run.location], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    with command.stdout:
        assert command.stdout.readline() == "held\n"
        command.kill()
        command.wait()
    said = io.StringIO()
    with held(run, Console(file=said)):
        assert not said.getvalue()


@pytest.mark.parametrize(
    "claim", [{"claim": "x", "host": "elsewhere", "process": 1, "beat": 7}, {"claim": "x"}, [], "{"]
)
def test_a_claim_that_stays_as_it_is_does_not_hold_for_ever(store: ObjectStore, claim: Any) -> None:
    run = RunDir(f"{store.uri}/dead")
    run.write(CLAIM, json.dumps(claim).encode() if claim != "{" else b"{")
    with held(run, Console(quiet=True)):
        assert run.read_json(CLAIM)["host"] == socket.gethostname()
