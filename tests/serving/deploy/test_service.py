"""The service as a person starts it: `python -m medray.serve`, Ray Serve, HAProxy, two replicas."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import schemathesis
from prometheus_client.parser import text_string_to_metric_families
from schemathesis import GenerationMode

from medray.ensemble.ensemble import Ensemble
from medray.ensemble.manifest import version_of
from medray.runs.folder import Folder
from medray.serving.engine.audit_log import read_audit
from tests.serving.conftest import pictures, png, write_run
from tests.serving.http.test_hostile import REQUESTS, attack
from tests.serving.http.test_openapi import check
from tests.serving.running import BOSS, READER, ROOT, Running, started, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def run(served_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(served_run, tmp_path_factory.mktemp("run") / "corners"))


@pytest.fixture(scope="module")
def running(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    tokens = folder / "tokens"
    tokens.write_text(f"reader {READER}\nboss {BOSS} admin\n")
    tokens.chmod(0o600)
    limits = ("--replicas", "2", "--cpus", "0.5", "--max-body", "1", "--max-pixels", "1000000")
    with started(run, folder / "home", "--token-file", str(tokens), *limits) as service:
        yield service


@dataclass
class Load:
    """Clients that go on asking, and what became of each request."""

    url: str
    content: bytes
    clients: int = 6
    versions: list[str] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)  # when the request of each version was sent
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def since(self, moment: float) -> list[str]:
        """The versions that answered requests which were sent after `moment`."""
        with self._lock:
            return [version for sent, version in zip(self.begun, self.versions, strict=True) if sent > moment]

    def _ask(self) -> None:
        headers = {"authorization": f"Bearer {READER}", "content-type": "image/png"}
        with httpx.Client(base_url=self.url, timeout=60, headers=headers) as client:
            while not self._stop.is_set():
                sent = time.monotonic()
                try:
                    response = client.post("/predict", content=self.content)
                except httpx.ConnectError:
                    return  # nothing listens any more: nothing was taken
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                if response.status_code == 200:
                    with self._lock:
                        self.begun.append(sent)
                        self.versions.append(response.json()["model"]["version"])
                else:
                    self.failures.append(response.text)


def test_two_thousand_images_from_32_clients_each_get_their_own_answer(running: Running, run: Path) -> None:
    images = pictures(2000, seed=9)
    expected = Ensemble.load(run / "ensemble").predict(images).probabilities
    probabilities = np.zeros_like(expected)

    def ask(first: int) -> None:
        with running.client() as client:
            for number in range(first, len(images), 32):
                answer = client.post("/predict", content=png(images[number])).json()["predictions"][0]
                probabilities[number] = list(answer["probabilities"].values())

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.abs(probabilities - expected).max() < 1e-5


def test_metrics_and_the_audit_log_count_every_replica(running: Running) -> None:
    with running.client() as client:
        for image in pictures(20, seed=2):
            with running.client() as fresh:  # a new connection: HAProxy takes the replica with the fewest
                assert fresh.post("/predict", content=png(image)).status_code == 200
        answered = len(list(read_audit(running.home / "audit")))
        assert answered >= 20
        wait_for(lambda: counted(client) == answered, 10)
    writers = {path.name.split("-")[1] for path in (running.home / "audit").iterdir()}
    assert len(writers) == 2


def counted(client: httpx.Client) -> float:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(s.value for family in families if family.name == "medray_predictions" for s in family.samples)


def test_nothing_but_the_service_is_open_to_others(running: Running) -> None:
    """What speaks HTTP is this machine's alone; or Ray's own, and asks for its token or tells Ray's metrics only."""
    for process in running.family():
        title = " ".join(process.cmdline()[:3])
        for connection in process.net_connections("tcp"):
            address = connection.laddr
            if connection.status != "LISTEN" or address.ip in ("127.0.0.1", "::1"):
                continue
            assert "haproxy" not in title
            host = "127.0.0.1" if address.ip in ("::", "0.0.0.0") else address.ip
            with contextlib.suppress(httpx.HTTPError, UnicodeError):  # gRPC: Ray's, which asks for its token
                for path in ("/", "/api/version", "/metrics"):
                    response = httpx.get(f"http://{host}:{address.port}{path}", timeout=2)
                    metrics = response.text.startswith("# HELP") and "medray_" not in response.text
                    assert response.status_code in (401, 403, 404) or metrics, (
                        title,
                        address,
                        path,
                        response.text,
                    )


