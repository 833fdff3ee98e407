"""The whole file: its small sections, what is fixed, the baselines, and that all of it fits together."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from medray.config import METRICS, Setting
from medray.errors import ConfigError, unknown_choice_line
from medray.space.parameters_section import ParametersReader
from medray.space.preparation import Preparation
from medray.space.published_section import PublishedReader
from medray.space.search_space import Baseline, Budget, Parameter, Resources, SearchSpace

PREPARATION = ("images", "labels", "splits")


class SpaceReader(ParametersReader, PublishedReader):
    """Turns the text of one file into a SearchSpace, and names file and key in every error."""

    SECTIONS = (
        "name", "description", "data", *PREPARATION, "objective", "budget", "resources", "space", "fixed",
        "transforms", "baselines", "published",
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
        super().__init__(path, text)
        self._known_keys("", self.root, self.SECTIONS, needed=self.NEEDED)

    def space(self) -> SearchSpace:
        """Read all of it."""
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
        return SearchSpace(
            name=self._text("name"),
            path=self.path,
            text=self.text,
            description=self._text("description", ""),
            data=self._text("data"),
            preparation=self._preparation(),
            metric=metric,
            mode=mode,
            budget=budget,
            resources=self._resources(),
            parameters=parameters,
            fixed=fixed,
            transforms=transforms,
            baselines=baselines,
            published=self._published(baselines),
        )

    # -- the small sections
    def _text(self, key: str, default: str | None = None) -> str:
        value = self.root.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise self.fail(key, f"{value!r} is not text")
        return value

    def _preparation(self) -> Preparation:
        try:
            return Preparation.from_dict({key: self._section(key) for key in PREPARATION})
        except ConfigError as error:
            key, _, what = str(error).partition(": ")
            raise self.fail(key, what) from None

    def _objective(self) -> tuple[str, str]:
        section = self._mapping("objective", self.root["objective"])
        self._known_keys("objective", section, ("metric", "mode"), needed=("metric",))
        metric, mode = section["metric"], section.get("mode")
        if not isinstance(metric, str) or metric not in METRICS:
            raise self.fail("objective.metric", unknown_choice_line("metric", metric, METRICS))
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

    # -- fixed, baselines

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
