"""What an administrator may ask of a running service: another ensemble, or the one before."""

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from medray.errors import MedrayError, unknown_choice_line
from medray.serving.engine.problems import Problem
from medray.serving.http.request_body import read_body
from medray.serving.http.responses import reply, service_of, token_name

KEYS = ("folder", "back")


async def exchange(request: Request) -> Response:
    """Serve the ensemble of `{"folder": ...}`, or with `{"back": true}` the one before."""
    token_name(request, admin=True)
    service = service_of(request)
    if service.rollout is None:
        raise Problem("conflict", "this service can't exchange its ensemble")
    with service.memory.claim() as claim:
        folder, back = _asked(await read_body(request, service.settings, claim))
    try:
        done = await (service.rollout.back() if back else service.rollout.to(folder, service.model))
    except MedrayError as error:
        raise Problem("refused-ensemble", str(error)) from None
    return reply(done)


def _asked(body: bytes) -> tuple[str, bool]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Problem("bad-request", 'the body must be JSON: {"folder": "runs/organs"} or {"back": true}')
    for key in content:
        if key not in KEYS:
            raise Problem("bad-request", unknown_choice_line("key", key[:40], KEYS))
    folder, back = content.get("folder"), content.get("back", False)
    if isinstance(folder, str) and folder and back is False:
        return folder, False
    if folder is None and back is True:
        return "", True
    raise Problem("bad-request", 'give either {"folder": "runs/organs"} or {"back": true}')


ROUTES = [Route("/admin/ensemble", exchange, methods=["POST"])]
