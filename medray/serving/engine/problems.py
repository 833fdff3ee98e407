"""What the service says when it can't answer: problem documents (RFC 9457), one kind for each cause.

No document holds a stack trace, a path of this machine, or anything of an image.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its HTTP status and what it is called."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "bad-request": Kind(400, "The request can't be understood"),
    "unauthorized": Kind(401, "A token is needed"),
    "forbidden": Kind(403, "This token may not do that"),
    "not-found": Kind(404, "There is nothing here"),
    "method-not-allowed": Kind(405, "This can't be asked that way"),
    "slow-body": Kind(408, "The body came too slowly"),
    "conflict": Kind(409, "Not now"),
    "body-too-large": Kind(413, "The body is too large"),
    "too-many-files": Kind(413, "Too many images at once"),
    "too-many-pixels": Kind(413, "The image has too many pixels"),
    "unsupported-format": Kind(415, "Not a format that can be read"),
    "unreadable-image": Kind(422, "The image can't be read"),
    "several-frames": Kind(422, "The file holds several images"),
    "not-explainable": Kind(422, "These networks can't be explained"),
    "refused-ensemble": Kind(422, "The ensemble can't be served"),
    "internal": Kind(500, "Something went wrong here"),
    "overloaded": Kind(503, "Too many requests wait"),
    "audit-failed": Kind(503, "The audit log can't be written"),
    "not-ready": Kind(503, "Not ready yet"),
    "timeout": Kind(504, "The answer took too long"),
}
RETRY_AFTER = {"overloaded": "1", "audit-failed": "30", "not-ready": "5"}


@dataclass
class Problem(Exception):  # noqa: N818  it is an answer, not an error
    """A request that gets no prediction; `detail` is for the person who asked."""

    kind: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind].status

    def response(self, request_id: str, path: str = "") -> Response:
        """Say it as a problem document; clients of the Open Inference Protocol look for `error`."""
        content: dict[str, Any] = {
            "type": f"urn:medray:problem:{self.kind}",
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if path.startswith("/v2"):
            content["error"] = self.detail
        headers = dict(self.headers)
        if self.kind in RETRY_AFTER:
            headers.setdefault("Retry-After", RETRY_AFTER[self.kind])
        if self.kind == "unauthorized":
            headers.setdefault("WWW-Authenticate", 'Bearer realm="medray"')
        return Response(json.dumps(content), self.status, headers, MEDIA_TYPE)
