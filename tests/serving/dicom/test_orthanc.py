"""The hook of deploy/orthanc in a real Orthanc (Debian's package): an image comes, its answer is in its study."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from medray.serving.deploy.ray_environment import free_ports
from medray.serving.engine.audit_log import read_audit
from tests.serving.conftest import Site
from tests.serving.dicom.dicom_samples import STUDY, film
from tests.serving.dicom.test_dicom_answers import PARTS
from tests.serving.running import ROOT, wait_for

ORTHANC = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
pytestmark = [
    pytest.mark.component,
    pytest.mark.slow,
    pytest.mark.skipif(ORTHANC is None, reason="Orthanc is missing: apt-get install orthanc"),
]


@dataclass
class Archive:
    """An Orthanc that runs."""

    client: httpx.Client
    log: list[str]

    def store(self, content: bytes) -> None:
        assert self.client.post("/instances", content=content).json()["Status"] == "Success"

    def series(self) -> dict[str, list[str]]:
        """The studies of all series of a modality."""
        found: dict[str, list[str]] = {}
        for one in self.client.get("/series", params={"expand": ""}).json():
            study = self.client.get(f"/studies/{one['ParentStudy']}").json()
            found.setdefault(one["MainDicomTags"]["Modality"], []).append(
                study["MainDicomTags"]["StudyInstanceUID"]
            )
        return found

    def instances(self) -> int:
        return len(self.client.get("/instances").json())


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    """Start an Orthanc with the hook; its environment has the service's URL."""
    processes: list[subprocess.Popen[str]] = []
    archives: list[Archive] = []
    readers: list[threading.Thread] = []

    def start(url: str, **environment: str) -> Archive:
        http, dicom = free_ports(2)
        settings: dict[str, Any] = {
            "StorageDirectory": str(tmp_path / "store"), "IndexDirectory": str(tmp_path / "store"),
            "HttpPort": http, "DicomPort": dicom, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
            "LuaScripts": [str(ROOT / "deploy/orthanc/medray.lua")],
            "Plugins": [str(DICOMWEB)] if DICOMWEB.exists() else [],
        }  # fmt: skip
        (tmp_path / "orthanc.json").write_text(json.dumps(settings))
        process = subprocess.Popen(
            [str(ORTHANC), str(tmp_path / "orthanc.json")], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | {"MEDRAY_URL": url} | environment,
        )  # fmt: skip
        processes.append(process)
        log: list[str] = []
        readers.append(threading.Thread(target=lambda: log.extend(process.stdout or []), daemon=True))
        readers[-1].start()
        made = Archive(httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=60), log)
        archives.append(made)
        wait_for(lambda: made.client.get("/system").status_code == 200)
        return made

    yield start
    for made in archives:
        made.client.close()
    for process, reader in zip(processes, readers, strict=True):
        process.terminate()
        process.wait(30)
        reader.join(10)
        if process.stdout is not None:
            process.stdout.close()


def test_an_image_that_is_stored_gets_its_report_once(
    site: Callable[..., Site], archive: Callable[..., Archive], tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("orthanc 0123456789abcdef\n")
    tokens.chmod(0o600)
    service = site(token_file=str(tokens), audit_folder=str(tmp_path / "audit"))
    orthanc = archive(service.url, MEDRAY_TOKEN="0123456789abcdef", MEDRAY_ANSWER="both")
    orthanc.store(film())
    wait_for(lambda: orthanc.instances() == 3)
    assert orthanc.series() == {"DX": [STUDY], "SR": [STUDY], "OT": [STUDY]}
    orthanc.store(film(1))  # what the hook stored has been seen before this one: it runs them one after another
    wait_for(lambda: orthanc.instances() == 6)
    assert len(orthanc.series()["SR"]) == 1
    assert {record["token"] for record in read_audit(tmp_path / "audit")} == {"orthanc"}
    assert len(list(read_audit(tmp_path / "audit"))) == 2  # no answer was asked about

    (study,) = orthanc.client.get("/studies").json()
    again = [
        sys.executable,
        str(ROOT / "deploy/orthanc/again.py"),
        str(orthanc.client.base_url),
        service.url,
        study,
    ]
    environment = os.environ | {"MEDRAY_TOKEN": "0123456789abcdef"}
    done = subprocess.run(again, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["AlreadyStored"] * 2
    assert orthanc.instances() == 6


def test_an_image_without_an_answer_is_named_and_asked_again(
    site: Callable[..., Site], archive: Callable[..., Archive]
) -> None:
    (nobody,) = free_ports(1)
    orthanc = archive(f"http://127.0.0.1:{nobody}")
    orthanc.store(film())
    wait_for(lambda: any("medray did not answer instance" in line for line in orthanc.log))
    assert orthanc.instances() == 1
    (study,) = orthanc.client.get("/studies").json()
    again = [
        sys.executable,
        str(ROOT / "deploy/orthanc/again.py"),
        str(orthanc.client.base_url),
        site().url,
        study,
    ]
    assert "Success" in subprocess.run(again, capture_output=True, text=True, check=True).stdout
    assert orthanc.series()["SR"] == [STUDY]


@pytest.mark.skipif(
    not DICOMWEB.exists(), reason="Orthanc's DICOMweb is missing: apt-get install orthanc-dicomweb"
)
def test_an_answer_in_parts_is_what_stow_takes(open_site: Site, archive: Callable[..., Archive]) -> None:
    orthanc = archive(open_site.url)
    answer = open_site.predict(film(), headers=PARTS, params={"answer": "both"})
    headers = {"content-type": answer.headers["content-type"], "accept": "application/dicom+json"}
    stored = orthanc.client.post("/dicom-web/studies", content=answer.content, headers=headers)
    assert stored.status_code == 200, stored.text
    assert orthanc.series() == {"SR": [STUDY], "OT": [STUDY]}
