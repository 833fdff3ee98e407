"""The options of `medray study`: those of its steps that a person may want to set."""

from dataclasses import dataclass

from medray.cluster.runners import RAY, check_runner
from medray.crossval.plan import CrossvalOptions
from medray.decisions.thresholds import Rule
from medray.ensemble.build_ensemble import EnsembleOptions
from medray.search.search_options import SearchOptions


@dataclass(frozen=True)
class StudyOptions:
    """The options of the command line, None where one was not given.

    `name` is that of a new study, of a search space that ships with medray, or a .yaml file. `hours` are about
    those of all steps together; `metric` is the objective of a new study.

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
    metric: str | None = None
    allow_leaks: bool = False
    address: str | None = None
    min_gpus: int | None = None
    runner: str = RAY
    track: tuple[str, ...] = ()
    verbose: bool = False

    def __post_init__(self) -> None:
        check_runner(self.runner, self.address, self.min_gpus, self.concurrency)
        SearchOptions(  # each checks what is its own
            self.name, trials=self.trials, hours=self.hours, max_epochs=self.max_epochs, seed=self.seed,
            concurrency=self.concurrency, min_gpus=self.min_gpus, track=self.track,
        )  # fmt: skip
        CrossvalOptions(self.name, top=self.top, folds=self.folds)
        EnsembleOptions(self.name, rules=self.rules, positive=self.positive)
