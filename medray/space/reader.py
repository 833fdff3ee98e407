"""The whole file: its small sections, what is fixed, the baselines, and that all of it fits together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from medray.config import Setting, check_of_task
from medray.errors import ConfigError, unknown_choice_line
from medray.space.combinations import longest_side
from medray.space.parameters_section import check_epochs, read_parameters
from medray.space.preparation import Preparation
from medray.space.published_section import read_published
from medray.space.search_space import (
    HOURS,
    Baseline,
    Budget,
    Parameter,
    Pipeline,
    Resources,
    SearchSpace,
    active_parameters,
)
from medray.space.yaml_fields import (
    at,
    check_field,
    check_fields,
    check_keys,
    check_setting_name,
    check_value,
    load_yaml,
    mapping,
    subsection,
)
from medray.stats.score_names import METRICS
from medray.tasks import SINGLE, TASKS

PREPARATION = ("images", "labels", "splits", "cases")
NEEDED = ("name", "data", "objective", "budget", "space")
SECTIONS = (
    *NEEDED, *PREPARATION, "task", "description", "resources", "fixed", "transforms", "baselines", "portfolio",
    "published",
)  # fmt: skip
BUDGET = {
    "trials": Setting(int, low=1),
    "max_epochs": Setting(int, low=1),
    "grace_epochs": Setting(int, low=1),
    "reduction_factor": Setting(int, low=2),
    "patience": Setting(int, low=1, optional=True),
    "hours": HOURS,
    "stop_when_flat": Setting(bool),
}
RESOURCES = {"cpu": Setting(float, above=0.0), "gpu": Setting(float, low=0.0), "workers": Setting(int, low=1)}


def read_space(text: str, path: str) -> SearchSpace:
    """Return the search space that a YAML text holds; `path` is only kept in it.

    Raises:
        ConfigError: something in it is missing, unknown or not allowed; the key is named.
    """
    root = load_yaml(text)
    check_keys(root, SECTIONS, needed=NEEDED)
    task = read_text(root, "task", SINGLE.name)
    if task not in TASKS:
        raise ConfigError(unknown_choice_line("task", task, TASKS), key="task")
    with subsection(root, "objective", needed=True) as section:
        metric = read_metric(section, task)
    with subsection(root, "budget", needed=True) as section:
        budget = read_budget(section)
    with subsection(root, "transforms") as section:
        transforms = read_transforms(section)
    with subsection(root, "space", needed=True) as section:
        parameters = read_parameters(section, transforms)
        check_epochs(parameters, budget.max_epochs)
    with subsection(root, "fixed") as section:
        fixed = read_settings(section, transforms)
        for name in fixed:
            if any(parameter.name == name for parameter in parameters):
                raise ConfigError(f"'{name}' is searched under space.{name} too; keep one", key=name)
    with subsection(root, "baselines") as section:
        baselines = read_baselines(section, parameters, transforms)
    with subsection(root, "portfolio") as section:
        portfolio = read_portfolio(section, parameters, transforms)
    with subsection(root, "resources") as section:
        resources = read_resources(section)
    published = None
    if root.get("published") is not None:
        with subsection(root, "published") as section:
            published = read_published(section, baselines)
    space = SearchSpace(
        name=read_text(root, "name"),
        path=path,
        text=text,
        description=read_text(root, "description", ""),
        data=read_text(root, "data"),
        task=task,
        preparation=Preparation.from_dict(
            {key: root[key] for key in PREPARATION if root.get(key) is not None}, task
        ),
        metric=metric,
        mode=METRICS[metric],
        budget=budget,
        resources=resources,
        parameters=parameters,
        fixed=fixed,
        transforms=transforms,
        baselines=baselines,
        published=published,
        portfolio=portfolio,
    )
    return replace(space, preparation=replace(space.preparation, longest=longest_side(space)))


def read_text(root: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """Return the text at `key`; without a `default` it may be neither missing nor empty."""
    value = root.get(key, default)
    if not isinstance(value, str) or (default is None and not value):
        raise ConfigError(f"{value!r} is not text", key=key)
    return value


def check_metric(metric: object, task: str | None = None) -> str:
    """Return the metric if there is one of that name, for the `task` where that is known.

    Raises:
        ConfigError: there is none; valid ones are named.
    """
    if not isinstance(metric, str) or metric not in METRICS:
        valid = METRICS if task is None else TASKS[task].metrics
        raise ConfigError(unknown_choice_line("metric", metric, valid), key="metric")
    if task is not None:
        check_of_task(task, "metric", metric)
    return metric


def read_metric(section: Mapping[str, Any], task: str) -> str:
    """Return the metric of the section `objective`, whose `mode` only says again which way it is better."""
    check_keys(section, ("metric", "mode"), needed=("metric",))
    metric, mode = check_metric(section["metric"], task), section.get("mode")
    if mode is not None and mode not in ("min", "max"):
        raise ConfigError(f"{mode!r} is not one of min, max", key="mode")
    if mode is not None and mode != METRICS[metric]:
        better = {"max": "higher", "min": "lower"}[METRICS[metric]]
        raise ConfigError(f"{metric} is better when {better}: write {METRICS[metric]}", key="mode")
    return metric


def read_budget(section: Mapping[str, Any]) -> Budget:
    """Return the budget, which has trials, hours or both."""
    fields = check_fields(section, BUDGET, needed=("max_epochs", "grace_epochs", "reduction_factor", "patience"))
    if "trials" not in fields and "hours" not in fields:
        raise ConfigError("lacks 'trials', and 'hours' too: one of them ends the search")
    return Budget(**{"trials": None, **fields})


def read_resources(section: Mapping[str, Any]) -> Resources:
    """Return what a trial takes; one core and no GPU where nothing is said."""
    fields = {"cpu": 1.0, "gpu": 0.0, **check_fields(section, RESOURCES)}
    cpu, gpu = fields["cpu"], fields["gpu"]
    if gpu > 1 and gpu % 1:
        raise ConfigError(f"{gpu:g} GPUs: above one only whole GPUs can be given", key="gpu")
    resources = Resources(**{"workers": max(1, int(gpu)), **fields})
    if gpu and resources.workers != max(1, int(gpu)):
        raise ConfigError(
            f"{resources.workers} for {gpu:g} GPUs: each process has a GPU of its own; leave it out, or `gpu`",
            key="workers",
        )
    if not gpu and 1 < resources.workers > cpu:
        raise ConfigError(f"{resources.workers} processes need as many cores, and `cpu` is {cpu:g}", key="workers")
    return resources


def read_transforms(section: Mapping[str, Any]) -> dict[str, Pipeline]:
    """Return the pipelines by name, with the empty one, `none`."""
    pipelines: dict[str, Pipeline] = {"none": ()}
    for name, steps in section.items():
        with at(name):
            if not isinstance(steps, list):
                raise ConfigError("must be a list of transforms, each as {Name: {argument: value}}")
            if name == "none" and steps:
                raise ConfigError("'none' is the empty pipeline; give this one another name")
            pipelines[str(name)] = tuple(read_step(i, step) for i, step in enumerate(steps))
    return pipelines


def read_step(index: int, step: object) -> dict[str, dict[str, Any]]:
    """Return step number `index` of a pipeline as `{transform: {argument: value}}`."""
    if isinstance(step, str):
        return {step: {}}
    if not isinstance(step, dict) or len(step) != 1:
        problem = f"{step!r} must be one transform, as {{Name: {{argument: value}}}}"
        raise ConfigError(problem, key=f"[{index}]")
    ((name, arguments),) = step.items()
    with at(f"[{index}].{name}"):
        return {str(name): mapping({} if arguments is None else arguments)}


def read_settings(section: Mapping[str, Any], transforms: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with a value each, as `fixed` and the baselines have them."""
    settings = {}
    for name, value in section.items():
        with at(name):
            check_setting_name(name)
            if name == "seed":
                raise ConfigError("the seed comes from --seed")
            settings[name] = check_value(name, value, transforms)
    return settings


