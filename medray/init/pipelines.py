"""The section transforms: pipelines for medical images of which only size, channels and class names are known."""

import re

from medray.init.document import Line
from medray.init.proposal import StudyProposal

MILD, EXPOSED, MIRRORED, TURNED = "mild", "exposed", "mirrored", "turned"
_SIDES = re.compile(r"(?<![^\W_])(left|right)(?![^\W_])", re.IGNORECASE)
_STEPS = {
    "affine": {
        "Affine": {"translate_percent": [-0.06, 0.06], "rotate": [-10, 10], "scale": [0.92, 1.08], "p": 0.7}
    },
    "grey": {"RandomBrightnessContrast": {"brightness_limit": 0.15, "contrast_limit": 0.2, "p": 0.5}},
    "colour": {
        "ColorJitter": {
            "brightness": [0.8, 1.2], "contrast": [0.8, 1.2], "saturation": [0.8, 1.2], "hue": [-0.02, 0.02],
            "p": 0.5,
        }
    },
    "mirror": {"HorizontalFlip": {"p": 0.5}},
    "vertical": {"VerticalFlip": {"p": 0.5}},
    "square": {"D4": {"p": 1.0}},
}  # fmt: skip


def sided_classes(proposal: StudyProposal) -> list[str]:
    """Return the classes whose names say left or right: a mirrored image would belong to the other one."""
    return [name for name in proposal.kept.class_names if _SIDES.search(name)]


def pipeline_lines(proposal: StudyProposal) -> list[Line]:
    """Return the pipelines: no mirroring where a class has a side, and vertical flips of colour images only."""
    height, width, channels = proposal.shape
    affine, exposure = _STEPS["affine"], _STEPS["grey" if channels == 1 else "colour"]
    lines = [
        Line(MILD, [affine], "slightly moved, rotated and scaled"),
        Line(
            EXPOSED,
            [affine, exposure],
            "and exposed differently; delete it where grey levels have a meaning, as in CT",
        ),
    ]
    if sided_classes(proposal):
        return lines
    reason = "delete it where left and right differ, as in a chest or an abdomen, or where images contain letters"
    lines.append(Line(MIRRORED, [_STEPS["mirror"], affine, exposure], reason))
    if channels == 3:
        flips = [_STEPS["square"]] if height == width else [_STEPS["mirror"], _STEPS["vertical"]]
        reason = "for images without an up and down, as smears, tissue and lesions; delete it for all others"
        lines.append(Line(TURNED, [*flips, affine, exposure], reason))
    return lines


def pipelines_comment(proposal: StudyProposal) -> str:
    """Return the comment above the section."""
    names = sided_classes(proposal)
    text = "Pipelines by albumentations' class names and arguments; an image must keep its class."
    if names:
        first, more = ", ".join(names[:2]), " and others" if len(names) > 2 else ""
        text += f" No flips: they would turn {first}{more} into the other side's."
    return text
