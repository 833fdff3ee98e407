"""TrainConfig: all settings of one training, frozen, and to and from JSON.

Every setting is declared once, as a field with its `Setting`: the search space, the command line and a
stored config are all checked against the same table, with the same messages.
"""

import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medray.errors import ConfigError, nearest, unknown_choice_line
from medray.stats.score_names import METRICS
from medray.tasks import TASKS

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
LBFGS = "lbfgs"
POOLINGS = LAST, STAGES, MIRRORED = ("last", "stages", "mirrored")
SCHEDULES = ("none", "cosine", "step", "plateau", "one_cycle")
BALANCES = ("none", "loss", "sampler")
LOSSES = tuple(dict.fromkeys(loss for task in TASKS.values() for loss in task.losses))
LARGEST_SIDE = 4096  # pixels of an image
LARGEST = 10**300  # of a number; beyond it a float would overflow
PRECISIONS = ("auto", "float32")


@dataclass(frozen=True)
class Setting:
    """The values that one setting may have: its type, its range or its choices."""

    type: type
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    choices: tuple[str, ...] = ()
    optional: bool = False

    def allowed(self) -> str:
        """Return what is allowed in words, for an error's line."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
        text = words.get(self.type, self.type.__name__)
        if math.isfinite(self.above):
            text += f" above {self.above:g}"
        if math.isfinite(self.low) and math.isfinite(self.high):
            text += f" from {self.low:g} to {self.high:g}"
        elif math.isfinite(self.low):
            text += f" of {self.low:g} or more"
        elif math.isfinite(self.high):
            text += f" up to {self.high:g}"
        return text + (" or null" if self.optional else "")

    def check(self, value: object) -> object:
        """Return `value` as this setting's type.

        Raises:
            ConfigError: it is of another type, out of range or not among the choices.
        """
        if value is None and self.optional:
            return None
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ConfigError(f"a number of {len(str(abs(value // 10**99))) + 99} digits is not {self.allowed()}")
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not self.type:
            written = "null" if value is None else repr(value)
            raise ConfigError(f"{written} is not {self.allowed()}{_yaml_hint(value, self.type)}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            in_range = self.low <= value <= self.high and value > self.above and math.isfinite(value)
            if not in_range:
                raise ConfigError(f"{value!r} is not {self.allowed()}")
        if self.choices and value not in self.choices:
            raise ConfigError(f"'{value}' is not {self.allowed()}{nearest(value, self.choices)}")
        return value


def _yaml_hint(value: object, expected: type) -> str:
    """Explain the two kinds of values that YAML reads otherwise than people mean them."""
    if expected in (int, float) and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return ""
        if not math.isfinite(number) or (expected is int and not number.is_integer()):
            return ""
        return f": YAML reads {value} as text; write {yaml_number(number, expected)}"
    if expected is str and isinstance(value, bool):
        return ": YAML reads yes, no, on and off as true or false; put the word in quotes"
    return ""


def yaml_number(number: float, expected: type) -> str:
    """Return a number as YAML reads it: an exponent needs a point before it, and a sign."""
    if expected is int:
        return str(int(number))
    if number == 0 or 1e-4 <= abs(number) < 1e6:
        return repr(number)
    mantissa, _, exponent = f"{number:e}".partition("e")
    mantissa = mantissa.rstrip("0")
    return f"{mantissa}{'0' if mantissa.endswith('.') else ''}e{int(exponent):+d}"


def check_counts(options: object, **least: int) -> None:
    """Check that these fields of `options` are whole numbers of at least so much, or None.

    Raises:
        ConfigError: one is not; the key is its name.
    """
    for name, low in least.items():
        value = getattr(options, name)
        if value is not None and (type(value) is not int or value < low):
            raise ConfigError(f"{value!r} is not {Setting(int, low=low).allowed()}", key=name)


def _setting(default: Any, type_: type, **limits: Any) -> Any:
    return field(default=default, metadata={"setting": Setting(type_, **limits)})


@dataclass(frozen=True)
class TrainConfig:
    """The settings of one training.

    `backbone` is a name in `medray.training.models.MODELS`, any timm model or `torchvision:alexnet`. It starts
    from `weights`, a safetensors file or a folder of them, or from published weights where it is `pretrained`
    (`medray.weights`). `image_size` is the longer side, in pixels, of images as the network
    sees them, the other side in proportion; null for the data set's own size. `head_width` puts a hidden dense
    layer of that width before the last one; null for none. `pooling: stages` gives the head the means of all
    stages of a timm backbone, not only its last features; `mirrored` likewise, each the mean of the image's and
    its mirror image's (`medray.training.models.stage_pooling`).

    With `probe_first` the head of a network that starts from published weights, or a file, starts as the linear
    one that fits the features which these weights give (`medray.training.probe`). With `freeze_norms` its
    BatchNorms normalise by the statistics that are in the weights, also while it is trained.

    For the first `freeze_epochs` only the head learns (`medray.training.models.blocks`); after them also the
    last `trainable_blocks`, null for all, 0 for a backbone that stays frozen, with `fine_tune_rate`, null for
    the same `learning_rate` (`medray.training.stages`). `step_epochs` and `step_factor` are those of the schedule
    `step`; null for a third of the epochs.

    `optimizer: lbfgs` fits a linear head on the frozen backbone at once, in one epoch (`medray.training.linear`).

    `transforms` names the pipeline for people; `pipeline` is the pipeline itself, a tuple of `{albumentations
    class: arguments}`. Before a frozen backbone each image gets `views` draws of it, which serve all epochs in
    turn; null for a new one in each epoch. `monitor` is the validation metric that chooses the best epoch and
    stops early after `patience` epochs that did not better it by more than `min_delta`. `mixup` is the alpha of
    its Beta distribution, 0 for none; `gradient_clip` the largest norm of the gradient, null for none;
    `momentum` is that of SGD and RMSprop.

    `task` is a name in `medray.tasks.TASKS`. Its grades may have a `loss` that knows their order: `cumulative` or
    `corn` (`medray.training.models.links`).
    """

    backbone: str = _setting("lenet5", str)
    pretrained: bool = _setting(False, bool)
    weights: str | None = _setting(None, str, optional=True)
    image_size: int | None = _setting(None, int, low=1, high=LARGEST_SIDE, optional=True)
    dropout: float = _setting(0.0, float, low=0.0, high=0.95)
    pooling: str = _setting(LAST, str, choices=POOLINGS)
    head_width: int | None = _setting(None, int, low=1, high=65536, optional=True)
    probe_first: bool = _setting(True, bool)
    freeze_norms: bool = _setting(False, bool)
    freeze_epochs: int = _setting(0, int, low=0, high=100_000)
    trainable_blocks: int | None = _setting(None, int, low=0, optional=True)
    fine_tune_rate: float | None = _setting(None, float, above=0.0, high=10.0, optional=True)
    optimizer: str = _setting("adam", str, choices=(*OPTIMIZERS, LBFGS))
    learning_rate: float = _setting(1e-3, float, above=0.0, high=10.0)
    weight_decay: float = _setting(0.0, float, low=0.0, high=1.0)
    momentum: float = _setting(0.9, float, low=0.0, high=0.9999)
    schedule: str = _setting("none", str, choices=SCHEDULES)
    step_epochs: int | None = _setting(None, int, low=1, optional=True)
    step_factor: float = _setting(0.1, float, above=0.0, high=1.0)
    batch_size: int = _setting(128, int, low=1, high=65536)
    label_smoothing: float = _setting(0.0, float, low=0.0, high=0.9)
    mixup: float = _setting(0.0, float, low=0.0, high=10.0)
    class_balance: str = _setting("none", str, choices=BALANCES)
    gradient_clip: float | None = _setting(None, float, above=0.0, optional=True)
    transforms: str = _setting("none", str)
    views: int | None = _setting(8, int, low=1, high=10_000, optional=True)
    pipeline: tuple[Mapping[str, Mapping[str, Any]], ...] = ()
    epochs: int = _setting(30, int, low=1, high=100_000)
    patience: int | None = _setting(None, int, low=1, optional=True)
    min_delta: float = _setting(0.0, float, low=0.0)
    task: str = _setting("single", str, choices=tuple(TASKS))
    loss: str = _setting("cross_entropy", str, choices=LOSSES)
    monitor: str = _setting("auc", str, choices=tuple(METRICS))
    precision: str = _setting("auto", str, choices=PRECISIONS)
    seed: int = _setting(0, int, low=0, high=2**63 - 1)

    def __post_init__(self) -> None:
        for name, setting in SETTINGS.items():
            try:
                object.__setattr__(self, name, setting.check(getattr(self, name)))
            except ConfigError as error:
                raise error.within(key=name) from None
        if self.pretrained and self.weights is not None:
            raise ConfigError("give either `pretrained: true` or a file in `weights`, not both", key="weights")
        self._check_stages()
        if self.optimizer == LBFGS:
            self._check_lbfgs()
        check_of_task(self.task, "loss", self.loss)
        check_of_task(self.task, "monitor", self.monitor)
        object.__setattr__(self, "pipeline", _checked_pipeline(self.pipeline))

    def _check_stages(self) -> None:
        if self.freeze_epochs >= self.epochs:
            raise ConfigError(
                f"{self.freeze_epochs} of {self.epochs} epochs leave none after them; a backbone that stays "
                "frozen is `trainable_blocks: 0`",
                key="freeze_epochs",
            )
        if self.fine_tune_rate is not None and not self.freeze_epochs:
            raise ConfigError(
                "is the rate after `freeze_epochs`, which is 0; give `learning_rate`", key="fine_tune_rate"
            )

    def _check_lbfgs(self) -> None:
        """Check that nothing is asked for which a linear head that is fitted at once has not."""
        needed = {
            "trainable_blocks": 0, "freeze_epochs": 0, "mixup": 0.0, "dropout": 0.0, "head_width": None,
        }  # fmt: skip
        for key, value in needed.items():
            if getattr(self, key) != value:
                written = "null" if value is None else f"{value:g}"
                raise ConfigError(
                    f"`optimizer: lbfgs`, a linear head on a frozen backbone, needs {written} here",
                    key=key,
                )
        if self.pipeline and self.views is None:
            raise ConfigError("with `optimizer: lbfgs` transforms need a number of views", key="views")

    @property
    def mode(self) -> str:
        """Return `max` or `min`: which way `monitor` is better."""
        return METRICS[self.monitor]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        values = dataclasses.asdict(self)
        values["pipeline"] = list(copy.deepcopy(self.pipeline))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Build from plain values.

        Raises:
            ConfigError: a key is unknown (the line names the nearest), or a value is not allowed.
        """
        names = [f.name for f in dataclasses.fields(cls)]
        for key in values:
            if key not in names:
                raise ConfigError(unknown_choice_line("setting", key, names))
        return cls(**values)


