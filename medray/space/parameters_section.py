"""The section `space`: the parameters that are searched, and when each exists."""

import itertools
from collections.abc import Mapping
from typing import Any

from medray.config import SETTINGS, Setting
from medray.errors import nearest, unknown_choice_line
from medray.space.search_space import Parameter
from medray.space.yaml_fields import NOT_SEARCHED, Checks

VERBS = ("choice", "uniform", "log", "int")


class ParametersReader(Checks):
    """Reads the section `space`."""

    def _parameters(self, transforms: Mapping[str, Any]) -> tuple[Parameter, ...]:
        section = self._mapping("space", self.root["space"])
        parameters: dict[str, Parameter] = {}
        for name, spec in section.items():
            key = f"space.{name}"
            self._known_setting(key, name)
            if name in NOT_SEARCHED:
                raise self.fail(key, f"'{name}' can't be searched: it comes from the command or the budget")
            several = isinstance(spec, list)
            for i, one in enumerate(spec if several else [spec]):
                label = f"{name}[{i}]" if several else name
                own = self._mapping(f"space.{label}", one)
                parameters[label] = self._parameter(f"space.{label}", name, label, own, transforms)
            if several:
                self._check_exclusive(key, [p for p in parameters.values() if p.name == name])
        for parameter in parameters.values():
            self._check_when(parameter, parameters)
        return self._ordered(parameters)

    def _check_exclusive(self, key: str, ranges: list[Parameter]) -> None:
        """Of several ranges of one setting only one may hold at a time."""
        if not ranges:
            raise self.fail(key, f"needs exactly one of {', '.join(VERBS)}")
        for a, b in itertools.combinations(ranges, 2):
            shared = [parent for parent in a.when if parent in b.when]
            if not any(set(a.when[parent]).isdisjoint(b.when[parent]) for parent in shared):
                raise self.fail(f"space.{b.label}", f"could hold beside space.{a.label}: their `when` must differ")

    def _parameter(
        self, key: str, name: str, label: str, spec: dict[str, Any], transforms: Mapping[str, Any]
    ) -> Parameter:
        verbs = [word for word in spec if word in VERBS]
        for word in spec:
            if word not in (*VERBS, "when"):
                raise self.fail(f"{key}.{word}", unknown_choice_line("verb", word, (*VERBS, "when")))
        if len(verbs) != 1:
            raise self.fail(key, f"needs exactly one of {', '.join(VERBS)}")
        (verb,) = verbs
        values = spec[verb]
        if verb == "choice":
            checked = self._choices(f"{key}.choice", name, values, transforms)
        else:
            checked = self._range(f"{key}.{verb}", name, verb, values)
        when = self._mapping(f"{key}.when", spec.get("when", {}))
        parents = {parent: tuple(v) if isinstance(v, list) else (v,) for parent, v in when.items()}
        return Parameter(name, label, verb, checked, parents)

    def _choices(self, key: str, name: str, values: object, transforms: Mapping[str, Any]) -> tuple[Any, ...]:
        if not isinstance(values, list) or not values:
            raise self.fail(key, "must be a list of at least one value")
        checked = tuple(self._value(f"{key}[{i}]", name, v, transforms) for i, v in enumerate(values))
        if len(set(checked)) < len(checked):
            raise self.fail(key, "names a value twice")
        return checked

    def _range(self, key: str, name: str, verb: str, values: object) -> tuple[Any, ...]:
        setting = SETTINGS[name]
        if setting.type not in (int, float):
            raise self.fail(key, f"'{name}' is {setting.allowed()}, not a number; use choice")
        if not isinstance(values, list) or len(values) != 2:
            raise self.fail(key, f"must be [low, high], not {values!r}")
        if (verb == "int") != (setting.type is int):
            right = "int" if setting.type is int else "uniform or log"
            raise self.fail(key, f"'{name}' is {setting.allowed()}; use {right}")
        kind = Setting(setting.type)
        low, high = (self._check(f"{key}[{i}]", kind, v) for i, v in enumerate(values))
        if low > high:
            raise self.fail(key, f"low {low} is above high {high}")
        if verb == "log" and low <= 0:
            raise self.fail(key, f"a log range must start above 0, not at {low}")
        for i, bound in enumerate((low, high)):
            self._check(f"{key}[{i}]", setting, bound)
        return (low, high)

    def _check_when(self, parameter: Parameter, parameters: Mapping[str, Parameter]) -> None:
        for parent, values in parameter.when.items():
            key = f"space.{parameter.label}.when.{parent}"
            choices = [p.label for p in parameters.values() if p.verb == "choice" and p.name != parameter.name]
            if not values:
                raise self.fail(key, "an empty list: this parameter would never exist")
            if parent not in choices:
                raise self.fail(key, unknown_choice_line("searched choice", parent, choices))
            for value in values:
                if value not in parameters[parent].values:
                    allowed = parameters[parent].allowed()
                    raise self.fail(
                        key, f"{value!r} is not {allowed}{nearest(value, map(str, parameters[parent].values))}"
                    )

    def _ordered(self, parameters: Mapping[str, Parameter]) -> tuple[Parameter, ...]:
        """Parents before children."""
        ordered: dict[str, Parameter] = {}
        while len(ordered) < len(parameters):
            ready = [p for n, p in parameters.items() if n not in ordered and set(p.when) <= set(ordered)]
            if not ready:
                left = [name for name in parameters if name not in ordered]
                raise self.fail(f"space.{left[0]}.when", f"a circle: {', '.join(left)} wait for one another")
            ordered.update((p.label, p) for p in ready)
        return tuple(ordered.values())
