"""Starting the service, staying up with it, and ending it without dropping a request."""

import contextlib
import io
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from rich.console import Console

from medray.cluster.connect import connected
from medray.console import note, say, step
from medray.ensemble.manifest import ensemble_folder
from medray.errors import ConfigError, RunError, one_line
from medray.json_document import JsonDocument
from medray.runs.folder import Folder
from medray.serving.deploy.haproxy import stop_listening
from medray.serving.deploy.ray_environment import prepare
from medray.serving.deploy.registry import ServiceState, Target
from medray.serving.deploy.rollout import keep_copy
from medray.serving.deploy.serve_options import ServeOptions, check_port, home_folder, is_loopback
from medray.serving.engine.served_model import ServedModel, default_name
from medray.serving.engine.tokens import TokenFile
from medray.text import plural

APP = "medray"
RUNNING = "service.json"  # in the home folder while a service runs
START_WITHIN = 180.0
REPORTED_WITHIN = 1.5  # seconds in which every replica asks its registry whether the service ends


@dataclass(frozen=True)
class RunningService(JsonDocument):
    """service.json: where a running service listens, its Ray's address, and what it serves."""

    url: str
    ray_address: str
    name: str
    version: str
    pid: int


def serve_until_signal(options: ServeOptions, console: Console) -> None:
    """Serve an ensemble until SIGTERM or Ctrl-C.

    Raises:
        MedrayError: an option, the ensemble or the machine does not allow it.
    """
    options.check()
    settings = options.settings()
    if settings.token_file is not None:
        TokenFile(settings.token_file)
    folder = ensemble_folder(options.location)
    check_port(options.host, options.port)
    name = options.name or default_name(options.location)
    home = home_folder(options.location, options.home)
    with step(console, "Loading the ensemble and asking it for an image"):
        target = keep_copy(folder, home)
        ServedModel.load(target.location, name, version=target.version, threads=options.threads)
    stop = threading.Event()
    _end_by_signal(stop)
    with (
        # A socket's path has 107 letters at most, and Serve adds 70 of its own: the usual folders are too long.
        tempfile.TemporaryDirectory(prefix="mr", dir="/tmp", ignore_cleanup_errors=True) as haproxy,
        _environment(prepare(Path(haproxy), options.host)),
        _ray(options, stop, console) as address,
        _application(options, target, name, console) as registry,
    ):
        _wait_until_ready(options, stop)
        running = RunningService(service_url(options), address, name, target.version, os.getpid())
        Folder(str(home)).write_json(RUNNING, running.to_dict())
        try:
            _announce(options, running, console)
            stop.wait()
        finally:
            (home / RUNNING).unlink(missing_ok=True)
        say(console, "Ending: nothing new is taken; what came in is answered")
        drain(registry, Path(haproxy), options.timeout)
    say(console, "Ended")


def service_url(options: ServeOptions) -> str:
    """Return the service's URL on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
    return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{options.port}"


def _end_by_signal(stop: threading.Event) -> None:
    """Have SIGTERM, SIGINT and SIGHUP set `stop`. Ray takes SIGTERM for itself when it starts."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda *_: stop.set())


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _ray(options: ServeOptions, stop: threading.Event, console: Console) -> Iterator[str]:
    """Start Ray or join it, check that it has the resources of all replicas, and yield its address."""
    with contextlib.ExitStack() as stack:
        with step(console, "Starting Ray"):
            stack.enter_context(connected(options.address, verbose=options.verbose, report=partial(note, console)))
        _end_by_signal(stop)
        import ray

        cpus, gpus = (ray.cluster_resources().get(kind, 0.0) for kind in ("CPU", "GPU"))
        replicas, _ = options.replica_range()
        for kind, each, available in (("cpus", options.cpus, cpus), ("gpus", options.gpus, gpus)):
            if replicas * each > available:
                raise ConfigError(
                    f"--replicas {options.replicas} of --{kind} {each:g} each need {replicas * each:g}; "
                    f"Ray has {available:g}"
                )
        yield str(ray.get_runtime_context().gcs_address)


