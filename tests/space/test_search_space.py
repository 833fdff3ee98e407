"""Search spaces: the one that ships, every refusal of a file, and what is drawn from a valid one."""

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.config import LBFGS, SETTINGS, TrainConfig
from medray.errors import ConfigError
from medray.search.search_options import SearchOptions, resolve_options
from medray.space.combinations import combinations, freezes_less
from medray.space.loading import load_space, parse
from medray.space.parameters_section import NOT_SEARCHED, VERBS
from medray.space.search_space import SearchSpace, longer_baselines
from medray.space.shipped import shipped_spaces
from medray.stats.score_names import METRICS
from medray.tasks import SINGLE

BASE = """\
name: mine
description: a space for tests
data: phantom
objective: {metric: auc, mode: max}
budget: {trials: 8, max_epochs: 6, grace_epochs: 2, reduction_factor: 2, patience: 3}
resources: {cpu: 1, gpu: 0.5}
space:
  backbone: {choice: [lenet5, resnet18]}
  optimizer: {choice: [adam, sgd]}
  learning_rate: {log: [0.0001, 0.01]}
  momentum: {uniform: [0.5, 0.9], when: {optimizer: sgd}}
  batch_size: {int: [16, 64]}
  transforms: {choice: [none, light]}
fixed:
  class_balance: loss
  gradient_clip: 5
transforms:
  light: [{Rotate: {limit: 30, p: 0.5}}, HorizontalFlip]
baselines:
  plain: {backbone: lenet5, optimizer: adam, learning_rate: 0.001, batch_size: 32, transforms: none, epochs: 5}
  fast: {backbone: lenet5, optimizer: sgd, learning_rate: 0.01, momentum: 0.9, batch_size: 64, transforms: light}
  big: {backbone: resnet152, batch_size: 8, compare_only: true}
"""


