"""Reads a search space from YAML and checks it.

    name: organs
    data: medmnist:organsmnist
    objective: {metric: auc, mode: max}
    budget: {trials: 40, max_epochs: 40, grace_epochs: 10, reduction_factor: 2, patience: 10}
    resources: {cpu: 1, gpu: 0.25}
    space:
      optimizer: {choice: [adam, sgd]}
      learning_rate: {log: [0.0001, 0.01]}
      momentum: {uniform: [0.5, 0.99], when: {optimizer: sgd}}
    fixed: {class_balance: loss}
    transforms:
      light: [{Rotate: {limit: 30, p: 0.5}}]
    baselines:
      plain: {optimizer: adam, learning_rate: 0.001}

Whether a backbone or a transform exists is asked of the training core (`medray.training.check`). Every error
names the file, the key, what is allowed and the nearest spelling.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from medray.config import METRICS, SETTINGS, Setting
from medray.errors import ConfigError, nearest, unknown
from medray.space import Baseline, Budget, Parameter, Resources, SearchSpace

VERBS = ("choice", "uniform", "log", "int")
NOT_SEARCHED = ("seed", "epochs", "monitor")  # of the command, the budget and the objective


def parse(text: str, path: str) -> SearchSpace:
    """Check the text of a search space; `path` is what errors call it.

    Raises:
        ConfigError: something in it is wrong.
    """
    return _Reader(path, text).space()


def shipped_folder() -> Path:
    """Where the search spaces are: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def shipped_spaces() -> list[str]:
    """Names of the search spaces that ship with medray."""
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def find_space(name_or_path: str) -> Path:
    """Return the file of a search space, by name or path."""
    if name_or_path in shipped_spaces():
        return shipped_folder() / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path
        raise ConfigError(f"no such file: {name_or_path}")
    message = unknown("search space", name_or_path, shipped_spaces())
    raise ConfigError(f"{message}; or give the path of a .yaml file")


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, which YAML would silently let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Reader:
    """Turns the text of one file into a SearchSpace, and names file and key in every error."""

    SECTIONS = (
        "name", "description", "data", "objective", "budget", "resources", "space", "fixed", "transforms",
        "baselines",
    )  # fmt: skip
    NEEDED = ("name", "data", "objective", "budget", "space")
    BUDGET: ClassVar = {
        "trials": Setting(int, low=1),
        "max_epochs": Setting(int, low=1),
        "grace_epochs": Setting(int, low=1),
        "reduction_factor": Setting(int, low=2),
        "patience": Setting(int, low=1, optional=True),
    }
    RESOURCES: ClassVar = {"cpu": Setting(float, above=0.0), "gpu": Setting(float, low=0.0)}

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.root = self._mapping("", self._yaml(text))
        self._known_keys("", self.root, self.SECTIONS, needed=self.NEEDED)

    def fail(self, key: str, what: str) -> ConfigError:
        return ConfigError(f"{self.path}: {key}: {what}" if key else f"{self.path}: {what}")

    def space(self) -> SearchSpace:
        metric, mode = self._objective()
        budget = self._budget()
        transforms = self._transforms()
        parameters = self._parameters(transforms)
        names = {parameter.name for parameter in parameters}
        fixed = self._settings("fixed", self._section("fixed"), transforms)
        for name in fixed:
            if name in names:
                raise self.fail(f"fixed.{name}", f"'{name}' is searched under space.{name} too; keep one")
        baselines = self._baselines(parameters, transforms)
        self._check_starts(parameters, fixed, baselines)
        return SearchSpace(
            name=self._text("name"),
            path=self.path,
            text=self.text,
            description=self._text("description", ""),
            data=self._text("data"),
            metric=metric,
            mode=mode,
            budget=budget,
            resources=self._resources(),
            parameters=parameters,
            fixed=fixed,
            transforms=transforms,
            baselines=baselines,
        )

    # -- the small sections

    def _yaml(self, text: str) -> object:
        try:
            return yaml.load(text, Loader=_UniqueKeys)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            raise self.fail("", f"{where}{error.problem or error.context}") from None
        except (yaml.YAMLError, ValueError) as error:  # a ValueError of a date or a number that is none
            raise self.fail("", "not YAML: " + " ".join(str(error).split())) from None

    def _text(self, key: str, default: str | None = None) -> str:
        value = self.root.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise self.fail(key, f"{value!r} is not text")
        return value

    def _objective(self) -> tuple[str, str]:
        section = self._mapping("objective", self.root["objective"])
        self._known_keys("objective", section, ("metric", "mode"), needed=("metric",))
        metric, mode = section["metric"], section.get("mode")
        if not isinstance(metric, str) or metric not in METRICS:
            raise self.fail("objective.metric", unknown("metric", metric, METRICS))
        if mode is not None and mode not in ("min", "max"):
            raise self.fail("objective.mode", f"{mode!r} is not one of min, max")
        if mode is not None and mode != METRICS[metric]:
            better = {"max": "higher", "min": "lower"}[METRICS[metric]]
            raise self.fail("objective.mode", f"{metric} is better when {better}: write {METRICS[metric]}")
        return metric, METRICS[metric]

    def _budget(self) -> Budget:
        section = self._mapping("budget", self.root["budget"])
        self._known_keys("budget", section, self.BUDGET, needed=tuple(self.BUDGET))
        checked: Any = {key: self._check(f"budget.{key}", self.BUDGET[key], v) for key, v in section.items()}
        return Budget(**checked)

    def _resources(self) -> Resources:
        section = self._section("resources")
        self._known_keys("resources", section, self.RESOURCES)
        given: Any = {key: self._check(f"resources.{key}", self.RESOURCES[key], v) for key, v in section.items()}
        resources = Resources(**{"cpu": 1.0, "gpu": 0.0, **given})
        if resources.gpu > 1 and resources.gpu % 1:
            raise self.fail("resources.gpu", f"{resources.gpu:g} GPUs: above one only whole GPUs can be given")
        return resources

    def _transforms(self) -> dict[str, tuple[Mapping[str, Mapping[str, Any]], ...]]:
        section = self._section("transforms")
        pipelines: dict[str, tuple[Mapping[str, Mapping[str, Any]], ...]] = {"none": ()}
        for name, steps in section.items():
            key = f"transforms.{name}"
            if not isinstance(steps, list):
                raise self.fail(key, "must be a list of transforms, each as {Name: {argument: value}}")
            if name == "none" and steps:
                raise self.fail(key, "'none' is the empty pipeline; give this one another name")
            pipelines[str(name)] = tuple(self._step(f"{key}[{i}]", step) for i, step in enumerate(steps))
        return pipelines

    def _step(self, key: str, step: object) -> Mapping[str, Mapping[str, Any]]:
        if isinstance(step, str):
            return {step: {}}
        if not isinstance(step, dict) or len(step) != 1:
            raise self.fail(key, f"{step!r} must be one transform, as {{Name: {{argument: value}}}}")
        ((name, arguments),) = step.items()
        return {str(name): self._mapping(f"{key}.{name}", {} if arguments is None else arguments)}

    # -- space, fixed, baselines

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
                raise self.fail(f"{key}.{word}", unknown("verb", word, (*VERBS, "when")))
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
                raise self.fail(key, unknown("searched choice", parent, choices))
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

    def _settings(self, key: str, section: object, transforms: Mapping[str, Any]) -> dict[str, Any]:
        checked = {}
        for name, value in self._mapping(key, section).items():
            self._known_setting(f"{key}.{name}", name)
            if name == "seed":
                raise self.fail(f"{key}.seed", "the seed comes from --seed")
            checked[name] = self._value(f"{key}.{name}", name, value, transforms)
        return checked

    def _baselines(self, parameters: tuple[Parameter, ...], transforms: Mapping[str, Any]) -> dict[str, Baseline]:
        baselines = {}
        for name, section in self._section("baselines").items():
            key = f"baselines.{name}"
            given = dict(self._mapping(key, section))
            compare_only = self._check(f"{key}.compare_only", Setting(bool), given.pop("compare_only", False))
            settings = self._settings(key, given, transforms)
            for searched in () if compare_only else dict.fromkeys(p.name for p in parameters):
                self._check_in_space(key, settings, [p for p in parameters if p.name == searched])
            baselines[str(name)] = Baseline(settings, compare_only)
        return baselines

    def _check_in_space(self, key: str, settings: Mapping[str, Any], ranges: Sequence[Parameter]) -> None:
        """Check a baseline against the ranges of one searched setting, of which one at most holds."""
        name = ranges[0].name
        holding = next((p for p in ranges if p.active(settings)), None)
        if holding is None:
            if name in settings:
                conditions = " or when ".join(
                    " and ".join(f"{parent} is {' or '.join(map(str, v))}" for parent, v in p.when.items())
                    for p in ranges
                )
                raise self.fail(f"{key}.{name}", f"is outside the space: it exists only when {conditions}")
        elif name not in settings:
            raise self.fail(key, f"lacks '{name}', which is searched: a baseline gives a value to each")
        elif not holding.holds(settings[name]):
            what = f"{settings[name]!r} is outside the space: space.{holding.label} is {holding.allowed()}"
            raise self.fail(f"{key}.{name}", what)

    def _check_starts(
        self, parameters: tuple[Parameter, ...], fixed: Mapping[str, Any], baselines: Mapping[str, Baseline]
    ) -> None:
        """No training may be asked to start both from a hub's weights and from a file's."""
        searched = {p.name: p.values for p in parameters if p.verb == "choice"}
        possible = {**{name: (value,) for name, value in fixed.items()}, **searched}
        wholes = [("fixed" if "weights" in fixed else "space", possible)]
        for name, baseline in baselines.items():
            own = {key: (value,) for key, value in baseline.settings.items()}
            wholes.append((f"baselines.{name}", {**possible, **own}))
        for key, values in wholes:
            if True in values.get("pretrained", ()) and any(values.get("weights", ())):
                raise self.fail(
                    f"{key}.weights", "give either `pretrained: true` or a file in `weights`, not both"
                )

    # -- checks that name file and key

    def _value(self, key: str, name: str, value: object, transforms: Mapping[str, Any]) -> Any:
        value = self._check(key, SETTINGS[name], value)
        if name == "transforms" and value not in transforms:
            raise self.fail(key, unknown("pipeline", value, transforms))
        if name == "weights" and value is not None:
            return str(Path(str(value)).expanduser().absolute())  # workers have a folder of their own
        return value

    def _check(self, key: str, setting: Setting, value: object) -> Any:
        try:
            return setting.check(value)
        except ConfigError as error:
            raise self.fail(key, str(error)) from None

    def _known_setting(self, key: str, name: object) -> None:
        if name not in SETTINGS:
            raise self.fail(key, unknown("setting", name, SETTINGS))

    def _known_keys(
        self, key: str, section: Mapping[Any, Any], valid: Sequence[str] | Mapping[str, Any],
        needed: Sequence[str] = (),
    ) -> None:  # fmt: skip
        for word in section:
            if word not in valid:
                raise self.fail(f"{key}.{word}" if key else str(word), unknown("key", word, valid))
        for word in needed:
            if word not in section:
                raise self.fail(key, f"lacks '{word}'")

    def _section(self, key: str) -> dict[str, Any]:
        """A section that may be left out, or left empty."""
        value = self.root.get(key)
        return {} if value is None else self._mapping(key, value)

    def _mapping(self, key: str, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(key, f"must be a table of `key: value`, not {value!r}")
        return value
