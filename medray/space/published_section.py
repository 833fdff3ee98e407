"""The section `published`: what a report has published of the baselines."""

from collections.abc import Collection, Mapping
from typing import Any

from medray.config import Setting
from medray.errors import ConfigError, unknown_choice_line
from medray.space.published import (
    FIGURES,
    FOLDS,
    MEASURED_ON,
    POSITIVE_CLASS_METRICS,
    Figure,
    Published,
    PublishedModel,
)
from medray.space.yaml_fields import at, check_field, check_fields, check_keys, mapping, subsection

TEXT_KEYS = ("report", "data", "source", "positive", "note")
IMAGE_COUNTS = dict.fromkeys(("train", "val", "test"), Setting(int, low=1))
AVERAGE_KEY = "average_of"


def read_published(section: Mapping[str, Any], baselines: Collection[str]) -> Published:
    """Return the section; `baselines` are the names of the search space's baselines.

    Raises:
        ConfigError: something in it is missing, unknown or not allowed.
    """
    check_keys(section, (*TEXT_KEYS, "images", "figures"), needed=("report", "data"))
    texts = {}
    for key in TEXT_KEYS:
        if key in section:
            texts[key] = " ".join(check_field(key, Setting(str), section[key]).split())
            if not texts[key]:
                raise ConfigError("is empty", key=key)
    with subsection(section, "images", needed="images" in section) as images:
        check_fields(images, IMAGE_COUNTS)
    models = []
    with subsection(section, "figures", needed="figures" in section) as figures:
        for name, content in figures.items():
            with at(name):
                models.append(read_model(str(name), mapping(content), baselines, "positive" in texts))
    return Published(
        report=texts["report"],
        data=texts["data"],
        source=texts.get("source"),
        images=images,
        positive=texts.get("positive"),
        note=texts.get("note"),
        models=tuple(models),
    )


def read_model(
    name: str, section: Mapping[str, Any], baselines: Collection[str], has_positive: bool
) -> PublishedModel:
    """Return the figures of one model by split; it is a baseline, or an average of several."""
    check_keys(section, (AVERAGE_KEY, *MEASURED_ON))
    average_of: tuple[str, ...] = ()
    if AVERAGE_KEY in section:
        with at(AVERAGE_KEY):
            average_of = read_average_of(section[AVERAGE_KEY], baselines)
    elif name not in baselines:
        problem = unknown_choice_line("baseline", name, baselines)
        raise ConfigError(f"{problem}; a mean of several baselines needs {AVERAGE_KEY}")
    if average_of and name in baselines:
        raise ConfigError(f"'{name}' is a baseline: a mean of several needs a name of its own")
    splits = {}
    for split in MEASURED_ON:
        if split in section:
            with at(split):
                splits[split] = read_figures(split, mapping(section[split]), has_positive)
    if not splits:
        raise ConfigError(f"has no figures: it needs one of {', '.join(MEASURED_ON)}")
    return PublishedModel(name, average_of, splits)


def read_average_of(value: object, baselines: Collection[str]) -> tuple[str, ...]:
    """Return the names of at least two baselines, each once."""
    if not isinstance(value, list) or len(value) < 2:
        raise ConfigError("must be a list of at least two baselines")
    names = tuple(map(str, value))
    for name in names:
        if name not in baselines:
            raise ConfigError(unknown_choice_line("baseline", name, baselines))
    if len(set(names)) < len(names):
        raise ConfigError("names a baseline twice")
    return names


def read_figures(split: str, section: Mapping[str, Any], has_positive: bool) -> dict[str, Figure]:
    """Return the figures of one split by metric: a number each, over folds also `{mean, sd}`."""
    if not section:
        raise ConfigError("has no figures")
    figures = {}
    for metric, value in section.items():
        with at(metric):
            if metric not in FIGURES:
                raise ConfigError(unknown_choice_line("metric", metric, FIGURES))
            if metric in POSITIVE_CLASS_METRICS and not has_positive:
                raise ConfigError("needs published.positive, the class that it is of")
            if split == FOLDS and isinstance(value, dict):
                spread = {"mean": FIGURES[metric], "sd": Setting(float, low=0.0)}
                figures[metric] = Figure(**check_fields(value, spread, needed=("mean", "sd")))
            else:
                figures[metric] = Figure(FIGURES[metric].check(value))  # type: ignore[arg-type]
    return figures
