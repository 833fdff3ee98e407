"""SearchSpace: what a search may vary; it draws TrainConfigs.

`medray.space.loading.load_space` reads one from YAML. `draw` asks an Optuna trial, or anything with its three
suggest methods, for the values.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from medray.config import Setting, TrainConfig
from medray.space.preparation import Preparation
from medray.space.published import Published

Scalar = str | int | float | bool | None
Pipeline = tuple[Mapping[str, Mapping[str, Any]], ...]  # of {albumentations class: arguments}
HOURS = Setting(float, above=0.0, high=10_000.0)  # that a search may take


class Chooser(Protocol):
    """What `draw` asks for values: an `optuna.Trial`, or a stand-in for one."""

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Any: ...  # noqa: D102
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...  # noqa: D102
    def suggest_int(self, name: str, low: int, high: int) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Parameter:
    """One searched setting: `verb` is choice, uniform, log or int; `when` the values of its parents that it needs.

    `label` is its name in Optuna: the setting's name, or `learning_rate[1]` for the second of several ranges that
    are active under different parents.
    """

    name: str
    label: str
    verb: str
    values: tuple[Any, ...]
    when: Mapping[str, tuple[Scalar, ...]]

    def active(self, drawn: Mapping[str, Any]) -> bool:
        """Return whether this parameter is active with the parents' values in `drawn`."""
        return all(parent in drawn and drawn[parent] in values for parent, values in self.when.items())

    def draw(self, chooser: Chooser) -> Any:
        """Return a value that `chooser` suggests."""
        if self.verb == "choice":
            return chooser.suggest_categorical(self.label, self.values)
        low, high = self.values
        if self.verb == "int":
            return chooser.suggest_int(self.label, low, high)
        return chooser.suggest_float(self.label, low, high, log=self.verb == "log")

    def holds(self, value: object) -> bool:
        """Return whether `value` lies in this parameter's range."""
        if self.verb == "choice":
            return value in self.values
        low, high = self.values
        return isinstance(value, int | float) and low <= value <= high

    def without(self, backbones: Collection[str]) -> "Parameter":
        """Return it without values, of its own or of its parents, that are among the backbones."""
        kept = {
            parent: tuple(value for value in values if parent != "backbone" or value not in backbones)
            for parent, values in self.when.items()
        }
        own = tuple(v for v in self.values if self.name != "backbone" or v not in backbones)
        return replace(self, values=own, when=kept)

    def allowed(self) -> str:
        """Return the range in words, for an error's line."""
        if self.verb == "choice":
            return "one of " + ", ".join("null" if v is None else str(v) for v in self.values)
        return f"from {self.values[0]} to {self.values[1]}"


def active_parameters(parameters: Sequence[Parameter], settings: Mapping[str, Any]) -> Iterator[Parameter]:
    """Yield the parameters that would be drawn for `settings`, whether or not these have a value of each.

    A setting that they have though it would not be drawn beside the others is no parent of any.
    """
    drawn: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.active(drawn):
            yield parameter
            if parameter.name in settings:
                drawn[parameter.name] = settings[parameter.name]


@dataclass(frozen=True)
class Budget:
    """How much a search may spend; `grace_epochs` is ASHA's first rung.

    It ends after so many `trials` or `hours`, whichever comes first; one of them may be None. With
    `stop_when_flat` it ends earlier where more trials are unlikely to help.
    """

    trials: int | None
    max_epochs: int
    grace_epochs: int
    reduction_factor: int
    patience: int | None
    hours: float | None = None
    stop_when_flat: bool = False


@dataclass(frozen=True)
class Resources:
    """What a trial takes: CPU cores, and GPUs or a fraction of one (0 for none).

    `workers` are the processes that train it together, each on its GPU where there are several.
    """

    cpu: float
    gpu: float
    workers: int = 1


@dataclass(frozen=True)
class Baseline:
    """Settings that a person would start from.

    A `compare_only` baseline may lie outside the space: it is trained and compared, but Optuna does not learn from
    it.
    """

    settings: Mapping[str, Any]
    compare_only: bool = False


