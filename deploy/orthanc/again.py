"""Ask medray about the images of studies that Orthanc holds already, and store the answers there.

    python again.py http://127.0.0.1:8042 http://127.0.0.1:8000 ORTHANC_STUDY_ID...

What is answered a second time is the same instance, which Orthanc leaves as it is. MEDRAY_TOKEN is sent where it
is set, and MEDRAY_ANSWER is sr, overlay or both. It needs Python alone, and an Orthanc that asks for no password.
"""

import json
import os
import sys
from email.parser import BytesParser
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def ask(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[str, bytes]:
    """Return the Content-Type and body of an answer to a GET, or with a body to a POST."""
    with urlopen(Request(url, body, headers or {}), timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read()


def answers(medray: str, image: bytes, patient: str) -> list[bytes]:
    """Return the DICOM files that medray answers a DICOM image of a patient by."""
    headers = {"Content-Type": "application/dicom", "Accept": 'multipart/related; type="application/dicom"'}
    if token := os.environ.get("MEDRAY_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    if patient and patient.isascii() and patient.isprintable() and len(patient) <= 128:
        headers["X-Patient"] = patient  # of which the service's log keeps a keyed hash alone
    kind, body = ask(f"{medray}/predict?answer={os.environ.get('MEDRAY_ANSWER', 'sr')}", image, headers)
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    return [part.get_payload(decode=True) for part in message.get_payload()]


def main(orthanc: str, medray: str, *studies: str) -> None:
    """Ask about every image of the studies; one that medray refuses is named, and the others go on."""
    for study in studies:
        for instance in json.loads(ask(f"{orthanc}/studies/{study}/instances")[1]):
            url = f"{orthanc}/instances/{instance['ID']}"
            try:
                tags = json.loads(ask(f"{url}/simplified-tags")[1])
                if tags.get("Manufacturer") == "medray":
                    continue
                for file in answers(medray, ask(f"{url}/file")[1], tags.get("PatientID", "").strip()):
                    print(url, json.loads(ask(f"{orthanc}/instances", file)[1])["Status"])
            except HTTPError as error:
                print(url, error.code, detail(error.read()), file=sys.stderr)
            except OSError as error:  # nobody answers, or not in time
                print(url, error, file=sys.stderr)


def detail(body: bytes) -> str:
    """Return what an error's body says, as far as it is medray's."""
    try:
        return str(json.loads(body).get("detail"))
    except (ValueError, AttributeError):
        return body[:200].decode(errors="replace")


if __name__ == "__main__":
    main(*sys.argv[1:])