@contextlib.contextmanager
def _application(options: ServeOptions, target: Target, name: str, console: Console) -> Iterator[Any]:
    """Deploy the ensemble, and yield the registry of its replicas."""
    import logging

    import ray
    from ray import serve

    from medray.serving.deploy.deployment import ReplicaSpec, bind, registry_of

    if not options.verbose:
        logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
    replicas, _ = options.replica_range()
    home = str(home_folder(options.location, options.home))
    spec = ReplicaSpec(target.location, target.version, name, options.settings(), replicas, home)
    try:
        with step(console, f"Starting {plural(replicas, 'replica')} of the ensemble"):
            # The replicas' own servers listen on Serve's host; others reach HAProxy's, see haproxy.py.
            serve.start(
                proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": options.port},
                logging_config={"enable_access_log": False, "log_level": "WARNING"},
            )  # fmt: skip
            try:
                serve.run(bind(spec, options.serve_options()), name=APP, route_prefix="/", blocking=False)
            except RuntimeError:  # with the replicas' stack traces
                raise RunError(f"the replicas did not start: {_why_replicas_failed()}") from None
        yield registry_of(APP)
    except ray.exceptions.RayError as error:
        raise RunError(f"Ray Serve gave up: {one_line(error)}; is the machine busy?") from error
    finally:
        # At its end Ray prints that the controller is gone, which Serve has ended itself.
        with contextlib.ExitStack() as quietly:
            if not options.verbose:
                quietly.enter_context(contextlib.redirect_stderr(io.StringIO()))
                quietly.enter_context(contextlib.redirect_stdout(io.StringIO()))
            serve.shutdown()
            ray.shutdown()


def _why_replicas_failed() -> str:
    """Return the last line of an error in the deployment's message, which holds stack traces."""
    from ray import serve

    with contextlib.suppress(Exception):
        for deployment in serve.status().applications[APP].deployments.values():
            lines: list[str] = [line.strip() for line in deployment.message.splitlines() if line.strip()]
            return ([line for line in lines if "Error" in line] or lines)[-1][:300]
    return "no reason was given; --verbose shows more"


def _wait_until_ready(options: ServeOptions, stop: threading.Event) -> None:
    direct = build_opener(ProxyHandler({}))  # a proxy knows nothing of this machine's addresses
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline and not stop.is_set():
        with contextlib.suppress(URLError, OSError):
            direct.open(f"{service_url(options)}/v2/health/ready", timeout=5).close()  # raises unless it is 200
            return
        stop.wait(0.2)
    if not stop.is_set():
        raise RunError(f"the service did not answer at {service_url(options)} within {START_WITHIN:g} s")


def _announce(options: ServeOptions, running: RunningService, console: Console) -> None:
    token = "-H 'Authorization: Bearer TOKEN' " if options.token_file else ""
    say(console, f"Serving {running.name}, version {running.version}: {running.url}")
    say(console, f"  a page to try it on   {running.url}/")
    say(console, f"  the interface         {running.url}/docs")
    say(
        console,
        "  from a terminal       curl --data-binary @image.png -H 'Content-Type: image/png' "
        f"{token}{running.url}/predict",
    )
    say(console, f"  audit log             {options.settings().audit_folder or 'none: --no-audit'}")
    if options.no_auth and not is_loopback(options.host):
        say(console, f"  everybody who reaches {options.host}:{options.port} may send requests: --no-auth")
    say(console, "Ctrl-C or SIGTERM ends it after what came in is answered.")


def drain(registry: Any, haproxy: Path, timeout: float) -> None:
    """Stop taking requests, and wait until those in flight are answered, `timeout` seconds at most."""
    import ray

    ray.get(registry.drain.remote())
    time.sleep(REPORTED_WITHIN)
    stop_listening(haproxy)
    deadline = time.monotonic() + timeout
    quiet_checks = 0
    while quiet_checks < 3 and time.monotonic() < deadline:
        time.sleep(0.5)
        state: ServiceState = ray.get(registry.state.remote())
        is_busy = any(replica.in_flight for replica in state.replicas.values())
        quiet_checks = 0 if is_busy else quiet_checks + 1