class Answers:
    """A chooser that answers from given values, and notes what it was asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values, self.asked = values, list[str]()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked.append(name)
        assert self.values[name] in choices
        return self.values[name]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked.append(name)
        assert low <= self.values[name] <= high
        return float(self.values[name])

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.asked.append(name)
        assert low <= self.values[name] <= high
        return int(self.values[name])


class Drawing:
    """A chooser that lets hypothesis choose, and notes what it was asked for."""

    def __init__(self, data: st.DataObject) -> None:
        self.data, self.asked = data, list[str]()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked.append(name)
        return self.data.draw(st.sampled_from(choices), name)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked.append(name)
        assert low <= high
        assert low > 0 or not log
        return self.data.draw(st.floats(low, high), name)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.asked.append(name)
        return self.data.draw(st.integers(low, high), name)


# -- what ships


@pytest.mark.parametrize("name", shipped_spaces())
def test_a_space_that_ships_loads(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    assert space.parameters
    assert space.baselines
    assert space.mode == METRICS[space.metric]
    assert yaml.safe_load(space.text)["name"] == name


def test_organs_ships() -> None:
    assert "organs" in shipped_spaces()


@pytest.mark.parametrize(
    ("name", "baseline"),
    [(name, baseline) for name in shipped_spaces() for baseline in load_space(name).baselines],
)
def test_draw_reproduces_a_shipped_baseline(name: str, baseline: str) -> None:
    space = load_space(name)
    wanted = space.baselines[baseline].settings
    drawn = space.baseline_draw(baseline)
    if space.baselines[baseline].compare_only:
        assert drawn == {}
        settings = {}
    else:
        names = {parameter.name for parameter in space.parameters if parameter.active(wanted)}
        settings = space.draw(Answers(drawn))
        assert settings == {k: v for k, v in wanted.items() if k in names}
    most = space.budget.max_epochs
    config = space.config(settings, seed=3, max_epochs=most, baseline=baseline)
    expected = {**space.fixed, **wanted, "epochs": min(most, wanted.get("epochs", most)), "seed": 3}
    assert {key: getattr(config, key) for key in expected} == expected
    assert config.pipeline == space.transforms[wanted.get("transforms", "none")]


# -- a small space


def load(tmp_path: Path, text: str) -> SearchSpace:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_space(str(path))


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    space = load(tmp_path, BASE)
    assert (space.name, space.data, space.metric, space.mode) == ("mine", "phantom", "auc", "max")
    assert space.path == str(tmp_path / "mine.yaml")
    assert space.text == BASE
    assert (space.resources.cpu, space.resources.gpu) == (1.0, 0.5)
    assert space.budget.patience == 3
    assert space.transforms == {"none": (), "light": ({"Rotate": {"limit": 30, "p": 0.5}}, {"HorizontalFlip": {}})}
    assert space.fixed == {"class_balance": "loss", "gradient_clip": 5.0}
    assert {p.name: (p.verb, p.values) for p in space.parameters} == {
        "backbone": ("choice", ("lenet5", "resnet18")),
        "optimizer": ("choice", ("adam", "sgd")),
        "learning_rate": ("log", (0.0001, 0.01)),
        "momentum": ("uniform", (0.5, 0.9)),
        "batch_size": ("int", (16, 64)),
        "transforms": ("choice", ("none", "light")),
    }


def test_what_may_be_left_out(tmp_path: Path) -> None:
    text = "".join(
        line + "\n"
        for line in BASE.partition("fixed:")[0].replace(", mode: max", "").splitlines()
        if not line.startswith(("resources", "description", "  transforms"))
    )
    space = load(tmp_path, text)
    assert (space.resources.cpu, space.resources.gpu) == (1.0, 0.0)
    assert (space.description, space.mode, space.fixed, space.baselines) == ("", "max", {}, {})


@pytest.mark.parametrize(
    ("written", "workers"),
    [("gpu: 0.5", 1), ("gpu: 1", 1), ("gpu: 2", 2), ("gpu: 4, workers: 4", 4), ("cpu: 3, workers: 3", 3)],
)
def test_a_trial_has_a_process_for_each_whole_gpu(tmp_path: Path, written: str, workers: int) -> None:
    space = load(tmp_path, BASE.replace("resources: {cpu: 1, gpu: 0.5}", f"resources: {{{written}}}"))
    assert space.resources.workers == workers


def test_a_config_takes_fixed_then_drawn_then_the_baselines_own(tmp_path: Path) -> None:
    space = load(tmp_path, BASE)
    config = space.config({"backbone": "resnet18", "transforms": "light"}, seed=1, max_epochs=4)
    assert (config.backbone, config.class_balance, config.monitor) == ("resnet18", "loss", "auc")
    assert (config.epochs, config.patience, config.seed) == (4, 3, 1)
    assert config.pipeline == space.transforms["light"]
    assert space.config({}, seed=0, max_epochs=4, baseline="plain").epochs == 4
    assert space.config({}, seed=0, max_epochs=100, baseline="plain").epochs == 5
    assert space.config({}, seed=0, max_epochs=100, baseline="big").batch_size == 8


def test_values_of_a_setting_come_with_their_keys(tmp_path: Path) -> None:
    space = load(tmp_path, BASE)
    assert list(space.values_of("backbone")) == [
        ("space.backbone.choice", "lenet5"),
        ("space.backbone.choice", "resnet18"),
        ("baselines.plain.backbone", "lenet5"),
        ("baselines.fast.backbone", "lenet5"),
        ("baselines.big.backbone", "resnet152"),
    ]
    assert list(space.values_of("class_balance")) == [("fixed.class_balance", "loss")]


# -- refusals


def refusal(text: str, path: str = "mine.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def edited(old: str, new: str) -> str:
    assert BASE.count(old) == 1, f"{old!r} is not once in BASE"
    return BASE.replace(old, new)


LR = "learning_rate: {log: [0.0001, 0.01]}"
MOMENTUM = "momentum: {uniform: [0.5, 0.9], when: {optimizer: sgd}}"
BATCH = "batch_size: {int: [16, 64]}"
OPT = "optimizer: {choice: [adam, sgd]}"
OBJ = "objective: {metric: auc, mode: max}"
FIXED = "  class_balance: loss\n"
PLAIN = "  plain: {backbone: lenet5, optimizer: adam, learning_rate: 0.001, batch_size: 32,"
LIGHT = "light: [{Rotate: {limit: 30, p: 0.5}}, HorizontalFlip]"

REFUSALS = [
    # sections
    (OBJ, OBJ + "\nbaseline: {}", ["mine.yaml: baseline: unknown key 'baseline'", "did you mean 'baselines'?"]),
    (OBJ, OBJ + "\n3: {}", ["mine.yaml: 3: unknown key '3'"]),
    (OBJ + "\n", "", ["mine.yaml: lacks 'objective'"]),
    ("name: mine", "name: 5", ["name: 5 is not text"]),
    ("name: mine", "name: ''", ["name: '' is not text"]),
    ("data: phantom", "data: [phantom]", ["data: ['phantom'] is not text"]),
    ("description: a space for tests", "description:", ["description: None is not text"]),
    ("budget: {", "budget: 5 # {", ["budget: must be a table of `key: value`, not 5"]),
    # objective
    (OBJ, "objective: {metric: acuracy}", [
        "objective.metric: unknown metric 'acuracy'", "did you mean 'accuracy'?", "log_loss"]),
    (OBJ, "objective: {metric: [auc]}", ["objective.metric: unknown metric"]),
    (OBJ, "objective: {mode: max}", ["objective: lacks 'metric'"]),
    (OBJ, "objective: {metric: auc, mode: min}", ["objective.mode: auc is better when higher: write max"]),
    (OBJ, "objective: {metric: log_loss, mode: max}", ["log_loss is better when lower: write min"]),
    (OBJ, "objective: {metric: auc, mode: best}", ["objective.mode: 'best' is not one of min, max"]),
    (OBJ, "objective: {metric: auc, moed: max}", ["objective.moed: unknown key 'moed'", "'mode'"]),
    # budget and resources
    ("trials: 8", "trails: 8", ["budget.trails: unknown key 'trails'", "did you mean 'trials'?"]),
    ("trials: 8, ", "", ["budget: lacks 'trials'"]),
    ("trials: 8", "trials: 0", ["budget.trials: 0 is not a whole number of 1 or more"]),
    ("trials: 8", "trials: 8.0", ["budget.trials: 8.0 is not a whole number"]),
    ("trials: 8", f"trials: 1{'0' * 400}", ["budget.trials: "]),
    ("reduction_factor: 2", "reduction_factor: 1", ["budget.reduction_factor: 1 is not a whole number of 2"]),
    ("patience: 3", "patience: never", ["budget.patience: 'never' is not a whole number of 1 or more or null"]),
    ("gpu: 0.5", "gpu: 1.5", ["resources.gpu: 1.5 GPUs", "only whole GPUs"]),
    ("gpu: 0.5", "gpu: -1", ["resources.gpu: -1.0 is not a number of 0 or more"]),
    ("gpu: 0.5", "gpus: 1", ["resources.gpus: unknown key 'gpus'", "did you mean 'gpu'?", "cpu, gpu"]),
    ("gpu: 0.5", "gpu: 2, workers: 3", ["resources.workers: 3 for 2 GPUs: each process has a GPU of its own"]),
    ("gpu: 0.5", "gpu: 0.5, workers: 2", ["resources.workers: 2 for 0.5 GPUs: each process has a GPU of its own"]),
    ("gpu: 0.5", "workers: 2", ["resources.workers: 2 processes need as many cores, and `cpu` is 1"]),
    ("gpu: 0.5", "workers: 0", ["resources.workers: 0 is not a whole number of 1 or more"]),
    ("cpu: 1", "cpu: 0", ["resources.cpu: 0.0 is not a number above 0"]),
    # parameters
    (LR, "learning_rte: {log: [0.1, 1]}", [
        "space.learning_rte: unknown setting 'learning_rte'", "did you mean 'learning_rate'?"]),
    (LR, "seed: {choice: [1, 2]}", ["space.seed: 'seed' can't be searched"]),
    (LR, "monitor: {choice: [auc]}", ["space.monitor: 'monitor' can't be searched"]),
    (LR, "epochs: {choice: [3, 99]}", ["space.epochs.choice: 99 is more than the 6 of budget.max_epochs"]),
    (LR, "learning_rate: {logg: [0.1, 1]}", [
        "space.learning_rate.logg: unknown verb 'logg'", "did you mean 'log'?", "choice, int, log, uniform"]),
    (LR, "learning_rate: {log: [0.1, 1], uniform: [0.1, 1]}", [
        "space.learning_rate: needs exactly one of choice, uniform, log, int"]),
    (LR, "learning_rate: {}", ["space.learning_rate: needs exactly one of"]),
    (LR, "learning_rate: 0.1", ["space.learning_rate: must be a table of `key: value`, not 0.1"]),
    (LR, "learning_rate: {log: [1e-4, 0.01]}", [
        "space.learning_rate.log[0]: '1e-4' is not a number", "YAML reads 1e-4 as text", "0.0001"]),
    (LR, "learning_rate: {choice: [0.1, 1e-4]}", [
        "space.learning_rate.choice[1]: '1e-4' is not a number above 0 up to 10", "YAML reads 1e-4 as text"]),
    (LR, "learning_rate: {log: [0.01, 0.0001]}", ["space.learning_rate.log: low 0.01 is above high 0.0001"]),
    (LR, "learning_rate: {log: [0, 0.01]}", ["space.learning_rate.log: a log range must start above 0, not at 0"]),
    (LR, "learning_rate: {uniform: [0, 0.01]}", ["space.learning_rate.uniform[0]: 0.0 is not a number above 0"]),
    (LR, "learning_rate: {log: [0.1, 11]}", ["space.learning_rate.log[1]: 11.0 is not a number above 0 up to 10"]),
    (LR, "learning_rate: {log: [0.1, .inf]}", ["space.learning_rate.log[1]: inf is not a number"]),
    (LR, "learning_rate: {log: [0.1, .nan]}", ["space.learning_rate.log[1]: nan is not a number"]),
    (LR, "learning_rate: {log: [0.1]}", ["space.learning_rate.log: must be [low, high], not [0.1]"]),
    (LR, "learning_rate: {log: 0.1}", ["space.learning_rate.log: must be [low, high], not 0.1"]),
    (LR, "learning_rate: {log: [0.1, true]}", ["space.learning_rate.log[1]: True is not a number"]),
    (LR, "learning_rate: {int: [1, 2]}", ["space.learning_rate.int:", "use uniform or log"]),
    (BATCH, "batch_size: {uniform: [16, 64]}", ["space.batch_size.uniform:", "whole number", "use int"]),
    (BATCH, "batch_size: {int: [16, 64.5]}", ["space.batch_size.int[1]: 64.5 is not a whole number"]),
    (BATCH, "batch_size: {int: [0, 64]}", ["space.batch_size.int[0]: 0 is not a whole number from 1 to 65536"]),
    (BATCH, "batch_size: {choice: [16, 16.0]}", ["space.batch_size.choice[1]: 16.0 is not a whole number"]),
    (OPT, "optimizer: {uniform: [0, 1]}", ["space.optimizer.uniform:", "one of adam, adamw, sgd", "use choice"]),
    (OPT, "optimizer: {choice: []}", ["space.optimizer.choice: must be a list of at least one value"]),
    (OPT, "optimizer: {choice: sgd}", ["space.optimizer.choice: must be a list"]),
    (OPT, "optimizer: {choice: [sgd, sgd]}", ["space.optimizer.choice: names a value twice"]),
    (OPT, "optimizer: {choice: [sgd, [adam]]}", ["space.optimizer.choice[1]: ['adam'] is not one of"]),
    (OPT, "optimizer: {choice: [sgd, adan]}", [
        "space.optimizer.choice[1]: 'adan' is not one of adam, adamw, sgd, rmsprop", "did you mean 'adam'?"]),
    (LR, "schedule: {choice: [off, cosine]}", [
        "space.schedule.choice[0]: False is not one of none, cosine", "YAML reads yes, no, on and off", "quotes"]),
    (LR, "pretrained: {choice: ['yes']}", ["space.pretrained.choice[0]: 'yes' is not true or false"]),
    (LR, "pretrained: {int: [0, 1]}", ["space.pretrained.int:", "true or false", "use choice"]),
    # conditions
    (MOMENTUM, "momentum: {uniform: [0.5, 0.9], when: {optimiser: sgd}}", [
        "space.momentum.when.optimiser: unknown searched choice 'optimiser'", "did you mean 'optimizer'?",
        "backbone, optimizer, transforms"]),
    (MOMENTUM, "momentum: {uniform: [0.5, 0.9], when: {learning_rate: 0.001}}", [
        "space.momentum.when.learning_rate: unknown searched choice 'learning_rate'"]),
    (MOMENTUM, "momentum: {uniform: [0.5, 0.9], when: {optimizer: sgdd}}", [
        "space.momentum.when.optimizer: 'sgdd' is not one of adam, sgd", "did you mean 'sgd'?"]),
    (MOMENTUM, "momentum: {uniform: [0.5, 0.9], when: {optimizer: [sgd, rmsprop]}}", [
        "space.momentum.when.optimizer: 'rmsprop' is not one of adam, sgd, the values of space.optimizer"]),
    (MOMENTUM, "momentum: {uniform: [0.5, 0.9], when: {optimizer: []}}", ["space.momentum.when.optimizer: "]),
    (MOMENTUM, "momentum: {uniform: [0.5, 0.9], when: sgd}", ["space.momentum.when: must be a table"]),
    (MOMENTUM, "momentum: {uniform: [0.5, 0.9], wen: {optimizer: sgd}}", [
        "space.momentum.wen: unknown verb 'wen'", "did you mean 'when'?"]),
    (OPT, "optimizer: {choice: [adam, sgd], when: {optimizer: sgd}}", ["space.optimizer.when.optimizer: unknown"]),
    (OPT, "optimizer: {choice: [adam, sgd], when: {schedule: step}}\n"
          "  schedule: {choice: [none, step], when: {optimizer: sgd}}", [
        "space.optimizer.when: a circle: optimizer,", "schedule", "wait for one another"]),
    # fixed
    (FIXED, "  clas_balance: loss\n", ["fixed.clas_balance: unknown setting", "did you mean 'class_balance'?"]),
    (FIXED, "  class_balance: lost\n", ["fixed.class_balance: 'lost' is not one of none, loss", "'loss'?"]),
    (FIXED, "  seed: 3\n", ["fixed.seed: the seed comes from --seed"]),
    (FIXED, "  optimizer: sgd\n", ["fixed.optimizer: 'optimizer' is searched under space.optimizer too"]),
    (FIXED, "  weight_decay: 1e-5\n", ["fixed.weight_decay: '1e-5' is not a number", "YAML reads 1e-5 as text"]),
    # transforms
    ("transforms: {choice: [none, light]}", "transforms: {choice: [none, ligt]}", [
        "space.transforms.choice[1]: unknown pipeline 'ligt'", "did you mean 'light'?", "valid: light, none"]),
    (LIGHT, "light: {Rotate: {limit: 30}}", ["transforms.light: must be a list of transforms"]),
    (LIGHT, "light: [{Rotate: {}, Flip: {}}]", ["transforms.light[0]: ", "must be one transform"]),
    (LIGHT, "light: [Rotate, 5]", ["transforms.light[1]: 5 must be one transform"]),
    (LIGHT, "light: [{Rotate: 30}]", ["transforms.light[0].Rotate: must be a table of `key: value`, not 30"]),
    (LIGHT, "light: [{Rotate: 0}]", ["transforms.light[0].Rotate: must be a table of `key: value`, not 0"]),
    (LIGHT, LIGHT + "\n  none: [Rotate]", ["transforms.none: 'none' is the empty pipeline"]),
    # baselines
    (PLAIN, PLAIN.replace("lenet5", "lenet"), [
        "baselines.plain.backbone: 'lenet' is outside the space: space.backbone is one of lenet5, resnet18"]),
    (PLAIN, PLAIN.replace("0.001", "0.1"), [
        "baselines.plain.learning_rate: 0.1 is outside the space: space.learning_rate is from 0.0001 to 0.01"]),
    (PLAIN, PLAIN.replace("adam", "sgd"), ["baselines.plain: lacks 'momentum'"]),
    (PLAIN, PLAIN.replace(" optimizer: adam,", ""), ["baselines.plain: lacks 'optimizer'"]),
    (PLAIN, PLAIN + " droput: 0.1,", ["baselines.plain.droput: unknown setting", "did you mean 'dropout'?"]),
    (PLAIN, PLAIN + " dropout: 2,", ["baselines.plain.dropout: 2.0 is not a number from 0 to 0.95"]),
    (PLAIN, PLAIN + " seed: 2,", ["baselines.plain.seed: the seed comes from --seed"]),
    ("compare_only: true", "compare_only: maybe", ["baselines.big.compare_only: 'maybe' is not true or false"]),
    ("compare_only: true", "transforms: hard, compare_only: true", [
        "baselines.big.transforms: unknown pipeline 'hard'", "valid: light, none"]),
    ("  big: {", "  big: 5 # {", ["baselines.big: must be a table of `key: value`, not 5"]),
    # YAML
    (FIXED, FIXED * 2, ["line 16, column 3: the key 'class_balance' is written twice"]),
    (OPT, OPT + "\n  " + OPT, ["the key 'optimizer' is written twice"]),
    ("patience: 3}", "patience: 3", ["mine.yaml: line "]),
    ("data: phantom", "data: 'phantom", ["mine.yaml: line "]),
    ("data: phantom", "data:\tphantom\n\tx: 1", ["mine.yaml: line "]),
    ("data: phantom", "data: \x07", ["mine.yaml: not YAML: "]),
    ("data: phantom", "data: !!python/object:os.system {}", ["mine.yaml: line 3", "tag"]),
    ("data: phantom", "data: *nothing", ["mine.yaml: line 3", "undefined alias"]),
    ("data: phantom", "data: phantom\n[a, b]: 1", ["mine.yaml: line 4", "a key must be a word"]),
    ("data: phantom", "data: 2024-13-01", ["mine.yaml: "]),
    ("data: phantom", "data: !!int phantom", ["mine.yaml: "]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "fragments"), REFUSALS, ids=[new.strip()[:60] for _, new, _ in REFUSALS])
def test_a_mistake_is_named_in_one_line(old: str, new: str, fragments: list[str]) -> None:
    message = refusal(edited(old, new))
    for fragment in fragments:
        assert fragment in message


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "must be a table of `key: value`, not None"),
        ("- a\n- b\n", "must be a table of `key: value`, not ['a', 'b']"),
        ("organs", "must be a table of `key: value`, not 'organs'"),
        ("{}", "lacks 'name'"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: but found another document"),
    ],
)
def test_a_file_that_is_no_table_is_refused(text: str, what: str) -> None:
    assert refusal(text) == f"mine.yaml: {what}"


@pytest.mark.parametrize("section", ["fixed", "transforms", "baselines", "resources"])
def test_a_section_that_is_no_table_is_refused_even_if_it_is_empty(section: str) -> None:
    text = BASE.partition("resources:")[0] + "space: {backbone: {choice: [lenet5]}}\n"
    assert parse(f"{text}{section}:\n", "mine.yaml").baselines == {}
    assert f"{section}: must be a table" in refusal(f"{text}{section}: []\n")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown search space 'organ' \(did you mean 'organs'\?\); valid: .*yaml"
    ):
        load_space("organ")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(ConfigError, match=r"^no such file: .*none\.yaml$"):
        load_space(str(path))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(BASE.replace("a space for tests", "órganos").encode("latin-1"))
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        load_space(str(path))


def test_settings_that_exclude_each_other_are_refused_before_anything_is_drawn() -> None:
    assert "weights" in refusal(edited(FIXED, "  pretrained: true\n  weights: a.safetensors\n"))


FREEZE = "  freeze_epochs: {choice: [0, 2]}\n"
TUNE = "  fine_tune_rate: {log: [0.00001, 0.001], when: {freeze_epochs: 2}}\n"


@pytest.mark.parametrize(
    ("section", "fragment"),
    [
        ("  freeze_epochs: {int: [0, 6]}\n", "space.freeze_epochs: 6 of 6 epochs leave none"),
        (FREEZE + "  fine_tune_rate: {log: [0.00001, 0.001]}\n", "space.fine_tune_rate: is the rate after"),
        (TUNE.replace("{freeze_epochs: 2}", "{optimizer: sgd}") + FREEZE, "space.fine_tune_rate: is the rate"),
        ("fixed: {freeze_epochs: 6}\n", "fixed.freeze_epochs: 6 of 6 epochs"),
        ("fixed: {fine_tune_rate: 0.1}\n", "fixed.fine_tune_rate: "),
        ("fixed: {freeze_epochs: 2}\nbaselines: {a: {epochs: 2, compare_only: true}}\n", "baselines.a.freeze_epochs: 2 of 2"),
    ],
)  # fmt: skip
def test_stages_that_can_not_be_are_refused_before_anything_is_drawn(section: str, fragment: str) -> None:
    assert fragment in refusal(staged(section))


def test_settings_that_never_come_together_do_not_contradict_each_other() -> None:
    space = parse(staged(FREEZE + TUNE), "mine.yaml")
    assert {p.name for p in space.parameters} >= {"freeze_epochs", "fine_tune_rate"}
    found = [settings for section, settings in combinations(space, ["fine_tune_rate"]) if section == "space"]
    assert found == [
        {"freeze_epochs": 0},
        {"freeze_epochs": 2, "fine_tune_rate": 0.00001},
        {"freeze_epochs": 2, "fine_tune_rate": 0.001},
    ]


@pytest.mark.parametrize(("max_epochs", "epochs", "frozen"), [(2, 2, 1), (5, 5, 2), (6, 6, 5), (100, 20, 5)])
def test_a_short_look_goes_through_both_stages(max_epochs: int, epochs: int, frozen: int) -> None:
    text = staged("fixed: {freeze_epochs: 5, fine_tune_rate: 0.001, epochs: 20}\n").replace(
        "max_epochs: 6", "max_epochs: 20"
    )
    space = parse(text, "mine.yaml")
    assert resolve_options(SearchOptions("mine", max_epochs=max_epochs), space).max_epochs == max_epochs
    config = space.config({"batch_size": 8}, seed=0, max_epochs=max_epochs)
    assert (config.epochs, config.freeze_epochs) == (epochs, frozen)
    assert freezes_less(space, max_epochs) == (frozen < 5)


def test_one_epoch_can_not_be_both_stages() -> None:
    space = parse(staged(FREEZE + TUNE), "mine.yaml")
    with pytest.raises(ConfigError, match=r"^--max-epochs 1: mine\.yaml: space\.freeze_epochs: 2 of 1"):
        resolve_options(SearchOptions("mine", max_epochs=1), space)


def staged(section: str) -> str:
    """A file whose `space` has the lines of `section`, or that has the sections."""
    return BASE.partition("fixed:")[0].replace("  transforms: {choice: [none, light]}\n", "") + section


# -- tasks


def ordered(text: str) -> str:
    return text.replace("name: ", "task: ordered\nname: ", 1)


def test_a_space_of_grades_searches_their_losses_and_can_be_judged_by_their_metrics() -> None:
    text = ordered(BASE.replace("metric: auc", "metric: grade_error").replace("mode: max", "mode: min"))
    space = parse(
        text.replace("\nspace:", "\nspace:\n  loss: {choice: [cumulative, corn]}", 1).partition("baselines:")[0],
        "mine.yaml",
    )
    assert (space.task, space.metric, space.mode) == ("ordered", "grade_error", "min")
    config = space.config({"loss": "corn"}, seed=0, max_epochs=9)
    assert (config.task, config.loss, config.monitor) == ("ordered", "corn", "grade_error")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (BASE.replace("metric: auc", "metric: quadratic_kappa"), "it is of `task: ordered`"),
        (BASE.replace("\nspace:", "\nspace:\n  loss: {choice: [corn]}", 1).partition("baselines:")[0], "it is of `task: ordered`"),
        (BASE.replace("\nspace:", "\nspace:\n  task: {choice: [ordered]}", 1), "write it at the top, as `task: ordered`"),
        (ordered(BASE).replace("ordered", "orderd"), "did you mean 'ordered'?"),
    ],
)  # fmt: skip
def test_what_is_of_another_task_is_refused_with_the_way_out(text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "mine.yaml")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


PORTFOLIO = "\nportfolio:\n  first: {backbone: lenet5, optimizer: adam, learning_rate: 0.001, batch_size: 32, transforms: none}\n"


def test_a_portfolio_lies_in_the_space_and_holds_nothing_else() -> None:
    space = parse(BASE + PORTFOLIO, "mine.yaml")
    assert space.draw_of(space.portfolio["first"]) == space.portfolio["first"]
    for old, new, line in (
        ("lenet5, opt", "vgg16, opt", "portfolio.first.backbone: 'vgg16' is outside the space"),
        ("first: {", "first: {epochs: 3, ", "portfolio.first.epochs: 'epochs' is not searched"),
        (" batch_size: 32,", "", "portfolio.first: lacks 'batch_size'"),
        (
            "first: {",
            "first: {momentum: 0.7, ",
            "portfolio.first.momentum: is outside the space: it exists only when",
        ),
        ("optimizer: adam", "optimizer: sgd", "portfolio.first: lacks 'momentum'"),
    ):
        with pytest.raises(ConfigError) as caught:
            parse(BASE + PORTFOLIO.replace(old, new), "mine.yaml")
        assert line in str(caught.value)


def test_a_baseline_may_have_a_setting_that_is_searched_only_beside_others() -> None:
    space = parse(BASE.replace(PLAIN, PLAIN + " momentum: 0.7,"), "mine.yaml")
    drawn = space.baseline_draw("plain")
    assert "momentum" not in drawn  # Optuna learns of what it would draw
    assert space.config(drawn, seed=0, max_epochs=4, baseline="plain").momentum == 0.7


def test_a_setting_of_several_ranges_is_a_parent_by_all_of_them() -> None:
    section = """space:
  backbone: {choice: [lenet5, resnet18]}
  optimizer:
    - {choice: [adam], when: {backbone: lenet5}}
    - {choice: [sgd, adamw], when: {backbone: resnet18}}
  momentum: {uniform: [0.5, 0.9], when: {optimizer: sgd}}
