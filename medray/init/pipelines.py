"""Transform pipelines for medical images that nothing is known of but their size, colours and classes' names."""

import re
from typing import Any

from medray.init.document import Line
from medray.init.proposal import Study

MILD, EXPOSED, MIRRORED, TURNED = "mild", "exposed", "mirrored", "turned"
_SIDES = re.compile(r"(?<![^\W_])(left|right)(?![^\W_])", re.IGNORECASE)
_STEPS: dict[str, dict[str, Any]] = {
    "moved": {
        "Affine": {"translate_percent": [-0.06, 0.06], "rotate": [-10, 10], "scale": [0.92, 1.08], "p": 0.7}
    },
    "grey": {"RandomBrightnessContrast": {"brightness_limit": 0.15, "contrast_limit": 0.2, "p": 0.5}},
    "colours": {
        "ColorJitter": {
            "brightness": [0.8, 1.2], "contrast": [0.8, 1.2], "saturation": [0.8, 1.2], "hue": [-0.02, 0.02],
            "p": 0.5,
        }
    },
    "mirror": {"HorizontalFlip": {"p": 0.5}},
    "overturn": {"VerticalFlip": {"p": 0.5}},
    "square": {"D4": {"p": 1.0}},
}  # fmt: skip


def sided(study: Study) -> list[str]:
    """The classes whose names say left or right: a mirrored image would be of the other."""
    return [name for name in study.kept.class_names if _SIDES.search(name)]


def pipeline_lines(study: Study) -> list[Line]:
    """The pipelines; none mirrors where a class is of one side, and only coloured images are turned over."""
    height, width, channels = study.shape
    seen = _STEPS["grey"] if channels == 1 else _STEPS["colours"]
    lines = [
        Line(MILD, [_STEPS["moved"]], "held a little differently"),
        Line(
            EXPOSED,
            [_STEPS["moved"], seen],
            "and exposed otherwise; delete it where a grey level means something, as in CT",
        ),
    ]
    if sided(study):
        return lines
    told = "delete it where left and right differ, as in a chest or a belly, or letters are in the images"
    lines.append(Line(MIRRORED, [_STEPS["mirror"], _STEPS["moved"], seen], told))
    if channels == 3:
        around = [_STEPS["square"]] if height == width else [_STEPS["mirror"], _STEPS["overturn"]]
        told = "for what has no up or down, as smears, tissue and lesions; delete it for all else"
        lines.append(Line(TURNED, [*around, _STEPS["moved"], seen], told))
    return lines


def why_pipelines(study: Study) -> str:
    """What stands above the section."""
    names = sided(study)
    text = "Pipelines in albumentations' own class names and arguments; an image must stay one of its class."
    if names:
        first, more = ", ".join(names[:2]), " and others" if len(names) > 2 else ""
        text += f" No flips: they would turn {first}{more} into the other side's."
    return text