def check_of_task(task: str, key: str, value: str) -> None:
    """Check that a task has this `loss`, or this metric.

    Raises:
        ConfigError: it has not; `key` is named.
    """
    valid = TASKS[task].losses if key == "loss" else tuple(TASKS[task].metrics)
    if value not in valid:
        having = [name for name, other in TASKS.items() if value in (*other.losses, *other.metrics)]
        hint = f"; it is of `task: {' or '.join(having)}`" if having else ""
        raise ConfigError(f"task '{task}' has no {value}{hint}; valid: {', '.join(valid)}", key=key)


def _checked_pipeline(steps: object) -> tuple[dict[str, dict[str, Any]], ...]:
    """Return a copy of a pipeline whose steps are each `{transform: {argument: value}}`."""
    form = "a list of transforms, each as {Name: {argument: value}}"
    if not isinstance(steps, list | tuple):
        raise ConfigError(f"{steps!r} is not {form}", key="pipeline")
    for step in steps:
        if (
            not isinstance(step, Mapping)
            or len(step) != 1
            or not all(isinstance(v, Mapping) for v in step.values())
        ):
            raise ConfigError(f"{step!r} is not one of {form}", key="pipeline")
    return tuple({name: copy.deepcopy(dict(arguments)) for name, arguments in step.items()} for step in steps)


#: name of a setting -> what it may be.
SETTINGS: dict[str, Setting] = {
    f.name: f.metadata["setting"] for f in dataclasses.fields(TrainConfig) if "setting" in f.metadata
}
