"""The backbones that a search does without, as the published weights that they would start from can't be had."""

from medray.config import TrainConfig
from medray.space.combinations import combinations
from medray.space.search_space import SearchSpace
from medray.weights import not_at_hand


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
    missing = not_at_hand(backbone for backbone, needed in needs.items() if needed)
    return tuple(missing) if len(missing) < len(needs) else ()
