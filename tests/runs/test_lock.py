"""Two commands never write to one run, also where it lies in an object store."""

import io
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from medray.errors import RunError
from medray.runs.lock import CLAIM, held, is_held
from medray.runs.rundir import RunDir
from medray.search.open_run import open_run
from medray.search.search_options import SearchOptions
from tests.cluster.object_store import ObjectStore, object_store

pytestmark = pytest.mark.slow

HOLD = "import sys, time; from rich.console import Console; from medray.runs.lock import held; from medray.runs.rundir import RunDir"
HOLD += "\nwith held(RunDir(sys.argv[1]), Console()): print('held', flush=True); time.sleep(600)"


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as store:
        yield store


@pytest.fixture
def run(store: ObjectStore, request: pytest.FixtureRequest) -> RunDir:
    name = re.sub(r"\W+", "-", request.node.name)
    return RunDir(f"{store.uri}/{name}")


def test_a_second_command_is_refused_and_says_who_holds_it(run: RunDir) -> None:
    output = io.StringIO()
    with held(run, Console(file=output, width=200)):
        first = run.read_json(CLAIM)
        with pytest.raises(RunError) as refusal, held(run, Console(file=output, width=200)):
            pass
        assert f"process {first['process']} on {socket.gethostname()}" in str(refusal.value)
        assert run.location in output.getvalue(), "the wait is told"
        assert run.read_json(CLAIM)["claim"] == first["claim"]
        assert is_held(run)
    assert not run.exists(CLAIM)
    assert not is_held(run)


def test_a_killed_command_is_followed_once_its_claim_stays_as_it_is(run: RunDir) -> None:
    command = subprocess.Popen([sys.executable, "-c", HOLD, run.location], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    with command.stdout:
        assert command.stdout.readline() == "held\n"
        command.kill()
        command.wait()
    dead = run.read_json(CLAIM)
    assert not is_held(run)  # its claim stays as it is
    with held(run, Console(quiet=True)):
        assert run.read_json(CLAIM)["claim"] != dead["claim"]
    assert not run.exists(CLAIM)


def test_a_search_may_begin_where_one_was_killed_before_it_wrote_anything(run: RunDir) -> None:
    run.write_json(CLAIM, {"claim": "of a dead command"})
    options = SearchOptions("organs", data="phantom", out=run.location)
    assert open_run(options)[0].location == run.location


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN], ids=["in-front", "behind-nohup"])
def test_a_command_that_was_overtaken_ends_and_leaves_the_other_its_claim(
    run: RunDir, ctrl_c: signal.Handlers, request: pytest.FixtureRequest
) -> None:
    before = signal.signal(signal.SIGINT, ctrl_c)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    refused = pytest.raises(RunError, match=r"another command is working in .*: process 7 on elsewhere")
    with refused, held(run, Console(quiet=True)):
        run.write_json(CLAIM, {"claim": "another", "process": 7, "host": "elsewhere"})
        time.sleep(60)
    assert run.read_json(CLAIM)["claim"] == "another"


def test_a_thread_that_was_overtaken_is_refused_its_next_write_and_the_process_lives_on(run: RunDir) -> None:
    refusals: list[str] = []

    def hold() -> None:
        try:
            with held(run, Console(quiet=True)):
                run.write_json(CLAIM, {"claim": "another", "process": 7, "host": "elsewhere"})
                for _ in range(200):
                    run.child("trials").write_json("step.json", {})
                    time.sleep(0.1)
        except RunError as error:
            refusals.append(str(error))

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join(60)
    assert len(refusals) == 1
    assert re.search(r"another command is working in .*: process 7 on elsewhere", refusals[0])
    assert run.read_json(CLAIM)["claim"] == "another"
    run.write_json("later.json", {})  # what holds nothing is not refused


def test_a_bucket_that_can_not_be_written_is_one_line(store: ObjectStore) -> None:
    with (
        pytest.raises(RunError, match="s3://no-such-bucket/run can't be written"),
        held(RunDir("s3://no-such-bucket/run"), Console(quiet=True)),
    ):
        pass
