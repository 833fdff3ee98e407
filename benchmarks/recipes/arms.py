"""The recipes that are compared: each is a base training with one thing changed."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medray.config import TrainConfig

SMALL, TUNED = "small", "tuned"
KINDS = {SMALL: "a small network from random weights", TUNED: "a published network, fine-tuned"}
SIDE = 64  # pixels
PLAIN = "one cycle"  # the base: what the ladder of `medray init` has
MILD = ({"Affine": {"translate_percent": [-0.06, 0.06], "rotate": [-10, 10], "scale": [0.92, 1.08], "p": 0.7}},)


@dataclass(frozen=True)
class Arm:
    """One recipe: `settings` of medray's own that it changes, and what `RecipeTraining` does besides.

    `ema` is the share of a stage's batches that the average of the weights looks back on, `swa` the share of the
    epochs, at the end, whose weights are averaged, `warm_up` the share of the batches in which the rate rises
    before a cosine, `layer_decay` the factor of the rate from each block to the one before it, `focal` the gamma
    of the focal loss (Lin et al. 2017), `trivial` one random transform of random strength (TrivialAugment,
    Mueller & Hutter 2021). With `timm_head` the last layer starts as timm draws an EfficientNet's.
    """

    name: str
    kinds: tuple[str, ...] = (SMALL, TUNED)
    settings: Mapping[str, Any] = field(default_factory=dict)
    ema: float = 0.0
    swa: float = 0.0
    warm_up: float = 0.0
    layer_decay: float = 1.0
    focal: float = 0.0
    trivial: bool = False
    timm_head: bool = False


ARMS = (
    Arm(PLAIN),
    Arm("… without a probe first", (TUNED,), {"probe_first": False}),
    Arm("… BatchNorm learns", (TUNED,), {"freeze_norms": False}),
    Arm("… neither", (TUNED,), {"probe_first": False, "freeze_norms": False}),
    Arm(
        "… and the head as timm draws it", (TUNED,), {"probe_first": False, "freeze_norms": False}, timm_head=True
    ),
    Arm("one cycle, averaged (EMA)", ema=0.1),
    Arm("constant rate", (SMALL,), {"schedule": "none"}),
    Arm("constant rate, averaged (EMA)", (SMALL,), {"schedule": "none"}, ema=0.1),
    Arm("constant rate, last quarter averaged (SWA)", (SMALL,), {"schedule": "none"}, swa=0.25),
    Arm("cosine", settings={"schedule": "cosine"}),
    Arm("cosine with warm-up", warm_up=0.1),
    Arm("layer-wise rates, 0.7", (TUNED,), layer_decay=0.7),
    Arm("focal loss, γ = 2", focal=2.0),
    Arm("no transforms", settings={"pipeline": ()}),
    Arm("trivial augment", settings={"pipeline": ()}, trivial=True),
)


def base_config(kind: str, backbone: str, seed: int, side: int) -> TrainConfig:
    """Return the base training of a kind, of the ladder's; `side` is that of the images.

    Networks see 64 pixels, or, from random weights, the images' own if those are fewer.
    """
    common: dict[str, Any] = {
        "schedule": "one_cycle", "batch_size": 32, "transforms": "mild", "pipeline": MILD, "gradient_clip": 5.0,
        "dropout": 0.3, "seed": seed,
    }  # fmt: skip
    if kind == SMALL:
        return TrainConfig(
            backbone="resnet8_small",
            optimizer="adam",
            learning_rate=0.003,
            epochs=15,
            image_size=min(side, SIDE),
            **common,
        )
    return TrainConfig(
        backbone=backbone, pretrained=True, optimizer="adamw", learning_rate=0.0003, epochs=6, image_size=SIDE,
        freeze_norms=True, **common,
    )  # fmt: skip


def config_of(arm: Arm, kind: str, backbone: str, seed: int, side: int) -> TrainConfig:
    """Return the settings of a recipe."""
    settings = dict(arm.settings)
    if "pipeline" in settings:
        settings["transforms"] = "none"
    return dataclasses.replace(base_config(kind, backbone, seed, side), **settings)
