"""The runners of trials and folds: Ray, on this machine or on a cluster, and this process itself."""

from medray.cluster.connect import check_gpus
from medray.errors import ConfigError, unknown_choice_line

RAY, LOCAL = "ray", "local"
#: How a local run introduces itself, where a Ray run says how much fits side by side.
LOCAL_LINE = "In this process, without Ray: one after another"


def check_runner(runner: str, address: str | None, min_gpus: int | None, concurrency: int | None) -> None:
    """Check that the runner exists and that no option is set which the local one can't follow.

    Raises:
        ConfigError: it does not, or one is; or `min_gpus` are to come to this machine alone, which has fewer.
    """
    if runner not in (RAY, LOCAL):
        raise ConfigError(unknown_choice_line("runner", runner, (RAY, LOCAL)))
    if runner == LOCAL:
        for flag, value in (("--address", address), ("--min-gpus", min_gpus)):
            if value is not None:
                raise ConfigError(f"{flag}: --local runs in this process, without Ray: give one of them")
        if concurrency not in (None, 1):
            raise ConfigError(f"--concurrency {concurrency}: --local runs one after another")
    elif min_gpus is not None:
        check_gpus(min_gpus, address)
