"""Ray's errors: in one line, and which are nobody's fault."""

from typing import Any

DEAD = "The actor is dead because"  # how Ray begins the line that says why a worker died


def failure_line(error: BaseException | str | None) -> str:
    """Return why Ray says that a worker died, or what else went wrong, in one line of its many."""
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    causes = [line.removeprefix(DEAD).strip() for line in lines if line.startswith(DEAD)]
    if not causes:  # an exception begins with its message, a kept stack trace ends with it
        causes = lines[-1:] if isinstance(error, str) else lines[:1]
    return causes[0][:300] if causes else "no reason given"


def is_preemption(error: Any) -> bool:
    """Return whether a worker died, or gave up its place, because its node was taken away after a notice."""
    from ray.exceptions import RayActorError, RayTaskError

    if isinstance(error, RayTaskError):
        error = error.as_instanceof_cause()
    return isinstance(error, RayActorError) and bool(error.preempted)
