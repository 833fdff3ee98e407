"""The runners of trials and folds: Ray, on this machine or on a cluster, and this process itself."""

from typing import Protocol

from medray.errors import ConfigError, unknown_choice_line

RAY, LOCAL = "ray", "local"
#: How a local run introduces itself, where a Ray run says how much fits side by side.
LOCAL_LINE = "In this process, without Ray: one after another"


class RunnerOptions(Protocol):
    """What the options of a search and of a cross-validation share."""

    @property
    def runner(self) -> str: ...  # noqa: D102
    @property
    def concurrency(self) -> int | None: ...  # noqa: D102
    @property
    def address(self) -> str | None: ...  # noqa: D102
    @property
    def min_gpus(self) -> int | None: ...  # noqa: D102


def check_runner(options: RunnerOptions) -> None:
    """Check that the runner exists and that no option is set which the local one can't follow.

    Raises:
        ConfigError: it does not, or one is.
    """
    if options.runner not in (RAY, LOCAL):
        raise ConfigError(unknown_choice_line("runner", options.runner, (RAY, LOCAL)))
    if options.runner == LOCAL:
        for flag, value in (("--address", options.address), ("--min-gpus", options.min_gpus)):
            if value is not None:
                raise ConfigError(f"{flag}: --local runs in this process, without Ray: give one of them")
        if options.concurrency not in (None, 1):
            raise ConfigError(f"--concurrency {options.concurrency}: --local runs one after another")
