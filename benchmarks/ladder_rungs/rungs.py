"""The trainings that are measured: linear heads by size, pooling and strength, and what the ladder has besides."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medray.config import LAST, POOLINGS, TrainConfig
from medray.init.ladder import GRADIENT_OPTIMIZERS, TUNED_BLOCKS, TUNED_EPOCHS
from medray.json_document import JsonDocument

SIDES = (64, 128, 224)
STRENGTHS = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
NORMALISATIONS = WEIGHTS, IMAGES = ("weights", "images")
PROBE, SMALL, TUNED, TUNED_LAST = ("probe", "small", "tuned", "tuned_last")
SMALL_EPOCHS = 20
SMALL_BACKBONE = "resnet8_small"


@dataclass(frozen=True)
class Rung(JsonDocument):
    """One training of one data set: `kind` is a linear head, or one of the slower kinds.

    `side` is the image size in pixels, 0 for the images' own. Of a linear head: what it sees (`pooling`), its
    `weight_decay`, and by whose mean and deviation images are normalised.
    """

    kind: str
    side: int
    pooling: str = LAST
    weight_decay: float = 0.0
    normalisation: str = WEIGHTS

    @property
    def name(self) -> str:
        """What tells it from the others in a file of results."""
        if self.kind != PROBE:
            return f"{self.kind} {self.side}"
        return f"{self.kind} {self.side} {self.pooling} {self.weight_decay:g} {self.normalisation}"

    def config(self, backbone: str, seed: int, images_file: Path | None) -> TrainConfig:
        """Return the settings of the training; `images_file` holds the weights with the images' statistics."""
        common: dict[str, Any] = {"seed": seed, "image_size": self.side or None, "weight_decay": self.weight_decay}
        if self.kind == SMALL:
            return TrainConfig(
                backbone=SMALL_BACKBONE, optimizer=GRADIENT_OPTIMIZERS[0], schedule="one_cycle", batch_size=64,
                learning_rate=0.003, epochs=SMALL_EPOCHS, **common,
            )  # fmt: skip
        common["backbone"] = backbone
        if self.normalisation == IMAGES:
            common["weights"] = str(images_file)
        else:
            common["pretrained"] = True
        if self.kind == PROBE:
            return TrainConfig(optimizer="lbfgs", trainable_blocks=0, pooling=self.pooling, epochs=1, **common)
        return TrainConfig(
            optimizer="adamw", learning_rate=0.0003, dropout=0.3, schedule="one_cycle", batch_size=32,
            freeze_norms=True, epochs=TUNED_EPOCHS[0],
            trainable_blocks=TUNED_BLOCKS if self.kind == TUNED_LAST else None, **common,
        )  # fmt: skip


def probes(side: int, normalisation: str = WEIGHTS) -> list[Rung]:
    """Return the linear heads at a size; with the images' statistics those on the last features alone."""
    poolings = POOLINGS if normalisation == WEIGHTS else (LAST,)
    return [Rung(PROBE, side, pooling, decay, normalisation) for pooling in poolings for decay in STRENGTHS]


def slow(side: int) -> list[Rung]:
    """Return the small network at the images' own size, and fine-tuning at `side`."""
    return [Rung(SMALL, 0), Rung(TUNED_LAST, side), Rung(TUNED, side)]
