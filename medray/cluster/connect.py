"""Starting Ray in this command, or joining a cluster; what there is room for; and why Ray says a worker died."""

import contextlib
import logging
import os
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from medray._types import Progress
from medray.errors import ConfigError, MedrayError
from medray.space.search_space import Resources

QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Under `uv run` Ray would send the working folder to each node, data and all, and build an environment in it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # How many wait is decided by StudySearch; as it comes, Tune would start one worker after the other.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    # The run's folder is the state; Tune's own is written once, at the end.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_THRESHOLD_S": "3600",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
GPU_WAIT_S, LOOK_EVERY_S, KNOCK_S = 1800.0, 1.0, 5.0
AUTH = "RAY_AUTH_MODE"
DEAD = "The actor is dead because"  # how Ray begins the line that tells why


@dataclass(frozen=True)
class Room:
    """What the cluster has, and how many trials fit side by side.

    `own` tells a Ray that this command has started: it stays this one machine, and ends with the command.
    """

    cpus: float
    gpus: float
    resources: Resources
    slots: int
    nodes: int
    own: bool

    def words(self, what: str = "trials") -> str:
        """Say it to a person; `what` runs side by side."""
        gpus = f", {self.gpus:g} GPUs" if self.gpus else ", no GPU"
        return f"{self.cpus:g} CPU cores{gpus}: {self.slots} {what} side by side"


@contextlib.contextmanager
def connected(address: str | None, *, verbose: bool) -> Iterator[bool]:
    """Start Ray on this machine, or join the cluster at `address` or in $RAY_ADDRESS; leave it afterwards.

    Gives whether it was started here. A process that has started Ray itself, such as a notebook, keeps its own.

    Raises:
        MedrayError: there is no cluster at that address, or Ray can't start.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield False
        return
    with contextlib.ExitStack() as until_the_end:
        try:
            if where != "local":
                where = until_the_end.enter_context(_speaking_as(where))
            _start_or_join(where, verbose=verbose)
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            if where == "local":
                raise MedrayError(f"Ray can't start on this machine: {said}") from error
            raise MedrayError(f"--address {where}: no Ray cluster can be joined there: {said}") from error
        until_the_end.callback(sys.modules["ray"].shutdown)
        yield where == "local"


def _start_or_join(where: str, *, verbose: bool) -> None:
    import ray

    if not verbose:
        for name in ("ray", "ray.tune", "ray.train", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=r"ray\..*")
    more: dict[str, bool] = {"include_dashboard": False} if where == "local" else {}
    ray.init(address=where, log_to_driver=verbose, logging_level=_level(verbose), **more)


@contextlib.contextmanager
def _speaking_as(address: str) -> Iterator[str]:
    """Show Ray's token where the cluster asks for it, and nowhere else; fail at once where nothing listens.

    A joining process shows it only if told so. One that shows it to a cluster without tokens would refuse that
    cluster's own calls, and each of its workers would end as soon as it is asked for. Gives the head's host:port.

    Raises:
        OSError: nothing listens there, where Ray would go on trying for ten minutes, or it can't be joined.
    """
    if address.startswith("ray://"):
        raise OSError("Ray's client mode can't carry a search; give the head's own address, as host:6379, or auto")
    if address == "auto":
        from ray._private.services import get_ray_address_from_environment

        address = str(get_ray_address_from_environment("auto", None))
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        yield address  # Ray says what is wrong with it
        return
    socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    asks, before = _asks_for_token(address), os.environ.get(AUTH)
    if before == "token" and asks is False:
        raise OSError(f"the cluster there uses no tokens, but ${AUTH} is token: unset it")
    if before is None and asks is not None:
        _set_auth("token" if asks else "disabled")
    try:
        yield address
    finally:
        if before is None:
            os.environ.pop(AUTH, None)


def _set_auth(mode: str) -> None:
    os.environ[AUTH] = mode
    if "ray" in sys.modules:  # which has read its environment
        from ray._raylet import Config  # type: ignore[attr-defined]

        Config.initialize("")


def _asks_for_token(address: str) -> bool | None:
    """Whether the cluster's head refuses one without a token; None where it does not say."""
    import grpc

    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId", bytes, bytes)
            ask(b"", timeout=KNOCK_S)
        except grpc.RpcError as error:
            return True if error.code() == grpc.StatusCode.UNAUTHENTICATED else None
    return False


def _level(verbose: bool) -> int:
    return logging.INFO if verbose else logging.CRITICAL


def wait_for_gpus(count: int, told: Progress) -> None:
    """Wait until the cluster has `count` GPUs; one that grows is asked for them.

    A cluster that starts without workers has no GPU to be counted, and nothing would ever ask for one.

    Raises:
        MedrayError: they don't come.
    """
    from ray.util.placement_group import placement_group, remove_placement_group

    end = time.monotonic() + GPU_WAIT_S
    # They are the demand that the autoscaler looks for, and unlike its own requests end with this process.
    asked = [placement_group([{"GPU": 1}]) for _ in range(count)]
    try:
        while (found := sum(node.get("GPU", 0.0) for node in _nodes())) < count:
            told("GPUs", int(found), count)
            if time.monotonic() > end:
                raise MedrayError(
                    f"--min-gpus {count}: this cluster has {found:g} after {GPU_WAIT_S / 60:.0f} minutes; "
                    "`ray status` tells what it waits for"
                )
            time.sleep(LOOK_EVERY_S)
    finally:
        for group in asked:
            remove_placement_group(group)


def _nodes() -> list[dict[str, float]]:
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def count_slots(resources: Resources) -> int:
    """How many trials fit side by side by now; nodes may have come and gone."""
    return sum(_fit(node, resources) for node in _nodes())


def find_room(wanted: Resources, space_path: str, *, own: bool) -> Room:
    """Count the trials that fit, taking no GPU where the cluster has none; `own`: this command started the Ray.

    Raises:
        ConfigError: a trial wants more than the largest node has.
    """
    nodes = _nodes()
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    resources = wanted if gpus else Resources(wanted.cpu, 0.0)
    for kind, need in (("cpu", resources.cpu), ("gpu", resources.gpu)):
        most = max(node.get(kind.upper(), 0.0) for node in nodes)
        if need > most:
            raise ConfigError(
                f"{space_path}: resources.{kind}: a trial wants {need:g}, the largest node of this cluster has "
                f"{most:g}{'' if most else '; a cluster whose workers are yet to come needs --min-gpus'}"
            )
    cpus = sum(node.get("CPU", 0.0) for node in nodes)
    return Room(cpus, gpus, resources, count_slots(resources), len(nodes), own)


def _fit(node: dict[str, float], resources: Resources) -> int:
    by_cpu = int(node.get("CPU", 0.0) / resources.cpu)
    return min(by_cpu, int(node.get("GPU", 0.0) / resources.gpu + 1e-9)) if resources.gpu else by_cpu


def why_dead(error: BaseException | str | None) -> str:
    """What Ray says of a worker that died, or of what else went wrong, in one line: among many, one tells it."""
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    told = [line.removeprefix(DEAD).strip() for line in lines if line.startswith(DEAD)]
    if not told:  # an exception begins with what it is, a kept stack trace ends with it
        told = lines[-1:] if isinstance(error, str) else lines[:1]
    return told[0][:300] if told else "no reason given"
