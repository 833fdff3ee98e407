"""Which settings may come together in a training, and whether any of them contradict each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medray.config import TrainConfig
from medray.errors import ConfigError
from medray.space.search_space import Parameter, SearchSpace, shortened

#: Settings that can contradict one another; `TrainConfig` knows how.
TOGETHER = ("pretrained", "weights", "epochs", "freeze_epochs", "fine_tune_rate")


def combinations(space: SearchSpace, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every combination of the settings `names` that a trial can have, at the ends of their ranges.

    Each comes with the section it is of, `space` or `baselines.NAME`, and among all fixed settings and those that
    it hangs on.
    """
    searched = _with_parents(space.parameters, names)
    for drawn in _draws(searched, {}):
        yield "space", {**space.fixed, **drawn}
    for name, baseline in space.baselines.items():
        yield f"baselines.{name}", {**space.fixed, **baseline.settings}


def _with_parents(parameters: Sequence[Parameter], names: Sequence[str]) -> list[Parameter]:
    """The parameters of `names` and those whose values say whether they exist, in order."""
    wanted = set(names)
    for parameter in reversed(parameters):  # children come after their parents
        if parameter.name in wanted:
            wanted |= set(parameter.when)
    return [parameter for parameter in parameters if parameter.name in wanted]


def _draws(parameters: Sequence[Parameter], drawn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not parameters:
        yield dict(drawn)
        return
    first, rest = parameters[0], parameters[1:]
    if not first.active(drawn):
        yield from _draws(rest, drawn)
        return
    for value in first.values:
        yield from _draws(rest, {**drawn, first.name: value})


def check_combinations(space: SearchSpace, max_epochs: int | None = None) -> None:
    """Check that no trial would have settings that contradict each other.

    With `max_epochs` those are checked that are left of them when they are `shortened`.

    Raises:
        ConfigError: one would; the first is named with its file and section.
    """
    searched = {parameter.name for parameter in space.parameters}
    for section, settings in combinations(space, TOGETHER):
        chosen = {name: settings[name] for name in TOGETHER if name in settings}
        chosen["epochs"] = min(settings.get("epochs", space.budget.max_epochs), space.budget.max_epochs)
        chosen |= {} if max_epochs is None else shortened(chosen, max_epochs)
        try:
            TrainConfig.from_dict(chosen)
        except ConfigError as error:
            name = str(error).partition(":")[0]
            where = "fixed" if section == "space" and name not in searched else section
            raise ConfigError(f"{space.path}: {where}.{error}") from None


def freezes_less(space: SearchSpace, max_epochs: int) -> bool:
    """Whether some trial is frozen for fewer epochs than it says, since it is `shortened`."""
    found = (settings for _, settings in combinations(space, ("epochs", "freeze_epochs")))
    return any(shortened(one, max_epochs)["freeze_epochs"] < one.get("freeze_epochs", 0) for one in found)
