"""ServiceSettings: the limits and files of a service, the same in every replica."""

from dataclasses import dataclass, fields

from medray.errors import ConfigError
from medray.json_document import JsonDocument

MIB = 2**20


@dataclass(frozen=True)
class ServiceSettings(JsonDocument):
    """Limits and files of a service; sizes in bytes, times in seconds, files on the replica's machine.

    `max_waiting` counts images that wait for a replica's networks, `max_batch` those that they answer at once, and
    `max_memory` the bytes of all requests that a replica holds. `body_timeout` ends the wait for a request's body,
    `timeout` that for its answer; `threads` are those of the networks. Without `token_file` everybody is answered;
    without `audit_folder` no audit log is written; `audit_keep` is how many of its files are kept, None for all.

    Raises:
        ConfigError: a number is not above 0, or `max_memory` is below `max_body`.
    """

    max_body: int = 32 * MIB
    max_pixels: int = 40_000_000
    max_files: int = 32
    max_batch: int = 64
    max_waiting: int = 256
    max_memory: int = 256 * MIB
    timeout: float = 30.0
    body_timeout: float = 20.0
    threads: int = 1
    token_file: str | None = None
    audit_folder: str | None = None
    audit_keep: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value <= 0:
                raise ConfigError(f"{field.name} is {value}; it must be above 0")
        if self.max_memory < self.max_body:
            raise ConfigError(
                f"max_memory is {self.max_memory}, less than one body may be: max_body is {self.max_body}"
            )
