"""The backbones that a search does without, as the published weights that they would start from can't be had."""

from collections.abc import Sequence

from medray.config import TrainConfig
from medray.errors import WeightsError
from medray.space.combinations import combinations
from medray.space.search_space import SearchSpace
from medray.text import first_names
from medray.weights import FOLDER, file_name, not_at_hand


def backbones_without_weights(space: SearchSpace) -> tuple[str, ...]:
    """Return the backbones whose drawn trials all need published weights that can't be had.

    () where no other backbone would be left: such trials say what they lack.

    Raises:
        WeightsError: $MEDRAY_WEIGHTS names no folder.
    """
    needs: dict[str, bool] = {}
    for section, settings in combinations(space, ("backbone", "pretrained", "weights")):
        if section == "space":
            backbone = settings.get("backbone", TrainConfig.backbone)
            published = bool(settings.get("pretrained")) and settings.get("weights") is None
            needs[backbone] = published and needs.get(backbone, True)
    try:
        missing = not_at_hand(backbone for backbone, needed in needs.items() if needed)
    except WeightsError as error:
        raise error.within(file=space.path) from None
    others = len(missing) < len(needs) and _always_has_one(space.without(missing))
    return tuple(missing) if others else ()


def describe_without(backbones: Sequence[str], *, resumed: bool) -> str:
    """Return in a line which backbones a search does without, and the way to have them."""
    names = f"without {first_names(backbones)}"
    if resumed:
        return f"{names}, as when this search began; one that is begun anew looks for published weights again"
    files = first_names([file_name(backbone) for backbone in backbones])
    return (
        f"{names}: published weights can't be had, as timm's hub can't be reached and ${FOLDER} names no folder "
        f"with {files}"
    )


def _always_has_one(space: SearchSpace) -> bool:
    """Return whether every draw has a backbone of the space's own."""
    draws = (settings for section, settings in combinations(space, ("backbone",)) if section == "space")
    return all("backbone" in settings for settings in draws)
