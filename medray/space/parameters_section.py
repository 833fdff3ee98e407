"""The section `space`: the parameters that are searched, and when each is active."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from medray.config import SETTINGS, Setting
from medray.errors import ConfigError, nearest, unknown_choice_line
from medray.space.search_space import Parameter
from medray.space.yaml_fields import at, check_field, check_setting_name, check_value, mapping

VERBS = ("choice", "uniform", "log", "int")
NOT_SEARCHED = ("seed", "monitor")  # set by the command and the objective


def read_parameters(section: Mapping[str, Any], transforms: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Return the parameters of the section, parents before children; `transforms` are the pipelines by name.

    Raises:
        ConfigError: a parameter is unknown, has no range that fits it, or a `when` that can't be.
    """
    parameters: dict[str, Parameter] = {}
    for name, spec in section.items():
        with at(name):
            check_setting_name(name)
            if name in NOT_SEARCHED:
                raise ConfigError(f"'{name}' can't be searched: it comes from the command or the objective")
            if spec == []:
                raise ConfigError(f"needs exactly one of {', '.join(VERBS)}")
        specs = {f"{name}[{i}]": item for i, item in enumerate(spec)} if isinstance(spec, list) else {name: spec}
        for label, item in specs.items():
            with at(label):
                parameters[label] = read_parameter(name, label, mapping(item), transforms)
        check_exclusive([parameters[label] for label in specs])
    for parameter in parameters.values():
        with at(f"{parameter.label}.when"):
            check_when(parameter, parameters)
    return parents_first(parameters)


def read_parameter(name: str, label: str, spec: Mapping[str, Any], transforms: Mapping[str, Any]) -> Parameter:
    """Return one parameter of `{verb: values, when: {parent: values}}`."""
    for word in spec:
        if word not in (*VERBS, "when"):
            raise ConfigError(unknown_choice_line("verb", word, (*VERBS, "when")), key=str(word))
    verbs = [word for word in spec if word in VERBS]
    if len(verbs) != 1:
        raise ConfigError(f"needs exactly one of {', '.join(VERBS)}")
    (verb,) = verbs
    if name == "image_size" and verb != "choice":
        raise ConfigError(f"'{name}' is searched by choice: the images of each size are kept", key=verb)
    values = spec[verb]
    with at(verb):
        values = read_choices(name, values, transforms) if verb == "choice" else read_range(name, verb, values)
    with at("when"):
        when = mapping(spec.get("when", {}))
        parents = {parent: tuple(v) if isinstance(v, list) else (v,) for parent, v in when.items()}
        for parent, wanted in parents.items():
            if any(isinstance(value, list | dict) for value in wanted):
                raise ConfigError(f"is a value of '{parent}', or a list of its values", key=parent)
    return Parameter(name, label, verb, values, parents)


def read_choices(name: str, values: object, transforms: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of a `choice`, each once."""
    if not isinstance(values, list) or not values:
        raise ConfigError("must be a list of at least one value")
    checked = []
    for i, value in enumerate(values):
        with at(f"[{i}]"):
            checked.append(check_value(name, value, transforms))
    if len(set(checked)) < len(checked):
        raise ConfigError("names a value twice")
    return tuple(checked)


def read_range(name: str, verb: str, values: object) -> tuple[Any, ...]:
    """Return low and high of a range of numbers."""
    setting = SETTINGS[name]
    if setting.type not in (int, float):
        raise ConfigError(f"'{name}' is {setting.allowed()}, not a number; use choice")
    if not isinstance(values, list) or len(values) != 2:
        raise ConfigError(f"must be [low, high], not {values!r}")
    if (verb == "int") != (setting.type is int):
        right = "int" if setting.type is int else "uniform or log"
        raise ConfigError(f"'{name}' is {setting.allowed()}; use {right}")
    low, high = (check_field(f"[{i}]", Setting(setting.type), value) for i, value in enumerate(values))
    if low > high:
        raise ConfigError(f"low {low} is above high {high}")
    if verb == "log" and low <= 0:
        raise ConfigError(f"a log range must start above 0, not at {low}")
    for i, bound in enumerate((low, high)):
        check_field(f"[{i}]", setting, bound)
    return (low, high)


def check_epochs(parameters: Sequence[Parameter], max_epochs: int) -> None:
    """Check that no trial asks for more epochs than the budget has."""
    for parameter in parameters:
        if parameter.name == "epochs" and max(parameter.values) > max_epochs:
            with at(f"{parameter.label}.{parameter.verb}"):
                raise ConfigError(f"{max(parameter.values)} is more than the {max_epochs} of budget.max_epochs")


def check_exclusive(ranges: Sequence[Parameter]) -> None:
    """Check that of several ranges of one setting at most one can be active."""
    for a, b in itertools.combinations(ranges, 2):
        shared = [parent for parent in a.when if parent in b.when]
        if not any(set(a.when[parent]).isdisjoint(b.when[parent]) for parent in shared):
            raise ConfigError(f"could hold beside space.{a.label}: their `when` must differ", key=b.label)


def check_when(parameter: Parameter, parameters: Mapping[str, Parameter]) -> None:
    """Check that the parents of a parameter are searched choices that can have the values it needs.

    A parent of several ranges is one where all of them are choices.
    """
    values_of: dict[str, list[Any]] = {}
    for other in parameters.values():
        if other.name != parameter.name:
            values_of.setdefault(other.name, []).extend(other.values)
    ranges = {other.name for other in parameters.values() if other.verb != "choice"}
    choices = [name for name in values_of if name not in ranges]
    for parent, values in parameter.when.items():
        with at(parent):
            if not values:
                raise ConfigError("an empty list: this parameter would never exist")
            if parent not in choices:
                raise ConfigError(unknown_choice_line("searched choice", parent, choices))
            for value in values:
                if value not in values_of[parent]:
                    valid = ["null" if v is None else str(v) for v in dict.fromkeys(values_of[parent])]
                    raise ConfigError(
                        f"{value!r} is not one of {', '.join(valid)}, the values of space.{parent}"
                        f"{nearest(value, valid)}"
                    )


def parents_first(parameters: Mapping[str, Parameter]) -> tuple[Parameter, ...]:
    """Return the parameters, parents before children."""
    ordered: dict[str, Parameter] = {}
    while len(ordered) < len(parameters):
        waiting = {p.name for label, p in parameters.items() if label not in ordered}
        ready = [p for label, p in parameters.items() if label not in ordered and not waiting & set(p.when)]
        if not ready:
            left = [label for label in parameters if label not in ordered]
            raise ConfigError(f"a circle: {', '.join(left)} wait for one another", key=f"{left[0]}.when")
        ordered.update((p.label, p) for p in ready)
    return tuple(ordered.values())
