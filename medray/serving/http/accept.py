"""Which form of an answer a request asks for (RFC 9110, 12.5.1), and several DICOM files as one response.

The forms in DICOM are those of DICOMweb (PS3.18, 8.7.3): `application/dicom` for one instance, and
`multipart/related; type="application/dicom"` for any number of them.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

DICOM, RELATED, JSON = "application/dicom", "multipart/related", "application/json"
SYNTAX = "1.2.840.10008.1.2.1"  # explicit, little-endian: that of all our answers
_QUALITY = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")


@dataclass(frozen=True)
class DicomForms:
    """The forms in DICOM that a request takes: one instance by itself, or any number in parts."""

    alone: bool
    parts: bool


def dicom_forms(accept: str) -> DicomForms | None:
    """Return the forms in DICOM of a request's Accept, None where JSON is as welcome.

    What is named comes before what a wildcard takes, and of equal quality what is named first.
    """
    ranges = [_media_range(text) for text in accept.split(",")]
    named = [(quality, kind) for kind, quality in ranges if quality > 0 and kind in (DICOM, RELATED, JSON)]
    others = max((quality for kind, quality in ranges if kind in ("*/*", "application/*")), default=0.0)
    best = max(named, key=lambda pair: pair[0], default=(0.0, JSON))
    if best[1] == JSON or best[0] < others:
        return None
    kinds = {kind for _, kind in named}
    return DicomForms(DICOM in kinds, RELATED in kinds)


def _media_range(text: str) -> tuple[str, float]:
    """Return a media range and its quality, 0 for one of DICOM that is not what we write."""
    kind, *rest = (part.strip() for part in text.split(";"))
    parameters = {
        name.strip().lower(): value.strip().strip('"').lower()
        for name, _, value in (p.partition("=") for p in rest)
    }
    quality = parameters.get("q", "1")
    if kind.lower() == RELATED and parameters.get("type", DICOM) != DICOM:
        return kind.lower(), 0.0
    if parameters.get("transfer-syntax", "*") not in ("*", SYNTAX):
        return kind.lower(), 0.0
    return kind.lower(), float(quality) if _QUALITY.fullmatch(quality) else 0.0


def dicom_response(files: Sequence[bytes], forms: DicomForms) -> Response:
    """Return DICOM files as a response: one by itself where that is taken, else in parts."""
    if len(files) == 1 and forms.alone:
        return Response(files[0], 200, media_type=DICOM)
    boundary = secrets.token_hex(16)
    # Without the transfer syntax, so that the response may go on to STOW-RS: Orthanc leaves out such parts.
    head = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()
    body = b"".join(head + file + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()
    return Response(body, 200, {"Content-Type": f'{RELATED}; type="{DICOM}"; boundary={boundary}'})
