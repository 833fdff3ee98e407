"""Where medray keeps what it can make again."""

import os
from pathlib import Path

VARIABLE = "MEDRAY_CACHE"


def cache_folder(kind: str) -> Path:
    """The folder for one kind of files: in $MEDRAY_CACHE, or medray's part of the user's own cache."""
    own = os.environ.get(VARIABLE)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medray"
    return (Path(own) if own else home) / kind