def read_baselines(
    section: Mapping[str, Any], parameters: tuple[Parameter, ...], transforms: Mapping[str, Any]
) -> dict[str, Baseline]:
    """Return the baselines by name; those that are not `compare_only` lie in the space.

    What is searched only beside other settings than theirs, they may set all the same: it is theirs alone.
    """
    baselines = {}
    for name, content in section.items():
        with at(name):
            values = dict(mapping(content))
            compare_only = check_field("compare_only", Setting(bool), values.pop("compare_only", False))
            settings = read_settings(values, transforms)
            if not compare_only:
                check_in_space(settings, parameters)
            baselines[str(name)] = Baseline(settings, compare_only)
    return baselines


def read_portfolio(
    section: Mapping[str, Any], parameters: tuple[Parameter, ...], transforms: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the settings of the portfolio by name, which lie in the space and hold nothing else."""
    portfolio = {}
    searched = dict.fromkeys(p.name for p in parameters)
    for name, content in section.items():
        with at(name):
            settings = read_settings(mapping(content), transforms)
            for key in settings:
                if key not in searched:
                    raise ConfigError(
                        f"'{key}' is not searched: a portfolio has settings of `space` alone; write it under "
                        "`fixed`, or in a baseline",
                        key=key,
                    )
            check_in_space(settings, parameters)
            active = {parameter.name for parameter in active_parameters(parameters, settings)}
            for key in settings:
                if key not in active:
                    raise ConfigError(f"is outside the space: {when_drawn(key, parameters)}", key=key)
            portfolio[str(name)] = settings
    return portfolio


def check_in_space(settings: Mapping[str, Any], parameters: Sequence[Parameter]) -> None:
    """Check that settings have a value of each setting that would be drawn beside the others, within its range."""
    for parameter in active_parameters(parameters, settings):
        if parameter.name not in settings:
            raise ConfigError(f"lacks '{parameter.name}', which is searched: it needs a value of each")
        value = settings[parameter.name]
        if not parameter.holds(value):
            problem = f"{value!r} is outside the space: space.{parameter.label} is {parameter.allowed()}"
            raise ConfigError(problem, key=parameter.name)


def when_drawn(name: str, parameters: Sequence[Parameter]) -> str:
    """Return in words beside which others a setting is searched."""
    conditions = " or when ".join(
        " and ".join(f"{parent} is {' or '.join(map(str, values))}" for parent, values in p.when.items())
        for p in parameters
        if p.name == name
    )
    return f"it exists only when {conditions}"