def shortened(settings: Mapping[str, Any], max_epochs: int) -> dict[str, int]:
    """Return `epochs` and `freeze_epochs` of a training that may have at most `max_epochs`.

    Frozen epochs that would leave none after them become half of all, so that a short training has both stages
    too. A single epoch has no half: there they stay, and TrainConfig refuses them.
    """
    epochs, frozen = min(settings.get("epochs", max_epochs), max_epochs), settings.get("freeze_epochs", 0)
    return {"epochs": epochs, "freeze_epochs": epochs // 2 if frozen >= epochs > 1 else frozen}


def longer_baselines(space: "SearchSpace", max_epochs: int) -> dict[str, int]:
    """Return the epochs of each baseline that asks for more than `max_epochs`, by name."""
    requested = {name: baseline.settings.get("epochs", 0) for name, baseline in space.baselines.items()}
    return {name: epochs for name, epochs in requested.items() if epochs > max_epochs}


@dataclass(frozen=True)
class SearchSpace:
    """A checked search space; `text` is the content of its file, `path` that file's name.

    `task` is a name in `medray.tasks.TASKS`, `preparation` says how images become a data set, `published` what
    a report has published of the baselines. `portfolio` are settings by name that the search tries before it
    draws any.
    """

    name: str
    path: str
    text: str
    description: str
    data: str
    task: str
    preparation: Preparation
    metric: str
    mode: str
    budget: Budget
    resources: Resources
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Any]
    transforms: Mapping[str, Pipeline]
    baselines: Mapping[str, Baseline]
    published: Published | None = None
    portfolio: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def trained(self) -> "SearchSpace":
        """Return what a training depends on: two spaces for which it is equal draw and train the same."""
        return replace(self, path="", text="", description="", published=None)

    def draw(self, chooser: Chooser) -> dict[str, Any]:
        """Draw a value for every active searched setting, parents before children."""
        drawn: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.active(drawn):
                drawn[parameter.name] = parameter.draw(chooser)
        return drawn

    def baseline_draw(self, name: str) -> dict[str, Any]:
        """Return what `draw` has to draw for a baseline, by label; {} for one outside the space."""
        baseline = self.baselines[name]
        return {} if baseline.compare_only else self.draw_of(baseline.settings)

    def draw_of(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `draw` has to draw for settings within the space, by label."""
        active = active_parameters(self.parameters, settings)
        return {parameter.label: settings[parameter.name] for parameter in active}

    def without(self, backbones: Collection[str]) -> "SearchSpace":
        """Return the space whose trials have none of these backbones; baselines with one are only compared.

        What is searched only with them goes too; the others keep their labels.
        """
        left = [p.without(backbones) for p in self.parameters]
        parameters: list[Parameter] = []
        for parameter in left:  # parents before children
            named = {parent.name for parent in parameters}
            if parameter.values and all(values and parent in named for parent, values in parameter.when.items()):
                parameters.append(parameter)
        gone = set(backbones)
        return replace(
            self,
            parameters=tuple(parameters),
            portfolio={n: s for n, s in self.portfolio.items() if s.get("backbone") not in gone},
            baselines={
                name: replace(baseline, compare_only=True)
                if baseline.settings.get("backbone") in gone
                else baseline
                for name, baseline in self.baselines.items()
            },
        )

    def config(
        self, drawn: Mapping[str, Any], *, seed: int, max_epochs: int, baseline: str | None = None
    ) -> TrainConfig:
        """Return the TrainConfig of drawn values, or of a baseline with them."""
        settings: dict[str, Any] = {
            "task": self.task,
            "monitor": self.metric,
            "epochs": max_epochs,
            "patience": self.budget.patience,
            **self.fixed,
            **drawn,
            **(self.baselines[baseline].settings if baseline else {}),
        }
        settings |= shortened(settings, max_epochs)
        pipeline = self.transforms[settings.get("transforms", "none")]
        return TrainConfig.from_dict({**settings, "seed": seed, "pipeline": pipeline})

    @property
    def image_sizes(self) -> list[int]:
        """The values of `image_size` that the space names, the smallest first."""
        return sorted({size for _, size in self.values_of("image_size") if size is not None})

    def values_of(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield every value that the setting `name` can take, each with its key in the file."""
        for parameter in self.parameters:
            if parameter.name == name and parameter.verb == "choice":
                for value in parameter.values:
                    yield f"space.{parameter.label}.choice", value
        if name in self.fixed:
            yield f"fixed.{name}", self.fixed[name]
        for key, baseline in self.baselines.items():
            if name in baseline.settings:
                yield f"baselines.{key}.{name}", baseline.settings[name]
