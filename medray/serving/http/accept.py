"""Which form of an answer a request asks for (RFC 9110, 12.5.1), and several DICOM files as one response.

The forms in DICOM are those of DICOMweb (PS3.18, 8.7.3): `application/dicom` for one instance, and
`multipart/related; type="application/dicom"` for any number of them.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from medray.serving.engine.problems import Kind, Problem

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

    Raises:
        Problem: only DICOM is taken, and that in another transfer syntax than ours.
    """
    ranges = [_media_range(text) for text in accept.split(",") if text.strip()]
    named = [(one.quality, one.kind) for one in ranges if one.can_be_met and one.kind in (DICOM, RELATED, JSON)]
    only_dicom = all(one.kind in (DICOM, RELATED) for one in ranges)
    if only_dicom and not named and any(one.in_other_syntax for one in ranges):
        raise Problem(Kind.NOT_ACCEPTABLE, f"answers in DICOM have the transfer syntax {SYNTAX} and no other")
    others = max((one.quality for one in ranges if one.kind in ("*/*", "application/*")), default=0.0)
    best = max(named, key=lambda pair: pair[0], default=(0.0, JSON))
    if best[1] == JSON or best[0] < others:
        return None
    kinds = {kind for _, kind in named}
    return DicomForms(DICOM in kinds, RELATED in kinds)


@dataclass(frozen=True)
class _MediaRange:
    kind: str
    quality: float  # 0 for what is not taken, and for parts of another type than DICOM
    other_syntax: bool  # DICOM in a transfer syntax that we don't write

    @property
    def can_be_met(self) -> bool:
        return self.quality > 0 and not self.other_syntax

    @property
    def in_other_syntax(self) -> bool:
        return self.quality > 0 and self.other_syntax


def _media_range(text: str) -> _MediaRange:
    kind, *rest = (part.strip().lower() for part in text.split(";"))
    parameters = {name.strip(): value.strip().strip('"') for name, _, value in (p.partition("=") for p in rest)}
    quality = parameters.get("q", "1")
    if not _QUALITY.fullmatch(quality) or (kind == RELATED and parameters.get("type", DICOM) != DICOM):
        quality = "0"
    other_syntax = parameters.get("transfer-syntax", "*") not in ("*", SYNTAX)
    return _MediaRange(kind, float(quality), other_syntax)


def dicom_response(files: Sequence[bytes], forms: DicomForms) -> Response:
    """Return DICOM files as a response: one by itself where that is taken, else in parts."""
    if len(files) == 1 and forms.alone:
        return Response(files[0], 200, media_type=DICOM)
    boundary = secrets.token_hex(16)
    # Without the transfer syntax, so that the response may go on to STOW-RS: Orthanc leaves out such parts.
    head = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()
    body = b"".join(head + file + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()
    return Response(body, 200, {"Content-Type": f'{RELATED}; type="{DICOM}"; boundary={boundary}'})
