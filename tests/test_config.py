"""TrainConfig: its JSON, and the words with which it refuses a value."""

import dataclasses
import json
import math
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.config import LBFGS, SETTINGS, Setting, TrainConfig
from medray.errors import ConfigError
from medray.stats.score_names import METRICS
from medray.tasks import ORDERED, SEVERAL, SINGLE, TASKS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
PIPELINES = st.lists(
    st.dictionaries(st.text(min_size=1), st.dictionaries(st.text(), JSON, max_size=3), min_size=1, max_size=1),
    max_size=3,
)


def values_of(setting: Setting) -> st.SearchStrategy[Any]:
    """Every value that a setting allows."""
    found: st.SearchStrategy[Any]
    if setting.choices:
        found = st.sampled_from(setting.choices)
    elif setting.type is bool:
        found = st.booleans()
    elif setting.type is int:
        found = st.integers(int(setting.low), None if math.isinf(setting.high) else int(setting.high))
    elif setting.type is float:
        low = setting.low if math.isfinite(setting.low) else setting.above
        high = setting.high if math.isfinite(setting.high) else 1e300
        found = st.floats(low, high, exclude_min=math.isfinite(setting.above))
    else:
        found = st.text()
    return found | st.none() if setting.optional else found


def sensible(values: dict[str, Any]) -> dict[str, Any]:
    """Take away what excludes itself."""
    if values.get("weights") is not None:
        values = values | {"pretrained": False}
    if values.get("freeze_epochs", 0) >= values.get("epochs", 30):
        values = values | {"freeze_epochs": 0}
    monitor, loss = values.get("monitor", "auc"), values.get("loss", "cross_entropy")
    task = TASKS[values.get("task", SINGLE.name)]
    if monitor not in task.metrics or loss not in task.losses:
        of_monitor = [task for task in TASKS.values() if monitor in task.metrics]
        task = next((task for task in of_monitor if loss in task.losses), of_monitor[0])
        values = values | {"task": task.name, "loss": loss if loss in task.losses else task.losses[0]}
    if values.get("optimizer") == LBFGS:
        values |= {"trainable_blocks": 0, "freeze_epochs": 0, "mixup": 0.0, "dropout": 0.0, "head_width": None}
        values |= {"views": values.get("views") or 8}
    return values if values.get("freeze_epochs") else values | {"fine_tune_rate": None}


CONFIGS = st.fixed_dictionaries(
    {}, optional={name: values_of(setting) for name, setting in SETTINGS.items()} | {"pipeline": PIPELINES}
).map(sensible)


@settings(deadline=None, max_examples=80)
@given(CONFIGS)
def test_a_config_comes_back_whole_from_json(values: dict[str, Any]) -> None:
    config = TrainConfig.from_dict(values)
    again = TrainConfig.from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False)))
    assert again == config
    assert again.to_dict() == config.to_dict()
    assert {name: getattr(config, name) for name in values if name != "pipeline"} == {
        name: value for name, value in values.items() if name != "pipeline"
    }


def test_the_dict_is_the_callers_own() -> None:
    config = TrainConfig(pipeline=({"Rotate": {"limit": [1, 2]}},))
    config.to_dict()["pipeline"][0]["Rotate"]["limit"].append(3)
    assert config.pipeline == ({"Rotate": {"limit": [1, 2]}},)


def test_a_config_can_not_be_changed() -> None:
    config = TrainConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 3  # type: ignore[misc]


def test_every_field_but_the_pipeline_is_a_setting() -> None:
    assert {f.name for f in dataclasses.fields(TrainConfig)} == {*SETTINGS, "pipeline"}


def test_a_whole_number_may_stand_for_a_number() -> None:
    config = TrainConfig(dropout=0, learning_rate=1)
    assert type(config.dropout) is float
    assert type(config.learning_rate) is float
    assert config.to_dict() == TrainConfig(dropout=0.0, learning_rate=1.0).to_dict()


@pytest.mark.parametrize("metric", METRICS)
def test_mode_is_that_of_the_monitored_metric(metric: str) -> None:
    lower = ("log_loss", "calibration_error", "grade_error")
    task = next(task.name for task in (ORDERED, SEVERAL) if metric in task.metrics)
    assert TrainConfig(task=task, monitor=metric).mode == ("min" if metric in lower else "max")


def test_a_metric_or_loss_of_another_task_is_refused_with_the_task() -> None:
    message = refusal({"monitor": "quadratic_kappa"})
    assert "task 'single' has no quadratic_kappa; it is of `task: ordered`; valid: auc" in message
    assert "task 'single' has no corn; it is of `task: ordered`; valid: cross_entropy" in refusal({"loss": "corn"})


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("learning_rat", "learning_rate"), ("Batch_Size", "batch_size"), ("optimiser", "optimizer"), ("lr", None)],
)
def test_an_unknown_setting_is_named_with_its_nearest(key: str, nearest: str | None) -> None:
    message = refusal({key: 1})
    assert f"unknown setting '{key}'" in message
    assert (f"did you mean '{nearest}'" in message) if nearest else "did you mean" not in message
    assert all(name in message for name in SETTINGS)


