"""Settings of one search space as values of another: what a search takes over from an earlier run."""

from collections.abc import Mapping
from typing import Any

from medray.space.search_space import Parameter, SearchSpace


def project(settings: Mapping[str, Any], space: SearchSpace) -> dict[str, Any] | str:
    """Return what `space` has to draw to get `settings`, by label, or why it can't draw them, in words.

    Only searched settings count: the space's fixed ones take the place of theirs.

    >>> from medray.space.shipped import shipped_spaces
    >>> from medray.space.loading import load_space
    >>> project({"backbone": "lenet6"}, load_space("organs"))[:21]
    'backbone lenet6 is no'
    """
    drawn: dict[str, Any] = {}
    by_label: dict[str, Any] = {}
    for parameter in space.parameters:
        if not parameter.active(drawn):
            continue
        if parameter.name not in settings:
            return f"{parameter.name} is not set"
        value = settings[parameter.name]
        if not holds_exactly(parameter, value):
            return f"{parameter.name} {'null' if value is None else value} is not {parameter.allowed()}"
        drawn[parameter.name] = by_label[parameter.label] = value
    return by_label


def holds_exactly(parameter: Parameter, value: object) -> bool:
    """Return whether a parameter can draw `value`, of its own type: true is not 1, and 2.5 no whole number."""
    if parameter.verb == "choice":
        return any(
            value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in parameter.values
        )
    if isinstance(value, bool) or (parameter.verb == "int" and not isinstance(value, int)):
        return False
    return parameter.holds(value)
