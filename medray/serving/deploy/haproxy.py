"""The program that Ray Serve starts as HAProxy: it restricts Serve's configuration, then becomes HAProxy.

Serve writes HAProxy's configuration at each change and starts a program on it. That file opens the statistics and
metrics pages to every interface, answers in plain text where we promise problem documents, and lets everybody
write to the admin socket. Standard library only: it runs at every reload.
"""

import json
import os
import re
import signal
import sys
from pathlib import Path

HOST, BINARY = "MEDRAY_HAPROXY_HOST", "MEDRAY_HAPROXY_BINARY"
OVERLOADED = "503 Service Unavailable"
ERRORS = {
    "502": ("502 Bad Gateway", "unreachable", "A replica ended in the middle of the answer"),
    "503": (OVERLOADED, "not-ready", "No replica is there to answer"),
    "504": ("504 Gateway Timeout", "timeout", "The answer took too long"),
    "400": ("400 Bad Request", "bad-request", "The request can't be understood"),
    "404": ("404 Not Found", "not-found", "There is nothing here"),
    "408": ("408 Request Timeout", "slow-body", "The request came too slowly"),
}


class UnknownConfigError(Exception):
    """The configuration is not one that we know how to restrict."""


def problem_response(status_line: str, kind: str, title: str) -> str:
    """Return an HTTP response with a problem document (RFC 9457)."""
    status = int(status_line.split()[0])
    body = json.dumps({"type": f"urn:medray:problem:{kind}", "title": title, "status": status, "detail": title})
    retry = "Retry-After: 5\r\n" if status == 503 else ""
    return (
        f"HTTP/1.1 {status_line}\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n"
        f"{retry}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


def restrict(config: str, host: str, errors: Path) -> str:
    """Return HAProxy's configuration with nothing open to others but the service's port on `host`.

    Raises:
        UnknownConfigError: something would stay open.
    """
    config = re.sub(r"bind \*?:(\d+)", r"bind 127.0.0.1:\1", config)  # statistics and metrics
    config = re.sub(r"(frontend http_frontend\n\s*bind) \S+:(\d+)", rf"\1 {host}:\2", config)
    config = config.replace("mode 666 level admin", "mode 600 level admin")
    config = re.sub(r"^ *errorfile .*\n", "", config, flags=re.MULTILINE)
    lines = "".join(f"    errorfile {status} {errors / f'{status}.http'}\n" for status in ERRORS)
    config = config.replace("defaults\n    mode http\n", f"defaults\n    mode http\n{lines}", 1)
    # Serve's own headers are for its own hops: nobody outside sets a replica's time limit.
    internal = "x-request-timeout-seconds", "x-request-disconnect-disabled", "serve_multiplexed_model_id"
    deleted = "".join(f"    http-request del-header {name}\n" for name in internal)
    # Watching for clients that have gone away costs two tasks for each request, and saves nothing in a batch.
    deleted += "    http-request set-header x-request-disconnect-disabled ?1\n"
    hidden = "    http-request return status 404 default-errorfiles if { path_beg /-/ } !{ path -i /-/healthz }\n"
    config = re.sub(r"(frontend http_frontend\n\s*bind .*\n)", rf"\1{deleted}{hidden}", config, count=1)
    config = re.sub(
        r"(backend default_backend\n)\s*http-request return .*\n",
        r"\1    http-request return status 503 default-errorfiles\n",
        config,
    )
    binds = re.findall(r"^\s*bind (\S+):\d+", config, flags=re.MULTILINE)
    service_binds = re.findall(r"frontend http_frontend\n\s*bind (\S+):\d+", config)
    if service_binds != [host] or any(address not in ("127.0.0.1", host) for address in binds):
        raise UnknownConfigError("this Ray writes another HAProxy configuration than those medray can restrict")
    if binds.count(host) != len(service_binds) and host != "127.0.0.1":
        raise UnknownConfigError("HAProxy's statistics would be open to others")
    return config


def stop_listening(folder: Path) -> None:
    """Have every HAProxy whose configuration lies under `folder` take no new connection and finish its others."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            if any(word.startswith(bytes(folder)) and word.endswith(b".cfg") for word in arguments):
                os.kill(int(process.name), signal.SIGUSR1)
        except OSError:
            continue


def main() -> None:
    """Rewrite the configuration that is named by -f, and become HAProxy."""
    arguments = sys.argv[1:]
    if "-f" in arguments:
        path = Path(arguments[arguments.index("-f") + 1])
        try:
            path.write_text(restrict(path.read_text(), os.environ[HOST], path.parent))
        except UnknownConfigError as error:
            sys.exit(str(error))
        for status, parts in ERRORS.items():
            (path.parent / f"{status}.http").write_text(problem_response(*parts))
    binary = os.environ[BINARY]
    os.execv(binary, [binary, *arguments])


if __name__ == "__main__":
    main()
