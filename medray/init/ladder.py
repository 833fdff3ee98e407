"""The ladder of a study with published weights: cheap trainings first, and a space from which the search goes on.

1. Linear heads on frozen published networks, at sizes that the machine can afford: seconds each, once the images'
   features are computed.
2. Published networks fine-tuned from such a head on: their last blocks, or all of them.
3. Small networks from random weights.

Which sizes, strengths and features is from measurements on five sets (docs/performance.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from medray.cores import usable_cores
from medray.init.document import Line
from medray.init.pipelines import MILD, sided_classes
from medray.init.proposal import StudyProposal

SIDES = (64, 128, 224)
#: Seconds of one core for the features of an image, by its side: tf_efficientnet_lite0, at 64, 128 and 224 pixels.
SECONDS = {64: 0.0015, 128: 0.0074, 224: 0.022}
AFFORDABLE = 300.0  # seconds for the features of all images at one size
MANY = 3_000  # training images from which less regularisation is better, and smaller images come first
STRENGTHS = {False: (0.0002, 0.00003), True: (0.00003, 0.000005)}  # by whether there are many
TUNED_BLOCKS = 2
#: Epochs of fine-tuning: few for a rung, as the rate falls to its end in them, and a search may draw more.
TUNED_EPOCHS = (8, 20)
GRADIENT_OPTIMIZERS = ("adam", "adamw", "sgd")


@dataclass(frozen=True)
class Ladder:
    """The rungs for a proposal: `published` backbones, and `small` ones that start from random weights."""

    proposal: StudyProposal
    small: Sequence[str]
    gpu: bool

    @property
    def published(self) -> tuple[str, ...]:
        """The backbones with published weights."""
        return self.proposal.published

    @cached_property
    def probe_sizes(self) -> list[int]:
        """The sizes of frozen networks, the cheapest first: all that can be afforded, two on a CPU."""
        images, cores = len(self.proposal.kept), usable_cores()
        if self.gpu:
            return list(SIDES)
        affordable = [side for side in SIDES if 2 * images * SECONDS[side] / cores <= AFFORDABLE] or [SIDES[0]]
        return affordable[:2] if self.many else affordable[-2:]

    @property
    def many(self) -> bool:
        """Whether there are so many images that other settings are better."""
        return self.proposal.train_count > MANY

    @property
    def tuned_size(self) -> int:
        """The size at which published networks are fine-tuned."""
        return max(self.probe_sizes) if self.gpu else min(self.probe_sizes)

    @property
    def small_sizes(self) -> list[int]:
        """The sizes of networks from random weights; none where the images are small enough as they are."""
        side = max(self.proposal.shape[:2])
        return [SIDES[0], min(SIDES[1], side)] if side > SIDES[0] else []

    def space_lines(self, rates: Sequence[dict[str, object]]) -> list[Line]:
        """Return what is searched of kinds of trainings; `rates` are the learning rates of small networks."""
        published, small = list(self.published), list(self.small)
        probes = {"trainable_blocks": 0}
        tuned = {"backbone": published, "trainable_blocks": [TUNED_BLOCKS, None]}
        sizes: list[dict[str, object]] = [
            {"choice": self.probe_sizes, "when": {"backbone": published, **probes}},
            {"choice": sorted({self.tuned_size, self.probe_sizes[-1]}), "when": tuned},
        ]
        if self.small_sizes:
            sizes.append({"choice": self.small_sizes, "when": {"backbone": small}})
        return [
            Line(
                "backbone", {"choice": [*published, *small]}, "the first with published weights; see the baselines"
            ),
            Line("pretrained", [{"choice": [True], "when": {"backbone": published}}]),
            Line(
                "trainable_blocks",
                {"choice": [0, TUNED_BLOCKS, None], "when": {"backbone": published}},
                "0: frozen, with a linear head; null: all",
            ),
            Line(
                "freeze_norms",
                [{"choice": [True, False] if self.many else [True], "when": tuned}],
                "true: BatchNorm as published",
            ),
            Line("epochs", [{"choice": list(TUNED_EPOCHS), "when": tuned}], "published weights learn quickly"),
            Line("image_size", sizes, "pixels of the longer side"),
            Line("pooling", {"choice": self.poolings, "when": probes}, "what a linear head sees"),
            Line(
                "optimizer",
                [
                    {"choice": ["lbfgs"], "when": {"backbone": published, **probes}},
                    {"choice": ["adamw"], "when": tuned},
                    {"choice": list(GRADIENT_OPTIMIZERS), "when": {"backbone": small}},
                ],
                "lbfgs fits a linear head at once",
            ),
            Line(
                "weight_decay",
                [
                    {"log": [0.000001, 0.003], "when": {"optimizer": "lbfgs"}},
                    {"choice": [0.0, 0.0001, 0.001], "when": {"optimizer": list(GRADIENT_OPTIMIZERS)}},
                ],
            ),
            Line(
                "learning_rate",
                [
                    {"log": [0.0001, 0.002], "when": tuned},
                    *({**rate, "when": {"backbone": small, **_mapping(rate["when"])}} for rate in rates),
                ],
            ),
        ]

    @property
    def poolings(self) -> list[str]:
        """What a linear head sees, always the same: mirror images too, unless classes have sides."""
        return ["stages" if sided_classes(self.proposal) else "mirrored"]

    def portfolio_lines(self, plain: Mapping[str, object]) -> list[Line]:
        """Return the rungs, the cheapest first; `plain` are the settings of a small network."""
        start = {"pretrained": True, "backbone": self.published[0]}
        probe = {**start, "trainable_blocks": 0, "optimizer": "lbfgs", "pooling": self.poolings[-1]}
        strengths = STRENGTHS[self.many]
        lines = [
            Line(f"probe_{size}_{name}", {**probe, "image_size": size, "weight_decay": decay})
            for size in self.probe_sizes
            for name, decay in zip(("strong", "weak"), strengths, strict=True)
        ]
        sizes = {"image_size": self.small_sizes[0]} if self.small_sizes else {}
        stepwise = {key: value for key, value in plain.items() if key != "backbone"} | {"dropout": 0.3}
        small = {**stepwise, "backbone": self.small[0], **sizes, "transforms": MILD, "learning_rate": 0.001}
        tuned = {
            **stepwise, **start, "image_size": self.tuned_size, "optimizer": "adamw", "learning_rate": 0.0003,
            "schedule": "one_cycle", "transforms": MILD, "freeze_norms": True,
            "epochs": TUNED_EPOCHS[0],
        }  # fmt: skip
        lines.append(Line("small", small))
        lines.append(Line("tuned_last", {**tuned, "trainable_blocks": TUNED_BLOCKS, "transforms": "none"}))
        lines.append(Line("tuned", {**tuned, "trainable_blocks": None}))
        return lines


def only_by_gradient(lines: Sequence[Line]) -> list[Line]:
    """Return the lines, each with the condition that the optimizer is one that takes steps."""
    when = {"optimizer": list(GRADIENT_OPTIMIZERS)}
    return [
        Line(line.key, {**_mapping(line.value), "when": when}, line.reason, line.alternative) for line in lines
    ]


def _mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
