"""deploy/orthanc/again.py without an Orthanc: whom it asks about, and what goes on after a failure."""

import importlib.util
import io
import json
from email.message import Message
from types import ModuleType
from urllib.error import HTTPError, URLError

import pytest

from tests.serving.running import ROOT

DIGITAL, CAPTURE = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.7"
TAGS = {
    "good": {"SOPClassUID": DIGITAL, "PatientID": " Müller 7 "},
    "made": {"SOPClassUID": DIGITAL, "Manufacturer": "medray"},
    "capture": {"SOPClassUID": CAPTURE},
    "refused": {"SOPClassUID": DIGITAL, "PatientID": "x" * 129},
    "proxied": {"SOPClassUID": DIGITAL, "PatientID": " "},
    "last": {"SOPClassUID": DIGITAL},
}


@pytest.fixture
def again() -> ModuleType:
    spec = importlib.util.spec_from_file_location("again", ROOT / "deploy/orthanc/again.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def failure(url: str, code: int, body: bytes) -> HTTPError:
    return HTTPError(url, code, "Bad Gateway", Message(), io.BytesIO(body))


class Stub:
    """Answers as an Orthanc `o` and a medray `m` would, and keeps the patients that medray is told."""

    def __init__(self) -> None:
        self.patients: list[str | None] = []

    def ask(self, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[str, bytes]:
        if url.startswith("m/"):
            self.patients.append((headers or {}).get("X-Patient"))
            if body == b"refused":
                raise failure(url, 406, b'{"detail": "no UID"}')
            if body == b"proxied":
                raise failure(url, 502, b"<html>\n</html>")
            part = b"--b\r\nContent-Type: application/dicom\r\n\r\nreport\r\n--b--\r\n"
            return "multipart/related; boundary=b", part
        if url == "o/studies/away/instances":
            raise URLError("nobody there")
        if url == "o/studies/s/instances":
            return "", json.dumps([{"ID": name} for name in TAGS]).encode()
        if url == "o/instances":
            return "", b'{"Status": "Success"}'
        _, _, name, what = url.split("/")
        return "", name.encode() if what == "file" else json.dumps(TAGS[name]).encode()


def test_images_are_asked_about_and_a_failure_costs_a_line(
    again: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = Stub()
    monkeypatch.setattr(again, "ask", stub.ask)
    again.main("o", "m", "away", "s")
    said = capsys.readouterr()
    assert said.out.splitlines() == ["o/instances/good Success", "o/instances/last Success"]
    assert said.err.splitlines() == [
        "o/studies/away URLError <urlopen error nobody there>",
        "o/instances/refused 406 no UID",
        "o/instances/proxied 502 Bad Gateway",
    ]
    assert stub.patients == ["Müller 7".encode().decode("latin-1"), None, None, None]


def test_the_kinds_are_those_of_the_lua_script(again: ModuleType) -> None:
    classes = again.image_classes(again.SCRIPT.read_text())
    assert len(classes) == 6
    assert DIGITAL in classes
    assert again.image_classes("  -- ['1.2'] = 'not any more',\n  ['1.3'] = 'Kept',") == {"1.3"}
