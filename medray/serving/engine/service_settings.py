"""ServiceSettings: what a service was told to allow, as plain values that travel to every replica."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from medray.errors import ConfigError, unknown_choice_line

MIB = 2**20


@dataclass(frozen=True)
class ServiceSettings:
    """Limits and files of a service; sizes in bytes, times in seconds, files on the replica's machine.

    `max_waiting` counts images that wait for a replica's networks, `max_memory` the bytes of all requests that
    a replica holds at once. Without `token_file` everybody may ask; without `audit_folder` nothing is written.

    Raises:
        ConfigError: a number is not above 0.
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON and YAML can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Restore what `to_dict` returned, or what a person wrote in its form.

        Raises:
            ConfigError: a setting is unknown, or of another type.
        """
        types: dict[str, tuple[type, ...]] = {
            "timeout": (int, float), "body_timeout": (int, float),
            "token_file": (str, type(None)), "audit_folder": (str, type(None)), "audit_keep": (int, type(None)),
        }  # fmt: skip
        names = [field.name for field in fields(cls)]
        for key, value in content.items():
            if key not in names:
                raise ConfigError(unknown_choice_line("setting", key, names))
            allowed = types.get(key, (int,))
            if not isinstance(value, allowed) or isinstance(value, bool):
                raise ConfigError(f"{key} is {value!r:.40}; it must be {allowed[0].__name__}")
        return cls(**content)
