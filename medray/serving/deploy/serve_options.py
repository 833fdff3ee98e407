"""What `medray serve` was asked, and what follows from it."""

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
    """The command line; sizes in MiB, times in seconds."""

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
    replace: bool = False
    write_config: str | None = None
    verbose: bool = False

    def check(self) -> None:
        """Check what can be checked before anything is started.

        Raises:
            ConfigError: a host other than this machine's own has no token file, or an option can't be.
        """
        if not is_loopback(self.host) and self.token_file is None and not self.no_auth:
            raise ConfigError(
                f"--host {self.host} lets others ask: give a --token-file, or say --no-auth if everybody may"
            )
        self.replica_range()

    def replica_range(self) -> tuple[int, int]:
        """The fewest and the most replicas.

        Raises:
            ConfigError: --replicas is neither a number nor a range.
        """
        low, is_range, high = self.replicas.partition(":")
        try:
            least, most = int(low), int(high if is_range else low)
        except ValueError:
            least, most = 0, 0
        if not 1 <= least <= most:
            raise ConfigError(f"--replicas is '{self.replicas}'; it must be a number, as 2, or a range, as 1:8")
        return least, most

    def home_folder(self) -> Path:
        """Where the audit log and the served ensembles are kept."""
        if self.home is not None:
            return Path(self.home).absolute()
        return (Folder(self.location).local or Path()).absolute() / "service"

    def settings(self) -> ServiceSettings:
        """What every replica is told.

        Raises:
            ConfigError: a limit can't be.
        """
        audit = None if self.no_audit else str(self.home_folder() / "audit")
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
        """What Ray Serve is told of the replicas."""
        least, most = self.replica_range()
        found: dict[str, object] = {
            # Ours says no first, with a problem document; Serve's own limit is only a wall behind it.
            "max_ongoing_requests": 4 * self.max_waiting,
            "graceful_shutdown_timeout_s": self.timeout + 5,
            "health_check_period_s": 5,
            "ray_actor_options": {"num_cpus": self.cpus, "num_gpus": self.gpus},
        }
        if least == most:
            return found | {"num_replicas": least}
        scaling = {
            "min_replicas": least, "max_replicas": most, "target_ongoing_requests": self.max_batch,
            "upscale_delay_s": 5, "downscale_delay_s": 120,
        }  # fmt: skip
        return found | {"autoscaling_config": scaling}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host's address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_port(host: str, port: int) -> None:
    """Check that the service could listen there.

    Raises:
        ConfigError: it can't: another program does, or it is no address of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"--host {host} --port {port} can't be listened on: {error.strerror}") from None
