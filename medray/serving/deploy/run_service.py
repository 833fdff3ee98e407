"""Starting the service, staying up with it, and ending without dropping a request."""

import contextlib
import io
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console

from medray.cluster.connect import connected
from medray.console import say, step
from medray.ensemble.manifest import ensemble_folder
from medray.errors import ConfigError, RunError
from medray.serving.deploy.haproxy import stop_listening
from medray.serving.deploy.ray_environment import prepare
from medray.serving.deploy.rollout import keep_copy
from medray.serving.deploy.serve_options import ServeOptions, check_port, is_loopback
from medray.serving.engine.served_model import ServedModel, default_name
from medray.serving.engine.tokens import TokenFile

APP = "medray"
RUNNING = "service.json"  # in the home folder while a service runs
START_WITHIN = 180.0
TOLD_WITHIN = 1.5  # seconds in which every replica has heard that the service ends


@dataclass(frozen=True)
class Running:
    """A service that runs: where it is asked, where its Ray is, and what it serves."""

    url: str
    ray_address: str
    name: str
    version: str
    pid: int


def serve_until_told(options: ServeOptions, console: Console) -> None:
    """Serve an ensemble until SIGTERM or Ctrl-C.

    Raises:
        MedrayError: something a person can mend is wrong.
    """
    options.check()
    settings = options.settings()
    if settings.token_file is not None:
        TokenFile(settings.token_file)
    folder = ensemble_folder(options.location)
    check_port(options.host, options.port)
    name = options.name or default_name(options.location)
    home = options.home_folder()
    with step(console, "Loading the ensemble and asking it for an image"):
        location, version = keep_copy(folder, home)
        ServedModel.load(location, name, version=version, threads=options.threads)
    stop = threading.Event()
    _end_by_signal(stop)
    with (
        _front_folder() as front,
        _environment(prepare(front, options.host)),
        _ray(options, stop, console) as address,
        _application(options, location, version, name, console) as board,
    ):
        _wait_until_ready(options, stop)
        running = Running(url(options), address, name, version, os.getpid())
        with _noted(home, running):
            _announce(options, running, console)
            stop.wait()
        say(console, "Ending: nothing new is taken; what came in is answered")
        drain(board, front, options.timeout)
    say(console, "Ended")


def url(options: ServeOptions) -> str:
    """Where the service is asked from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
    return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{options.port}"


def _end_by_signal(stop: threading.Event) -> None:
    """Have SIGTERM, SIGINT and SIGHUP set `stop`. Ray takes the first for itself when it starts."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda *_: stop.set())


