"""The sections space, fixed and baselines: what is searched, what is fixed, and where to start."""

import sys
from collections.abc import Sequence
from pathlib import Path

from medray.init.budget_sections import LARGE_IMAGE, UNEVEN, class_ratio
from medray.init.document import Line
from medray.init.ladder import Ladder, only_by_gradient
from medray.init.pipelines import pipeline_lines
from medray.init.proposal import StudyProposal
from medray.init.task_section import loss_lines
from medray.tasks import SINGLE

MANY = 2_000  # training images from which larger networks are worth it without published weights
STEPS = 6  # batches of an epoch, at least
BATCHES = (4, 8, 16, 32, 64, 128)
CPU_PIXELS = 128  # of a side; larger images come in smaller batches
PLAIN = "resnet8_small"  # takes images of any size
PUBLISHED = ["resnet18", "efficientnet_b0"]
GPU_DEVICES = ("nvidia[0-9]*", "kfd", "dxg")  # in /dev: NVIDIA, AMD, and Windows' subsystem


def batch_sizes(train: int, side: int) -> list[int]:
    """Return up to three batch sizes for `train` training images whose longest side has `side` pixels."""
    most = 64 if side > CPU_PIXELS else BATCHES[-1]
    sizes = [size for size in BATCHES if size <= most and size * STEPS <= train]
    return sizes[-3:] or [min(BATCHES[0], train)]


def small_backbones(height: int, width: int) -> list[str]:
    """Return medray's own networks that suit images of that size."""
    side = min(height, width)
    if side > LARGE_IMAGE:
        return ["cnn4_128", "cnn10_bn", PLAIN, "resnet20_small"]
    if side >= 32:
        return ["lenet5_wide_bn", "cnn10_bn", PLAIN, "resnet20_small"]
    return ["lenet5", "lenet5_wide_bn", PLAIN, "resnet20_small"] if side >= 4 else [PLAIN, "resnet20_small"]


def large_backbones(height: int, width: int, train: int) -> list[str]:
    """Return the published networks that are worth training from random weights on so many images."""
    side = min(height, width)
    if train < MANY or side < 32:
        return []
    return PUBLISHED if side > LARGE_IMAGE else PUBLISHED[:1]


def space_lines(proposal: StudyProposal) -> list[Line]:
    """Return the parameters to search."""
    height, width, _ = proposal.shape
    train = proposal.train_count
    large = max(height, width) > LARGE_IMAGE
    rates: list[dict[str, object]] = [
        {"log": [0.0001, 0.005] if large else [0.0003, 0.01], "when": {"optimizer": ["adam", "adamw"]}},
        {"log": [0.001, 0.05] if large else [0.003, 0.1], "when": {"optimizer": "sgd"}},
    ]
    names = [line.key for line in pipeline_lines(proposal)]
    first = [
        backbone_line(height, width, train),
        Line("learning_rate", rates),
        Line("optimizer", _choice(["adam", "adamw", "sgd"])),
        Line("weight_decay", _choice([0.0, 0.0001, 0.001])),
    ]
    by_steps = [
        Line("batch_size", _choice(batch_sizes(train, max(height, width))), f"of {train:,} training images"),
        Line("dropout", {"uniform": [0.0, 0.5]}),
        Line("schedule", _choice(["none", "cosine", "one_cycle"])),
        Line("label_smoothing", {"uniform": [0.0, 0.1]}, "labels may be wrong here and there"),
        Line("mixup", _choice([0.0, 0.2])),
        Line("transforms", _choice(["none", *names]), "the pipelines below"),
    ]
    if proposal.published:
        first, by_steps = ladder(proposal).space_lines(rates), only_by_gradient(by_steps)
    lines = [*first, *by_steps, *loss_lines(proposal)]
    if class_ratio(proposal) >= UNEVEN:
        noun = "label" if proposal.survey.label_sets else "class"
        reason = f"the largest {noun} is {class_ratio(proposal):.1f} times as large as the smallest"
        lines.append(Line("class_balance", _choice(["none", "loss", "sampler"]), reason))
    return lines


