"""Published weights that a study can start from: in $MEDRAY_WEIGHTS, in the hub's cache, or of timm's hub."""

import os
from dataclasses import replace
from pathlib import Path

from medray._types import Shape
from medray.errors import ConfigError, WeightsError
from medray.files import folder_exists
from medray.init.proposal import StudyProposal
from medray.init.space_sections import ladder
from medray.weights import FOLDER, not_at_hand

#: From the hub. The first is what the ladder was measured with (`benchmarks/portfolio.py`).
FROM_HUB = ("tf_efficientnet_lite0", "resnet18")
MOST = 4  # of a folder


def find_published() -> tuple[str, ...]:
    """Return the backbones whose published weights are at hand, () where there are none: those of a folder first.

    Raises:
        WeightsError: $MEDRAY_WEIGHTS names no folder.
    """
    folder = os.environ.get(FOLDER)
    if folder and not folder_exists(Path(folder)):
        raise WeightsError(f"{FOLDER} names no folder: {folder}")
    names = sorted(path.stem for path in Path(folder).glob("*.safetensors")) if folder else []
    if found := tuple(name for name in names if _is_backbone(name)):
        return found
    missing = not_at_hand(FROM_HUB)
    return tuple(name for name in FROM_HUB if name not in missing)


def with_published(proposal: StudyProposal) -> StudyProposal:
    """Return a proposal with backbones for its ladder, a few that take its images, and why others are not in it.

    Raises:
        WeightsError: $MEDRAY_WEIGHTS names no folder.
    """
    if not (names := find_published()):
        return proposal
    rungs = ladder(replace(proposal, published=names))
    sizes = sorted({*rungs.probe_sizes, rungs.tuned_size})
    fitting: list[str] = []
    left_out: list[str] = []
    for name in names:
        if problem := _size_problem(name, proposal.shape, sizes):
            left_out.append(f"left out: {problem}")
        elif len(fitting) == MOST:
            left_out.append(f"left out: {name}, as {MOST} are enough to begin with")
        else:
            fitting.append(name)
    return replace(proposal, published=tuple(fitting), not_published=tuple(left_out))


def _is_backbone(name: str) -> bool:
    if name in FROM_HUB:  # timm's import takes seconds
        return True
    from medray.training.models.backbone_names import check_backbone

    try:
        check_backbone(name)
    except ConfigError:
        return False
    return True


def _size_problem(name: str, shape: Shape, sizes: list[int]) -> str | None:
    """Return why a backbone does not take images at one of the sizes, None where it takes all."""
    if name in FROM_HUB:  # they take all
        return None
    from medray.training.models.timm_backbone import check_timm_size

    try:
        for size in sizes:
            check_timm_size(name, shape, size)
    except ConfigError as error:
        return error.problem
    return None