"""
    head = BASE.partition("space:")[0]
    space = parse(head + section, "mine.yaml")
    assert [p.label for p in space.parameters] == ["backbone", "optimizer[0]", "optimizer[1]", "momentum"]
    drawn = space.draw(Answers({"backbone": "resnet18", "optimizer[1]": "sgd", "momentum": 0.7}))
    assert drawn == {"backbone": "resnet18", "optimizer": "sgd", "momentum": 0.7}
    with pytest.raises(ConfigError, match="'rmsprop' is not one of adam, sgd, adamw"):
        parse(head + section.replace("optimizer: sgd}", "optimizer: rmsprop}"), "mine.yaml")


# -- random spaces

TEXTS = {
    "backbone": ["lenet5", "resnet18", "some_timm_model"],
    "transforms": ["none", "light"],
    "monitor": list(SINGLE.metrics),
    "loss": list(SINGLE.losses),
}
#: What can contradict another setting is left out, and has tests of its own.
SEARCHABLE = sorted(set(SETTINGS) - {*NOT_SEARCHED, "weights", "freeze_epochs", "fine_tune_rate", "task", "loss"})


def verbs_of(name: str) -> list[str]:
    setting = SETTINGS[name]
    if name == "image_size":  # images of each size are kept
        return ["choice"]
    return ["choice", *({int: ["int"], float: ["uniform", "log"]}.get(setting.type, []))]


def values_of(name: str) -> st.SearchStrategy[Any]:
    setting = SETTINGS[name]
    if name == "epochs":
        return st.integers(1, 6)  # of the budget
    if setting.choices or name in TEXTS:
        return st.sampled_from(TEXTS.get(name) or setting.choices)
    if setting.type is bool:
        return st.booleans()
    if setting.type is int:
        return st.integers(int(setting.low), int(min(setting.high, 10**9)))
    low = max(setting.low, setting.above)
    return st.floats(
        low, min(setting.high, 1e9), exclude_min=low == setting.above, allow_subnormal=False, allow_nan=False
    )


@st.composite
def specs(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """The `space` section of a valid file, in any order."""
    found: dict[str, dict[str, Any]] = {}
    for name in draw(st.lists(st.sampled_from(SEARCHABLE), unique=True, min_size=1, max_size=6)):
        verb = draw(st.sampled_from(verbs_of(name)))
        if verb == "choice":
            kind = values_of(name) | st.none() if SETTINGS[name].optional else values_of(name)
            kind = kind.filter(lambda value: value != LBFGS)  # which needs other settings
            spec: dict[str, Any] = {verb: draw(st.lists(kind, unique=True, min_size=1, max_size=4))}
        else:
            number = values_of(name).filter(lambda v: v > 0) if verb == "log" else values_of(name)
            spec = {verb: sorted([draw(number), draw(number)])}
        parents = [n for n, s in found.items() if "choice" in s]
        chosen = draw(st.lists(st.sampled_from(parents), unique=True, max_size=2)) if parents else []
        when = {p: draw(st.lists(st.sampled_from(found[p]["choice"]), unique=True, min_size=1)) for p in chosen}
        if when:
            one = draw(st.booleans())
            spec["when"] = {p: values[0] if one else values for p, values in when.items()}
        found[name] = spec
    return dict(draw(st.permutations(list(found.items()))))


def file_of(section: dict[str, Any]) -> str:
    head = BASE.partition("space:")[0]
    tail = {"space": section, "transforms": {"light": [{"Rotate": {"p": 0.5}}]}}
    return head + yaml.safe_dump(tail, sort_keys=False)


def is_active(name: str, section: dict[str, Any], drawn: Mapping[str, Any]) -> bool:
    conditions = section[name].get("when", {})
    return all(
        is_active(parent, section, drawn) and drawn[parent] in (values if isinstance(values, list) else [values])
        for parent, values in conditions.items()
    )


def lies_in(value: Any, spec: Mapping[str, Any]) -> bool:
    (verb,) = set(spec) & set(VERBS)
    return value in spec[verb] if verb == "choice" else spec[verb][0] <= value <= spec[verb][1]


@settings(deadline=None, max_examples=80)
@given(specs(), st.data())
def test_draws_from_a_valid_space_are_settings_that_a_training_takes(
    section: dict[str, Any], data: st.DataObject
) -> None:
    space = parse(file_of(section), "random.yaml")
    chooser = Drawing(data)
    drawn = space.draw(chooser)
    assert chooser.asked == list(drawn)
    assert set(drawn) == {name for name in section if is_active(name, section, drawn)}
    for name, value in drawn.items():
        assert lies_in(value, section[name])
        earlier = chooser.asked[: chooser.asked.index(name)]
        assert set(section[name].get("when", {})) <= set(earlier)
    config = space.config(drawn, seed=5, max_epochs=9)
    assert isinstance(config, TrainConfig)
    assert {name: getattr(config, name) for name in drawn} == drawn
    assert space.draw(Answers(drawn)) == drawn


WORDS = st.text(string.printable, max_size=12)
KEYS = [*SETTINGS, *VERBS, "when", "metric", "mode", "trials", "cpu", "gpu", "light", "plain", "compare_only"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.sampled_from(KEYS)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(
        ["name", "objective", "budget", "resources", "space", "fixed", "transforms", "baselines", "published"]
    ),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=6,
    ),
)
def test_any_nonsense_in_a_section_is_a_config_error(section: str, value: Any) -> None:
    text = yaml.safe_dump({**yaml.safe_load(BASE), section: value})
    try:
        parse(text, "mine.yaml")
        message = "mine.yaml: it is sense"
    except ConfigError as error:
        message = str(error)
    assert message.startswith("mine.yaml: ")
    assert "\n" not in message


@pytest.mark.parametrize(
    "section", ["space", "fixed", "transforms", "budget", "labels", "cases", "baselines", "task"]
)
def test_a_name_with_a_line_end_stays_on_one_line(section: str) -> None:
    value: Any = "a\nb" if section == "task" else {"a\nb": 1}
    with pytest.raises(ConfigError) as caught:
        parse(yaml.safe_dump({**yaml.safe_load(BASE), section: value}), "mine.yaml")
    assert "\n" not in str(caught.value)
    assert r"a\nb" in str(caught.value)


RANGES = """
  learning_rate:
    - {log: [0.001, 0.01], when: {optimizer: adam}}
    - {log: [0.01, 0.1], when: {optimizer: sgd}}
