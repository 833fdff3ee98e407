"""Ray's errors in one line."""

DEAD = "The actor is dead because"  # how Ray begins the line that says why a worker died


def failure_line(error: BaseException | str | None) -> str:
    """Return why Ray says that a worker died, or what else went wrong, in one line of its many."""
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    causes = [line.removeprefix(DEAD).strip() for line in lines if line.startswith(DEAD)]
    if not causes:  # an exception begins with its message, a kept stack trace ends with it
        causes = lines[-1:] if isinstance(error, str) else lines[:1]
    return causes[0][:300] if causes else "no reason given"
