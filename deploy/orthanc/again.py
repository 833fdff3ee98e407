"""Ask medray about the images of studies that Orthanc holds already, and store the answers there.

    python again.py http://127.0.0.1:8042 http://127.0.0.1:8000 ORTHANC_STUDY_ID...

What is answered a second time is the same instance, which Orthanc leaves as it is. MEDRAY_TOKEN is sent where it
is set, and MEDRAY_ANSWER is sr, overlay or both. It asks about the kinds of images in the table of the medray.lua
beside it. It needs Python alone, and an Orthanc that asks for no password.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from email.parser import BytesParser
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SCRIPT = Path(__file__).with_name("medray.lua")
Result = TypeVar("Result")


def ask(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[str, bytes]:
    """Return the Content-Type and body of an answer to a GET, or with a body to a POST."""
    with urlopen(Request(url, body, headers or {}), timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read()


def answers(medray: str, image: bytes, patient: str) -> list[bytes]:
    """Return the DICOM files that medray answers a DICOM image of a patient by."""
    headers = {"Content-Type": "application/dicom", "Accept": 'multipart/related; type="application/dicom"'}
    if token := os.environ.get("MEDRAY_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    if patient and patient.isprintable() and len(patient) <= 128:
        # UTF-8, though urllib writes Latin-1; the service's log keeps a keyed hash of it alone.
        headers["X-Patient"] = patient.encode().decode("latin-1")
    kind, body = ask(f"{medray}/predict?answer={os.environ.get('MEDRAY_ANSWER', 'sr')}", image, headers)
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise ValueError(f"the answer is {kind} and not files in parts")
    parts = (part.get_payload(decode=True) for part in message.walk() if not part.is_multipart())
    return [part for part in parts if isinstance(part, bytes)]


def image_classes(script: str) -> set[str]:
    """Return the SOP classes in the table of the Lua script."""
    return set(re.findall(r"^\s*\['([0-9.]+)'\]", script, re.MULTILINE))


def instances(orthanc: str, study: str) -> list[str]:
    """Return the URLs of a study's instances."""
    found = json.loads(ask(f"{orthanc}/studies/{study}/instances")[1])
    return [f"{orthanc}/instances/{instance['ID']}" for instance in found]


def ask_again(orthanc: str, medray: str, url: str, classes: set[str]) -> None:
    """Ask about an instance, if it is an image of these classes and not of medray, and store the answers."""
    tags = json.loads(ask(f"{url}/simplified-tags")[1])
    if tags.get("Manufacturer") == "medray" or tags.get("SOPClassUID") not in classes:
        return
    for file in answers(medray, ask(f"{url}/file")[1], tags.get("PatientID", "").strip()):
        print(url, json.loads(ask(f"{orthanc}/instances", file)[1])["Status"])


def tried(url: str, task: Callable[[], Result]) -> Result | None:
    """Return what a task returns, None where it fails, which costs a line."""
    try:
        return task()
    except HTTPError as error:
        print(url, error.code, detail(error), file=sys.stderr)
    except (OSError, HTTPException, ValueError) as error:  # nobody answers, not in time, or not as expected
        print(url, type(error).__name__, error, file=sys.stderr)
    return None


def detail(error: HTTPError) -> str:
    """Return what an error's body says where it is JSON that does, else what its status means."""
    try:
        return str(json.loads(error.read())["detail"])
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return error.reason


def main(orthanc: str, medray: str, *studies: str) -> None:
    """Ask about the images of the studies; what fails is named, and the others go on."""
    classes = image_classes(SCRIPT.read_text())
    for study in studies:
        found = tried(f"{orthanc}/studies/{study}", partial(instances, orthanc, study))
        for url in found or []:
            tried(url, partial(ask_again, orthanc, medray, url, classes))


if __name__ == "__main__":
    main(*sys.argv[1:])
