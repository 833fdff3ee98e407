"""Starting Ray in this command, or joining a cluster."""

import contextlib
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from medray.cluster.this_machine import (
    bypass_proxies,
    choose_ray_folder,
    count_gpus,
    provide_token,
    shared_memory_note,
)
from medray.errors import ConfigError, MedrayError

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
LOCAL = "local"  # the address by which Ray is told to start here


def prepare_environment() -> None:
    """Set Ray's environment as our commands need it, some of which is read when Ray is imported."""
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    bypass_proxies()


def target_address(address: str | None) -> str:
    """Return the address of the cluster to join, `address` or $RAY_ADDRESS, or `local`: start Ray here."""
    return address or os.environ.get("RAY_ADDRESS") or LOCAL


def check_gpus(count: int, address: str | None) -> None:
    """Check that `count` GPUs may come: a Ray that starts on this machine never has more than the machine.

    Raises:
        ConfigError: they can't.
    """
    prepare_environment()
    if _is_initialized():
        from ray._private.worker import _global_node

        if _global_node is None or not _global_node.is_head():  # it has joined a cluster, which may grow
            return
        present = sum(int(node["Resources"].get("GPU", 0)) for node in sys.modules["ray"].nodes() if node["Alive"])
    elif target_address(address) != LOCAL:
        return
    else:
        present = count_gpus()
    if present < count:
        raise ConfigError(
            f"--min-gpus {count}: this machine has {present or 'no'} GPU{'s' if present > 1 else ''}, and no "
            "other will come; --address joins a cluster that has more, or grows"
        )


@contextlib.contextmanager
def connected(
    address: str | None, *, verbose: bool, report: Callable[[str], None] = lambda _: None
) -> Iterator[bool]:
    """Start Ray on this machine, or join the cluster at `address` or in $RAY_ADDRESS; disconnect afterwards.

    Yields whether Ray was started here. Where the process has started Ray itself, as a notebook may, that Ray is
    used and kept. `report` gets a line on each thing that is not as usual, such as another folder for Ray's files.

    Raises:
        MedrayError: there is no cluster at that address, or Ray can't start.
    """
    prepare_environment()
    if _is_initialized():
        yield False
        return
    target = target_address(address)
    with contextlib.ExitStack() as stack:
        try:
            if target == LOCAL:
                folder = choose_ray_folder()
                if folder.note:
                    report(folder.note)
                provide_token()
                _init_ray(target, verbose=verbose, include_dashboard=False, _temp_dir=folder.path)
            else:
                target = stack.enter_context(matching_auth_mode(target))
                _init_ray(target, verbose=verbose)
        except MedrayError:
            raise
        except Exception as error:
            message = " ".join(str(error).split())[:200]
            if target == LOCAL:
                raise MedrayError(f"Ray can't start on this machine: {message}; --verbose says more") from error
            raise MedrayError(f"--address {target}: no Ray cluster can be joined there: {message}") from error
        stack.callback(sys.modules["ray"].shutdown)
        if target == LOCAL:
            store = sys.modules["ray"].cluster_resources().get("object_store_memory", 0.0)
            if note := shared_memory_note(store):
                report(note)
        yield target == LOCAL


def _is_initialized() -> bool:
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


def _init_ray(address: str, *, verbose: bool, **options: Any) -> None:
    import ray

    if not verbose:
        for name in ("ray", "ray.tune", "ray.train", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=r"ray\..*")
    level = logging.INFO if verbose else logging.CRITICAL
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