def refusal(values: dict[str, Any]) -> str:
    """The one line with which `values` are refused."""
    with pytest.raises(ConfigError) as caught:
        TrainConfig.from_dict(values)
    message = str(caught.value)
    assert "\n" not in message
    return message


def bad_values(setting: Setting) -> list[Any]:
    wrong: list[Any] = [[], {}, [1], b"x"]
    if not setting.optional:
        wrong.append(None)
    if setting.type is not bool:
        wrong += [True, False]
    if setting.type is str:
        wrong += [1, 0.5] + (["", "x y"] if setting.choices else [])
    else:
        wrong += ["", "x", "1", "true"]
    if setting.type is bool:
        wrong += [0, 1, 1.0]
    if setting.type is int:
        wrong += [1.0, 1.5]
    if setting.type in (int, float):
        wrong += [math.nan, math.inf, -math.inf]
        wrong += [bound for bound in (setting.low - 1, setting.high + 1) if math.isfinite(bound)]
        wrong += [setting.above] if math.isfinite(setting.above) else []
    return wrong


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, setting in SETTINGS.items() for value in bad_values(setting)]
)
def test_a_bad_value_is_refused_with_what_is_allowed(name: str, value: object) -> None:
    message = refusal({name: value})
    assert message.startswith(f"{name}: ")
    assert SETTINGS[name].allowed() in message
    assert ("null" if value is None else repr(value)) in message


@pytest.mark.parametrize(
    ("values", "fragments"),
    [
        ({"optimizer": "adamm"}, ["'adamm'", "one of adam, adamw, sgd, rmsprop", "did you mean 'adam"]),
        ({"monitor": "f1macro"}, ["did you mean 'f1_macro'?"]),
        ({"learning_rate": 0}, ["0.0 is not a number above 0 up to 10"]),
        ({"dropout": 0.96}, ["0.96 is not a number from 0 to 0.95"]),
        ({"min_delta": -1}, ["-1.0 is not a number of 0 or more"]),
        ({"batch_size": 0}, ["0 is not a whole number from 1 to 65536"]),
        ({"patience": 0}, ["0 is not a whole number of 1 or more or null"]),
        ({"pretrained": "yes"}, ["'yes' is not true or false"]),
        ({"schedule": False}, ["YAML reads yes, no, on and off as true or false", "in quotes"]),
        ({"pretrained": True, "weights": "a.safetensors"}, ["weights:", "pretrained", "not both"]),
        ({"freeze_epochs": 5, "epochs": 5}, ["freeze_epochs: 5 of 5 epochs leave none", "`trainable_blocks: 0`"]),
        ({"freeze_epochs": 31}, ["freeze_epochs: 31 of 30 epochs"]),
        ({"fine_tune_rate": 0.1}, ["fine_tune_rate: ", "`freeze_epochs`, which is 0", "`learning_rate`"]),
        ({"trainable_blocks": -1}, ["-1 is not a whole number of 0 or more or null"]),
    ],
)
def test_the_words_of_a_refusal(values: dict[str, Any], fragments: list[str]) -> None:
    message = refusal(values)
    for fragment in fragments:
        assert fragment in message


@pytest.mark.parametrize("pipeline", [None, "Rotate", 5, ["Rotate"], [["Rotate"]], {"Rotate": {}}])
def test_a_pipeline_that_is_none_is_refused(pipeline: object) -> None:
    assert refusal({"pipeline": pipeline}).startswith("pipeline: ")


@pytest.mark.parametrize("name", ["learning_rate", "batch_size", "patience"])
def test_a_number_beyond_any_float_is_refused(name: str) -> None:
    assert refusal({name: 10**400}).startswith(f"{name}: ")


def spellings(message: str) -> list[str]:
    """What a message says to write for a number that YAML reads as text."""
    found = re.search(r"YAML reads \S+ as text; write (\S+)(?: or (\S+))?$", message)
    assert found, message
    return [word for word in found.groups() if word]


@pytest.mark.parametrize("text", ["1e-4", "1e-5", "3e-3", "1E-3", "1e0", "5e+0", "1.5e0"])
def test_the_hint_for_a_float_that_yaml_reads_as_text_is_right(text: str) -> None:
    assert yaml.safe_load(text) == text
    for word in spellings(refusal({"learning_rate": text})):
        read = yaml.safe_load(word)
        assert read == pytest.approx(float(text)), f"YAML reads the advised {word} as {read!r}"
        assert TrainConfig(learning_rate=read).learning_rate == pytest.approx(float(text))


@pytest.mark.parametrize("text", ["1e2", "1E3"])
def test_the_hint_for_a_whole_number_is_a_whole_number(text: str) -> None:
    for word in spellings(refusal({"batch_size": text})):
        assert TrainConfig(batch_size=yaml.safe_load(word)).batch_size == float(text)