"""
SEVERAL = """
name: several
data: phantom
objective: {metric: auc}
budget: {trials: 6, max_epochs: 4, grace_epochs: 2, reduction_factor: 2, patience: null}
space:
  optimizer: {choice: [adam, sgd]}
""" + RANGES.lstrip("\n")


@pytest.mark.parametrize(("optimizer", "label"), [("adam", "learning_rate[0]"), ("sgd", "learning_rate[1]")])
def test_of_several_ranges_the_one_that_holds_is_drawn(tmp_path: Path, optimizer: str, label: str) -> None:
    space = load(tmp_path, SEVERAL)
    drawn = space.draw(Answers({"optimizer": optimizer, label: 0.01}))
    assert drawn == {"optimizer": optimizer, "learning_rate": 0.01}


def test_ranges_that_could_hold_together_are_refused(tmp_path: Path) -> None:
    for nested in ("{choice: [sgd]}", "[[sgd]]"):
        with pytest.raises(
            ConfigError, match=r"space\.learning_rate\[1\]\.when\.optimizer: is a value of 'optimizer'"
        ):
            load(tmp_path, SEVERAL.replace("when: {optimizer: sgd}", f"when: {{optimizer: {nested}}}"))
    with pytest.raises(
        ConfigError, match=r"space\.learning_rate\[1\]: could hold beside space\.learning_rate\[0\]"
    ):
        load(tmp_path, SEVERAL.replace("when: {optimizer: sgd}", "when: {optimizer: [sgd, adam]}"))


def test_a_head_that_is_fitted_at_once_has_a_number_of_views(tmp_path: Path) -> None:
    """Else the search would end when it draws both."""
    text = (
        SEVERAL.partition("space:")[0]
        + """
