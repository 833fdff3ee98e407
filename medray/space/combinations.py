"""Which settings a training can have together, and whether any of them contradict one another."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medray.config import LBFGS, TrainConfig
from medray.errors import ConfigError
from medray.space.search_space import Parameter, SearchSpace, shortened

#: Settings that can contradict one another; `TrainConfig` checks them.
DEPENDENT = ("pretrained", "weights", "epochs", "freeze_epochs", "fine_tune_rate", "loss")
#: Settings that can contradict `optimizer: lbfgs`.
OF_LBFGS = ("optimizer", "trainable_blocks", "mixup", "dropout", "head_width", "transforms", "views")


def combinations(space: SearchSpace, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every combination of the settings `names` that a trial can have, at the ends of their ranges.

    Each comes with its section, `space` or `baselines.NAME`. It also holds all fixed settings and the parents of
    `names`.
    """
    selected = set(names)
    for parameter in reversed(space.parameters):  # children come after their parents
        if parameter.name in selected:
            selected |= set(parameter.when)
    for drawn in _draws([p for p in space.parameters if p.name in selected], {}):
        yield "space", {**space.fixed, **drawn}
    for name, baseline in space.baselines.items():
        yield f"baselines.{name}", {**space.fixed, **baseline.settings}


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

    With `max_epochs` the settings are checked as `shortened` leaves them.

    Raises:
        ConfigError: one would; the first is named with its section.
    """
    searched = {parameter.name for parameter in space.parameters}
    with_lbfgs = any(value == LBFGS for _, value in space.values_of("optimizer"))
    names = (*DEPENDENT, *OF_LBFGS) if with_lbfgs else DEPENDENT
    for section, combination in combinations(space, names):
        settings = {name: combination[name] for name in names if name in combination}
        settings["task"] = space.task
        settings["pipeline"] = space.transforms[settings.get("transforms", "none")]
        settings["epochs"] = min(settings.get("epochs", space.budget.max_epochs), space.budget.max_epochs)
        settings |= {} if max_epochs is None else shortened(settings, max_epochs)
        try:
            TrainConfig.from_dict(settings)
        except ConfigError as error:
            is_fixed = section == "space" and error.key not in searched
            raise error.within(key="fixed" if is_fixed else section) from None


def longest_side(space: SearchSpace) -> int | None:
    """Return the largest `image_size` that a training can have; None where it may be the data set's own size."""
    sizes: list[int | None] = [settings.get("image_size") for _, settings in combinations(space, ("image_size",))]
    return None if None in sizes else max(size for size in sizes if size is not None)


def freezes_less(space: SearchSpace, max_epochs: int) -> bool:
    """Return whether some trial is frozen for fewer epochs than its settings say, since it is `shortened`."""
    return any(
        shortened(settings, max_epochs)["freeze_epochs"] < settings.get("freeze_epochs", 0)
        for _, settings in combinations(space, ("epochs", "freeze_epochs"))
    )