def test_curl_gets_an_answer(running: Running, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    (tmp_path / "a.png").write_bytes(png(pictures(1)[0]))
    done = subprocess.run(
        [curl, "-sS", "-F", f"file=@{tmp_path / 'a.png'}", "-H", f"Authorization: Bearer {READER}", f"{running.url}/predict"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["predictions"][0]["file"] == "a.png"


def test_tritonclient_gets_an_answer(running: Running, run: Path) -> None:
    tritonclient = pytest.importorskip("tritonclient.http")
    images, headers = pictures(3, seed=8), {"Authorization": f"Bearer {READER}"}
    tensor = tritonclient.InferInput("images", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images, binary_data=True)
    with tritonclient.InferenceServerClient(f"127.0.0.1:{running.port}") as client:
        assert client.is_server_ready(headers=headers)
        probabilities = client.infer("corners", [tensor], headers=headers).as_numpy("probabilities")
    assert np.allclose(probabilities, Ensemble.load(run / "ensemble").predict(images).probabilities, atol=1e-5)


@pytest.mark.parametrize("path", ["/predict", "/v2/models/{name}/infer"])
def test_answers_of_the_whole_service_keep_to_the_description(running: Running, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    for operation in schema.include(path=path).get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            check(operation.ok(), mode, running.url, {"Authorization": f"Bearer {READER}"})


def test_the_page_is_there(running: Running) -> None:
    page = httpx.get(running.url)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "Classify images" in page.text


def test_mangled_requests_through_the_whole_service(running: Running) -> None:
    replicas = {process.pid for process in running.replicas()}
    before = sum(process.memory_info().rss for process in running.replicas())
    seen = attack(running.port, REQUESTS, READER)
    grown = (sum(process.memory_info().rss for process in running.replicas()) - before) / 2**20
    assert not [status for status in seen if status >= 500], seen
    assert seen[200] > 100, seen
    assert {process.pid for process in running.replicas()} == replicas
    assert grown < 60, f"{grown:.0f} MiB"


def test_serves_own_routes_are_hidden(running: Running) -> None:
    assert httpx.get(f"{running.url}/-/routes").json()["type"] == "urn:medray:problem:not-found"


def test_another_ensemble_goes_in_and_out_again_without_a_failed_request(
    running: Running, run: Path, npz: Path, tmp_path: Path
) -> None:
    first = version_of(Folder(str(run / "ensemble")))
    other = write_run(tmp_path / "corners2", npz, seed=4)
    second = version_of(Folder(str(other / "ensemble")))
    broken = Path(shutil.copytree(other, tmp_path / "broken"))
    next((broken / "ensemble" / "members").iterdir()).write_bytes(b"x")
    strange = write_run(tmp_path / "strange", npz, classes=["x", "y", "z"])
    with Load(running.url, png(pictures(1)[0])) as load, running.client(BOSS) as boss:
        wait_for(lambda: len(load.versions) > 20)
        for folder, message in (
            (broken, "SHA-256 differs"),
            (strange, "other classes"),
            (tmp_path, "neither a run"),
        ):
            refused = boss.post("/admin/ensemble", json={"folder": str(folder)})
            assert refused.status_code == 422, refused.text
            assert message in refused.json()["detail"]
        assert set(load.versions) == {first}
        done = boss.post("/admin/ensemble", json={"folder": str(other)})
        assert done.json() == {"version": second, "previous": first, "replicas": 2}, done.text
        exchanged = time.monotonic()
        wait_for(lambda: len(load.since(exchanged)) > 20)
        assert set(load.since(exchanged)) == {second}
        shutil.rmtree(other)  # what is served does not need it any more
        assert boss.post("/admin/ensemble", json={"back": True}).json()["version"] == first
        exchanged = time.monotonic()
        wait_for(lambda: len(load.since(exchanged)) > 20)
        assert set(load.since(exchanged)) == {first}
    assert load.failures == []


def test_only_an_administrator_exchanges_it(running: Running) -> None:
    with running.client(READER) as client:
        assert client.post("/admin/ensemble", json={"back": True}).status_code == 403
    assert httpx.post(f"{running.url}/admin/ensemble", json={"back": True}).status_code == 401


@pytest.mark.nightly
def test_replace_does_the_same_from_the_command_line(running: Running, npz: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", npz, seed=7)
    with Load(running.url, png(pictures(1)[0]), clients=2) as load:
        done = subprocess.run(
            [sys.executable, "-m", "medray.serve", "replace", str(other), "--home", str(running.home)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load.failures == []
    with running.client() as client:
        assert client.get("/metadata").json()["version"] == version_of(Folder(str(other / "ensemble")))
        assert client.get("/metadata").json()["version"] in done.stderr + done.stdout


def test_a_killed_replica_is_replaced_and_the_other_goes_on(running: Running) -> None:
    (victim, _) = running.replicas()
    with Load(running.url, png(pictures(1)[0]), clients=3) as load:
        wait_for(lambda: len(load.versions) > 10)
        victim.kill()
        mark = len(load.versions)
        wait_for(lambda: len(load.versions) > mark + 50)
        wait_for(
            lambda: (
                len(running.replicas()) == 2 and victim.pid not in [process.pid for process in running.replicas()]
            )
        )
    # What the victim held was lost with it; each client can have had one request there.
    assert len(load.failures) <= 3, load.failures
    with running.client() as client:
        wait_for(lambda: client.get("/v2/health/ready").status_code == 200)


def test_sigterm_drops_no_request_and_leaves_nothing_behind(running: Running) -> None:
    """The last test of this file: it ends the service."""
    family = running.family()
    with Load(running.url, png(pictures(1)[0])) as load:
        wait_for(lambda: len(load.versions) > 20)
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)
    assert load.failures == []
    assert running.process.returncode == 0, "".join(running.output)
    assert running.output[-1] == "Ended\n", "".join(running.output)
    assert not [line for line in running.output if "Traceback" in line or "logging.cc" in line]
    _, alive = psutil.wait_procs(family, 20)
    assert not [
        process for process in alive if "haproxy" in process.name() or "ray::" in " ".join(process.cmdline()[:1])
    ]
    assert not (running.home / "service.json").exists()


@pytest.mark.nightly
def test_replicas_come_with_the_load(run: Path, tmp_path: Path) -> None:
    limits = ("--replicas", "1:2", "--cpus", "0.5", "--max-batch", "4", "--no-audit")
    with started(run, tmp_path / "home", *limits) as service:
        assert len(service.replicas()) == 1
        with Load(service.url, png(pictures(1)[0]), clients=16) as load:
            wait_for(lambda: len(service.replicas()) == 2, 150)
        assert not load.failures
