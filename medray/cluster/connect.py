"""Starting Ray in this command, or joining a cluster."""

import contextlib
import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator

from medray.errors import MedrayError

#: Environment of Ray in our commands; some of it is read when Ray is imported.
RAY_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Under `uv run` Ray would send the working folder to each node, data and all, and build an environment in it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # StudySearch decides how many trials wait; by default Tune would start one worker after the other.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    # The run's folder is the state; Tune's own is written once, at the end.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_THRESHOLD_S": "3600",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
PROBE_TIMEOUT_S = 5.0
AUTH_MODE = "RAY_AUTH_MODE"


@contextlib.contextmanager
def connected(address: str | None, *, verbose: bool) -> Iterator[bool]:
    """Start Ray on this machine, or join the cluster at `address` or in $RAY_ADDRESS; disconnect afterwards.

    Yields whether Ray was started here. Where the process has started Ray itself, as a notebook may, that Ray is
    used and kept.

    Raises:
        MedrayError: there is no cluster at that address, or Ray can't start.
    """
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    target = address or os.environ.get("RAY_ADDRESS") or "local"
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield False
        return
    with contextlib.ExitStack() as stack:
        try:
            if target != "local":
                target = stack.enter_context(matching_auth_mode(target))
            _init_ray(target, verbose=verbose)
        except Exception as error:
            message = " ".join(str(error).split())[:200]
            if target == "local":
                raise MedrayError(f"Ray can't start on this machine: {message}") from error
            raise MedrayError(f"--address {target}: no Ray cluster can be joined there: {message}") from error
        stack.callback(sys.modules["ray"].shutdown)
        yield target == "local"


def _init_ray(address: str, *, verbose: bool) -> None:
    import ray

    if not verbose:
        for name in ("ray", "ray.tune", "ray.train", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=r"ray\..*")
    level = logging.INFO if verbose else logging.CRITICAL
    options: dict[str, bool] = {"include_dashboard": False} if address == "local" else {}
    ray.init(address=address, log_to_driver=verbose, logging_level=level, **options)


@contextlib.contextmanager
def matching_auth_mode(address: str) -> Iterator[str]:
    """Set Ray's auth mode to the cluster's while this process joins it; yield the head's host:port.

    A joining process sends Ray's token only if told to. One that sends it to a cluster without tokens would refuse
    that cluster's own calls, and each of its workers would end as soon as it is asked for.

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
        yield address  # Ray's own error says what is wrong with it
        return
    socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_TIMEOUT_S).close()
    required, mode = requires_token(address), os.environ.get(AUTH_MODE)
    if mode == "token" and required is False:
        raise OSError(f"the cluster there uses no tokens, but ${AUTH_MODE} is token: unset it")
    if mode is None and required is not None:
        os.environ[AUTH_MODE] = "token" if required else "disabled"
        if "ray" in sys.modules:  # which has read its environment
            from ray._raylet import Config  # type: ignore[attr-defined]

            Config.initialize("")
    try:
        yield address
    finally:
        if mode is None:
            os.environ.pop(AUTH_MODE, None)


def requires_token(address: str) -> bool | None:
    """Return whether the cluster's head refuses a call without a token; None where it does not answer."""
    import grpc

    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            call = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId", bytes, bytes)
            call(b"", timeout=PROBE_TIMEOUT_S)
        except grpc.RpcError as error:
            return True if error.code() == grpc.StatusCode.UNAUTHENTICATED else None
    return False