@contextlib.contextmanager
def _front_folder() -> Iterator[Path]:
    # A socket's path has 107 letters at most, and Serve adds 70 of its own: the usual folders are too long.
    folder = Path(tempfile.mkdtemp(prefix="mr", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
    with contextlib.ExitStack() as stack:
        with step(console, "Starting Ray"):
            stack.enter_context(connected(options.address, verbose=options.verbose))
        _end_by_signal(stop)
        import ray

        cpus, gpus = (ray.cluster_resources().get(kind, 0.0) for kind in ("CPU", "GPU"))
        least, _ = options.replica_range()
        for kind, each, has in (("cpus", options.cpus, cpus), ("gpus", options.gpus, gpus)):
            if least * each > has:
                raise ConfigError(
                    f"--replicas {options.replicas} of --{kind} {each:g} each need {least * each:g}; "
                    f"Ray has {has:g}"
                )
        yield str(ray.get_runtime_context().gcs_address)


@contextlib.contextmanager
def _application(options: ServeOptions, location: str, version: str, name: str, console: Console) -> Iterator[Any]:
    """Deploy the ensemble, and give the board of its replicas."""
    import logging

    import ray
    from ray import serve

    from medray.serving.deploy.deployment import board_of, build, make_spec

    if not options.verbose:
        logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
    least, _ = options.replica_range()
    spec = make_spec(
        location=location, version=version, name=name, settings=options.settings(), least_replicas=least,
        home=str(options.home_folder()),
    )  # fmt: skip
    try:
        with step(console, f"Starting {least} replica{'s' if least > 1 else ''} of the ensemble"):
            # The replicas' own servers take Serve's host; what others may reach is HAProxy's, see front.py.
            serve.start(
                proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": options.port},
                logging_config={"enable_access_log": False, "log_level": "WARNING"},
            )  # fmt: skip
            app = build({**spec, "serve_options": options.serve_options()})
            _run(app)
        yield board_of(APP)
    except ray.exceptions.RayError as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise RunError(
            f"Ray Serve gave up: {said[0] if said else type(error).__name__}; is the machine busy?"
        ) from error
    finally:
        # At its end Ray tells of the controller that Serve has ended itself.
        with contextlib.ExitStack() as quietly:
            if not options.verbose:
                quietly.enter_context(contextlib.redirect_stderr(io.StringIO()))
                quietly.enter_context(contextlib.redirect_stdout(io.StringIO()))
            serve.shutdown()
            ray.shutdown()


def _run(app: Any) -> None:
    from ray import serve

    try:
        serve.run(app, name=APP, route_prefix="/", blocking=False)
    except RuntimeError:
        # Serve tells of it with the replicas' stack traces; the reason is their last line.
        raise RunError(f"the replicas did not start: {_reason()}") from None


def _reason() -> str:
    from ray import serve

    with contextlib.suppress(Exception):
        for one in serve.status().applications[APP].deployments.values():
            lines: list[str] = [line.strip() for line in one.message.splitlines() if line.strip()]
            found = [line for line in lines if "Error" in line]
            return (found or lines or ["no reason was given"])[-1][:300]
    return "no reason was given; --verbose shows more"


def _wait_until_ready(options: ServeOptions, stop: threading.Event) -> None:
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline and not stop.is_set():
        with contextlib.suppress(URLError, OSError):
            urlopen(f"{url(options)}/v2/health/ready", timeout=5).close()  # raises unless it is 200
            return
        stop.wait(0.2)
    if not stop.is_set():
        raise RunError(f"the service did not answer at {url(options)} within {START_WITHIN:g} s")


@contextlib.contextmanager
def _noted(home: Path, running: Running) -> Iterator[None]:
    """Leave a note of the running service, for --replace."""
    note = home / RUNNING
    note.write_text(json.dumps(asdict(running), indent=2) + "\n")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _announce(options: ServeOptions, running: Running, console: Console) -> None:
    say(console, f"Serving {running.name}, version {running.version}: {running.url}")
    say(console, f"  a page to try it on   {running.url}/")
    say(console, f"  the interface         {running.url}/docs")
    say(
        console,
        "  from a terminal       curl --data-binary @image.png -H 'Content-Type: image/png' "
        f"{_token_hint(options)}{running.url}/predict",
    )
    audit = options.settings().audit_folder
    say(console, f"  audit log             {audit or 'none: --no-audit'}")
    if options.no_auth and not is_loopback(options.host):
        say(console, f"  everybody who reaches {options.host}:{options.port} may ask: --no-auth")
    say(console, "Ctrl-C or SIGTERM ends it after what came in is answered.")


def _token_hint(options: ServeOptions) -> str:
    return "-H 'Authorization: Bearer TOKEN' " if options.token_file else ""


def drain(board: Any, front: Path, most: float) -> None:
    """Stop taking requests, and wait until those that were taken are answered, `most` seconds at most."""
    import ray

    ray.get(board.drain.remote())
    time.sleep(TOLD_WITHIN)
    stop_listening(front)
    deadline = time.monotonic() + most
    quiet = 0
    while quiet < 3 and time.monotonic() < deadline:
        time.sleep(0.5)
        replicas = ray.get(board.state.remote())["replicas"].values()
        quiet = 0 if any(one["in_flight"] for one in replicas) else quiet + 1