def ladder(proposal: StudyProposal) -> Ladder:
    """Return the ladder of a study with published weights."""
    height, width, _ = proposal.shape
    small = small_backbones(height, width)
    return Ladder(proposal, small[-3:] if max(height, width) <= LARGE_IMAGE else small[-2:], has_gpu())


def has_gpu() -> bool:
    """Return whether this machine has a GPU; torch is asked, seconds long, only where there may be one."""
    if sys.platform == "linux" and not any(any(Path("/dev").glob(name)) for name in GPU_DEVICES):
        return False
    import torch

    return torch.cuda.is_available()


def backbone_line(height: int, width: int, train: int) -> Line:
    """Return the networks to search, with published ones as the alternative where images are large enough."""
    small, large = small_backbones(height, width), large_backbones(height, width, train)
    if min(height, width) < 32:
        return Line("backbone", _choice([*small, *large]), f"small networks for {height}×{width}")
    reason = "large ones too, as there are many" if large else f"large ones learn little from {train:,} images"
    alternative = (
        "Published weights (timm's hub, $MEDRAY_WEIGHTS) help most with few images. To search with them, replace",
        "the line above by these:",
        f"backbone: {{ choice: [{', '.join([PLAIN, 'resnet20_small', *PUBLISHED])}] }}",
        "pretrained:",
        f"  - {{ choice: [true], when: {{ backbone: [{', '.join(PUBLISHED)}] }} }}",
    )
    return Line("backbone", _choice([*small, *large]), f"for {height}×{width}; {reason}", alternative)


def fixed_lines(proposal: StudyProposal) -> list[Line]:
    """Return the parameters that are fixed."""
    lines = [Line("momentum", 0.9, "of sgd"), Line("gradient_clip", 5.0)]
    if class_ratio(proposal) < UNEVEN:
        lines.insert(0, Line("class_balance", "none", "the classes are about equally large; or loss, or sampler"))
    return lines


def baseline_lines(proposal: StudyProposal) -> list[Line]:
    """Return one plain setting within the space."""
    return [Line("plain", plain_settings(proposal))]


def portfolio_lines(proposal: StudyProposal) -> list[Line]:
    """Return the ladder of a study with published weights, none of another."""
    if not proposal.published:
        return []
    plain = plain_settings(proposal)
    searched = {line.key for line in space_lines(proposal)}
    # What probes have not is not among their settings, but the balance and the loss are.
    shared = {
        key: plain[key]
        for key in ("class_balance", *(line.key for line in loss_lines(proposal)))
        if key in searched
    }
    return [
        Line(
            line.key,
            {key: value for key, value in {**shared, **line.value}.items() if key in searched},
            line.reason,
        )
        for line in ladder(proposal).portfolio_lines(plain)
        if isinstance(line.value, dict)
    ]


def plain_settings(proposal: StudyProposal) -> dict[str, object]:
    """Return the settings that a person would start from."""
    height, width, _ = proposal.shape
    largest = batch_sizes(proposal.train_count, max(height, width))[-1]
    settings: dict[str, object] = {
        "backbone": PLAIN, "learning_rate": 0.001, "batch_size": largest, "dropout": 0.0,
        "optimizer": "adam", "weight_decay": 0.0, "schedule": "none", "label_smoothing": 0.0, "mixup": 0.0,
        "class_balance": "none", "transforms": "none",
        **{line.key: SINGLE.losses[0] for line in loss_lines(proposal)},
    }  # fmt: skip
    if proposal.published and (sizes := ladder(proposal).small_sizes):
        settings["image_size"] = sizes[0]
    return settings


def _choice(values: Sequence[object]) -> dict[str, object]:
    return {"choice": values}