space:
  optimizer: {choice: [lbfgs, adamw]}
  transforms: {choice: [none, mirrored]}
transforms:
  mirrored: [HorizontalFlip: {p: 0.5}]
fixed: {backbone: resnet18, pretrained: true, trainable_blocks: 0, views: VIEWS}
"""
    )
    with pytest.raises(
        ConfigError, match=r"fixed\.views: with `optimizer: lbfgs` transforms need a number of views"
    ):
        load(tmp_path, text.replace("VIEWS", "null"))
    load(tmp_path, text.replace("VIEWS", "4"))


def test_a_baseline_is_held_to_the_range_of_its_own_optimizer(tmp_path: Path) -> None:
    text = SEVERAL + "baselines:\n  mine: {optimizer: sgd, learning_rate: 0.002}\n"
    with pytest.raises(
        ConfigError, match=r"0\.002 is outside the space: space\.learning_rate\[1\] is from 0\.01 to 0\.1"
    ):
        load(tmp_path, text)


def test_baselines_that_are_cut_short_are_known() -> None:
    asked = longer_baselines(load_space("bloodcells"), 40)
    assert asked == {"vgg16_fine_tuned": 60}
    assert longer_baselines(load_space("bloodcells"), 60) == {}


def test_sizes_are_searched_by_choice_and_the_largest_is_what_images_are_read_at() -> None:
    with pytest.raises(
        ConfigError, match=r"random.yaml: space.image_size.int: 'image_size' is searched by choice"
    ):
        parse(file_of({"image_size": {"int": [32, 64]}}), "random.yaml")
    space = parse(file_of({"image_size": {"choice": [128, 64]}}), "random.yaml")
    assert (space.image_sizes, space.preparation.longest) == ([64, 128], 128)
    sometimes = {
        "backbone": {"choice": ["lenet5", "resnet18"]},
        "image_size": {"choice": [64], "when": {"backbone": "resnet18"}},
    }
    assert parse(file_of(sometimes), "random.yaml").preparation.longest is None  # lenet5 sees them as they are
    free = parse(file_of({"image_size": {"choice": [128, None]}}), "random.yaml")
    assert (free.image_sizes, free.preparation.longest) == ([128], None)
