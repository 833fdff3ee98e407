"""The options of `medray study`: those of its steps that a person may want to set."""

from dataclasses import dataclass

from medray.cluster.runners import RAY, check_runner
from medray.config import check_counts
from medray.decisions.thresholds import Rule
from medray.errors import ConfigError
from medray.space.search_space import HOURS
from medray.space.yaml_fields import at


@dataclass(frozen=True)
class StudyOptions:
    """The options of the command line, None where one was not given.

    `name` is that of a new study, of a search space that ships with medray, or a .yaml file. `hours` are about
    those of all steps together.

    Raises:
        ConfigError: a number is too small or too large, or options contradict each other.
    """

    name: str
    data: str | None = None
    hours: float | None = None
    trials: int | None = None
    max_epochs: int | None = None
    top: int | None = None
    folds: int | None = None
    rules: tuple[Rule, ...] = ()
    positive: str | None = None
    seed: int | None = None
    concurrency: int | None = None
    out: str | None = None
    storage: str | None = None
    missing: str = "fail"
    allow_leaks: bool = False
    address: str | None = None
    min_gpus: int | None = None
    runner: str = RAY
    verbose: bool = False

    def __post_init__(self) -> None:
        check_counts(self, trials=1, max_epochs=1, top=1, folds=2, seed=0, concurrency=1, min_gpus=1)
        check_runner(self.runner, self.address, self.min_gpus, self.concurrency)
        if self.hours is not None:
            with at("hours"):
                HOURS.check(self.hours)
        if self.positive is not None and not self.rules:
            raise ConfigError(
                "--positive says what an operating point calls: "
                "give --sensitivity, --youden or --cost-ratio with it"
            )
