"""ServeOptions: the options of `medray serve`, and the settings of service and Ray Serve that follow from them."""

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from medray.errors import ConfigError
from medray.runs.folder import Folder
from medray.serving.engine.service_settings import MIB, ServiceSettings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ServeOptions:
    """The options of the command line; sizes in MiB, times in seconds."""

    location: str
    host: str = LOOPBACK
    port: int = 8000
    name: str | None = None
    token_file: str | None = None
    no_auth: bool = False
    replicas: str = "1"
    cpus: float = 1.0
    gpus: float = 0.0
    threads: int = 1
    home: str | None = None
    no_audit: bool = False
    audit_keep: int | None = None
    max_body: int = 32
    max_pixels: int = 40_000_000
    max_files: int = 32
    max_batch: int = 64
    max_waiting: int = 256
    timeout: float = 30.0
    address: str | None = None
    verbose: bool = False

    def check(self) -> None:
        """Check the options before anything is started.

        Raises:
            ConfigError: a host other than this machine's own has no token file, or --replicas is no range.
        """
        if not is_loopback(self.host) and self.token_file is None and not self.no_auth:
            raise ConfigError(
                f"--host {self.host} lets others ask: give a --token-file, or say --no-auth if everybody may"
            )
        self.replica_range()

    def replica_range(self) -> tuple[int, int]:
        """Return the smallest and the largest number of replicas.

        Raises:
            ConfigError: --replicas is neither a number nor a range.
        """
        first, is_range, second = self.replicas.partition(":")
        try:
            low, high = int(first), int(second if is_range else first)
        except ValueError:
            low, high = 0, 0
        if not 1 <= low <= high:
            raise ConfigError(f"--replicas is '{self.replicas}'; it must be a number, as 2, or a range, as 1:8")
        return low, high

    def settings(self) -> ServiceSettings:
        """Return the settings of every replica.

        Raises:
            ConfigError: a limit is out of range.
        """
        audit = None if self.no_audit else str(home_folder(self.location, self.home) / "audit")
        return ServiceSettings(
            max_body=self.max_body * MIB,
            max_pixels=self.max_pixels,
            max_files=self.max_files,
            max_batch=self.max_batch,
            max_waiting=self.max_waiting,
            max_memory=max(256, 2 * self.max_body) * MIB,
            timeout=self.timeout,
            threads=self.threads,
            token_file=None if self.token_file is None else str(Path(self.token_file).absolute()),
            audit_folder=audit,
            audit_keep=self.audit_keep,
        )

    def serve_options(self) -> dict[str, object]:
        """Return Ray Serve's options of the deployment."""
        low, high = self.replica_range()
        options: dict[str, object] = {
            # Our own limit refuses first, with a problem document; Serve's is only a second one behind it.
            "max_ongoing_requests": 4 * self.max_waiting,
            "graceful_shutdown_timeout_s": self.timeout + 5,
            "health_check_period_s": 5,
            "ray_actor_options": {"num_cpus": self.cpus, "num_gpus": self.gpus},
        }
        if low == high:
            return options | {"num_replicas": low}
        scaling = {
            "min_replicas": low, "max_replicas": high, "target_ongoing_requests": self.max_batch,
            "upscale_delay_s": 5, "downscale_delay_s": 120,
        }  # fmt: skip
        return options | {"autoscaling_config": scaling}


def home_folder(location: str, home: str | None) -> Path:
    """Return the folder of the audit log and the served ensembles: `home`, or `service` in the run's folder."""
    if home is not None:
        return Path(home).absolute()
    return (Folder(location).local or Path()).absolute() / "service"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host's address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_port(host: str, port: int) -> None:
    """Check that the service can listen there.

    Raises:
        ConfigError: another program does, or it is no address of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"--host {host} --port {port} can't be listened on: {error.strerror}") from None
