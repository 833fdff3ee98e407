"""What Ray needs of this machine to start on it: GPUs, a folder for sockets and logs, a token, shared memory."""

import contextlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medray.errors import MedrayError, printable
from medray.files import expanded

#: What Ray appends to its folder for the longest of its sockets.
_SOCKET = "/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"
#: Bytes of the longest path that a socket may have (sun_path of unix(7), without its last zero).
SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
FOLDER_BYTES = SOCKET_BYTES - len(_SOCKET)
LEAST_FREE = 100 * 2**20  # bytes, for logs and what shared memory does not hold
SHARED_MEMORY = Path("/dev/shm")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class RayFolder:
    """The folder of Ray's sockets, logs and spilled objects; `note` says why it is not the usual one, if so."""

    path: str
    note: str | None = None


def usual_folder() -> Path:
    """Return the folder that Ray would take: `ray` in $RAY_TMPDIR, $TMPDIR or /tmp."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp").absolute() / "ray"


def choose_ray_folder(others: Sequence[Path] | None = None, least_free: int = LEAST_FREE) -> RayFolder:
    """Return Ray's usual folder if it will do, else the first of `others` that does, with a note.

    Raises:
        MedrayError: none does; the line says what is wrong with the usual one, and the way out.
    """
    usual, user = usual_folder(), os.getuid()
    if others is None:
        others = [Path("/tmp/ray"), *(Path(f"{base}/ray-{user}") for base in ("/tmp", "/var/tmp", "/dev/shm"))]
    problem = folder_problem(usual, least_free)
    if problem is None:
        return RayFolder(str(usual))
    for other in others:
        if folder_problem(other, least_free) is None:
            return RayFolder(str(other), f"Ray's files go to {other}: {problem}")
    raise MedrayError(
        f"Ray can't start on this machine: {problem}; set RAY_TMPDIR to a folder of at most "
        f"{FOLDER_BYTES - len('/ray')} bytes on a local disk with room"
    )


def folder_problem(folder: Path, least_free: int = LEAST_FREE) -> str | None:
    """Return why Ray can't have its sockets and logs in `folder`, which need not exist; None where it can."""
    shown = printable(str(folder))
    if len(os.fsencode(folder)) > FOLDER_BYTES:
        return f"{shown} is longer than the {FOLDER_BYTES} bytes that leave room for the names of Ray's sockets"
    present = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        free = shutil.disk_usage(present).free
        with (
            tempfile.TemporaryDirectory(prefix="mr", dir=present) as trial,
            socket.socket(socket.AF_UNIX) as probe,
        ):
            probe.bind(f"{trial}/s")  # a folder on a network may not hold sockets
    except OSError as error:
        return f"{shown} can't be written ({error.strerror or error})"
    return None if free >= least_free else f"{shown} has only {free // 2**20} MiB free"


def shared_memory_note(store_bytes: float, folder: Path = SHARED_MEMORY) -> str | None:
    """Return the note that Ray's object store of `store_bytes` exceeds shared memory and is on disk; or None."""
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free
        if free < store_bytes:
            return (
                f"{folder} has only {free // 2**20} MiB free: Ray shares images by files on disk, which is slower "
                "(in Docker, --shm-size=4g gives more)"
            )
    return None


def count_gpus() -> int:
    """Return how many GPUs Ray would find on this machine; those that CUDA_VISIBLE_DEVICES hides do not count."""
    from ray._private.accelerators import get_accelerator_manager_for_resource

    manager = get_accelerator_manager_for_resource("GPU")
    if manager is None:
        return 0
    count, visible = (
        int(manager.get_current_node_num_accelerators()),
        (manager.get_current_process_visible_accelerator_ids()),
    )
    return count if visible is None else min(count, len(visible))


def bypass_proxies() -> None:
    """Let no proxy of the environment be asked for this machine's own addresses."""
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in PROXIES):
        return
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    if "*" not in hosts:
        hosts += [host for host in LOOPBACK if host not in hosts]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts)


def provide_token() -> None:
    """Give Ray a token in the environment where it can't keep one in ~/.ray/auth_token, as it does by itself.

    It stays for the life of the process: Ray reads it once.
    """
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "disabled":
        return
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    folder = expanded("~/.ray")
    try:
        if not folder.is_absolute():  # there is no home folder
            raise FileNotFoundError(folder)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "auth_token"
        if not (file.is_file() and file.read_bytes().strip()):
            tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
