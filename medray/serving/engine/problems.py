"""Problem documents (RFC 9457): what the service answers when it can't do what was asked.

No document holds a stack trace, a path of this machine, or anything of an image.
"""

import json
from dataclasses import asdict, dataclass
from enum import Enum

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Kind(Enum):
    """A kind of problem: HTTP status, title, seconds until a retry may help, and whether the connection ends."""

    BAD_REQUEST = (400, "The request can't be understood")
    UNAUTHORIZED = (401, "A token is needed")
    FORBIDDEN = (403, "This token may not do that")
    NOT_FOUND = (404, "There is nothing here")
    METHOD_NOT_ALLOWED = (405, "This can't be asked that way")
    NOT_ACCEPTABLE = (406, "The answer can't have that form")
    SLOW_BODY = (408, "The body came too slowly", None, True)
    CONFLICT = (409, "Not now")
    BODY_TOO_LARGE = (413, "The body is too large", None, True)
    TOO_MANY_FILES = (413, "Too many images at once")
    TOO_MANY_PIXELS = (413, "The image has too many pixels")
    UNSUPPORTED_FORMAT = (415, "Not a format that can be read")
    UNREADABLE_IMAGE = (422, "The image can't be read")
    SEVERAL_FRAMES = (422, "The file holds several images")
    NOT_EXPLAINABLE = (422, "These networks can't be explained")
    REFUSED_ENSEMBLE = (422, "The ensemble can't be served")
    INTERNAL = (500, "Something went wrong here")
    OVERLOADED = (503, "Too many requests wait", 1)
    AUDIT_FAILED = (503, "The audit log can't be written", 30)
    NOT_READY = (503, "Not ready yet", 5)
    TIMEOUT = (504, "The answer took too long")

    def __init__(
        self, status: int, title: str, retry_after: int | None = None, closes_connection: bool = False
    ) -> None:
        self.status, self.title = status, title
        self.retry_after, self.closes_connection = retry_after, closes_connection

    @property
    def slug(self) -> str:
        """The kind in URNs and metrics, such as bad-request."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True)
class ProblemDocument:
    """The JSON of a problem; `error` is what clients of the Open Inference Protocol look for."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    error: str | None = None


@dataclass
class Problem(Exception):  # noqa: N818  it is an answer, not an error
    """A request that gets no prediction.

    `detail` is for the person who sent it, `allow` names the methods of the path for METHOD_NOT_ALLOWED.
    """

    kind: Kind
    detail: str
    allow: str | None = None

    def response(self, request_id: str, path: str = "") -> Response:
        """Return the problem document as a response to a request for `path`."""
        kind = self.kind
        document = ProblemDocument(
            f"urn:medray:problem:{kind.slug}", kind.title, kind.status, self.detail, request_id,
            self.detail if path.startswith("/v2") else None,
        )  # fmt: skip
        headers = {
            "Allow": self.allow,
            "Connection": "close" if kind.closes_connection else None,
            "Retry-After": None if kind.retry_after is None else str(kind.retry_after),
            "WWW-Authenticate": 'Bearer realm="medray"' if kind is Kind.UNAUTHORIZED else None,
        }
        return Response(
            json.dumps({key: value for key, value in asdict(document).items() if value is not None}), kind.status,
            {name: value for name, value in headers.items() if value is not None}, MEDIA_TYPE,
        )  # fmt: skip
