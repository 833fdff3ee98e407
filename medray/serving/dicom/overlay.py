"""The heat map over the image as it is displayed, with the answer below it, as a DICOM Secondary Capture."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from highdicom.sc import SCImage
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from medray._types import Array
from medray.data.decoding.dicom import read_dicom
from medray.data.decoding.fit import largest_within
from medray.data.decoding.lesion import around_lesion
from medray.data.decoding.picture import Picture
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.pictures.heatmap import overlay
from medray.serving.dicom.instance import InstanceKind, to_file
from medray.serving.dicom.source_image import OF_PICTURE, SourceImage
from medray.serving.engine.answering import PredictAnswer
from medray.serving.engine.answers import ImageLabels, ImagePrediction, called_labels
from medray.serving.engine.explanation import class_heat
from medray.space.preparation import LESION, STRETCHED

KIND = InstanceKind("overlay", 9902, "Heat map, research only")
LEAST, MOST = 384, 1024  # pixels of the longer side
LETTERS, MARGIN = 14, 6  # pixels
_IMAGE_WITHOUT_PATIENT: dict[str, Any] = {
    "photometric_interpretation": "RGB",
    "bits_allocated": 8,
    "coordinate_system": "PATIENT",
    "patient_orientation": ("L", "F"),  # highdicom wants one; the image's own takes its place, or none
}


def write_overlay(
    answer: PredictAnswer, content: bytes, source: SourceImage, label: str | None, max_pixels: int
) -> bytes:
    """Return the overlay of an image's answer, of the class `label` or of its own, as a DICOM file.

    Raises:
        ConfigError: the networks have no feature maps.
    """
    name, heat = class_heat(answer, label)
    picture = read_dicom(content, max_pixels)
    drawn = draw_overlay(picture, heat, answer.model.aspect)
    drawn = write_below(drawn, list(_lines(answer, name)))
    captured = SCImage(
        drawn, study_instance_uid=source.text("StudyInstanceUID"),
        **_IMAGE_WITHOUT_PATIENT, **KIND.arguments(source, answer.model.identity, name),
    )  # fmt: skip
    captured["PatientOrientation"].value = None
    source.copy_to(captured, OF_PICTURE)
    captured.DerivationDescription = source.printable(f"Class activation (HiResCAM) of {name}", 1024)
    captured.SourceImageSequence = [_reference(source)]
    return to_file(captured, source)


def _reference(source: SourceImage) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = (
        source.text("SOPClassUID"),
        source.text("SOPInstanceUID"),
    )
    return item


def _lines(answer: PredictAnswer, explained: str) -> Iterator[str]:
    """Return what is written below the image; nothing of it is of the patient."""
    prediction, model = answer.prediction, answer.model
    assert isinstance(prediction, ImagePrediction | ImageLabels)
    called = called_labels(prediction)
    yield ", ".join(f"{name} {prediction.probabilities[name]:.2f}" for name in called) or "no label"
    for decision in prediction.decisions:
        positive = "positive" if decision.positive else "negative"
        sign = ">=" if decision.positive else "<"
        numbers = f"{decision.probability:.3f} {sign} {decision.threshold:.3f}"
        yield f"{decision.event} at {decision.operating_point}: {positive} ({numbers})"
    if OUT_OF_DISTRIBUTION in prediction.flags:
        yield "Out of distribution: not like the training images"
    yield f"Heat map of {explained}. {model.name} {model.version}; {model.ensemble.manifest.intended_use}"


def draw_overlay(picture: Picture, heat: Array, aspect: str) -> Array:
    """Draw an image in its own ratio of sides, under the heat float (h, w) of what the networks saw of it.

    `aspect` is how that was made of the image. The result is uint8 (H, W, 3), its longer side 384 to 1024 pixels.
    """
    longer = min(max(*picture.size, LEAST), MOST)
    width, height = largest_within(picture.size, (longer, longer))
    resampling = Image.Resampling.BICUBIC if longer < max(picture.size) else Image.Resampling.NEAREST
    image = np.asarray(picture.image.resize((width, height), resampling))
    seen = around_lesion(picture) if aspect == LESION else picture
    inner = heat if aspect == STRETCHED else _without_borders(heat, seen.size)
    left, top, right, bottom = seen.box or (0, 0, *picture.size)
    across, down = width / picture.size[0], height / picture.size[1]
    box = round(left * across), round(top * down), round(right * across), round(bottom * down)
    size = max(1, box[2] - box[0]), max(1, box[3] - box[1])
    canvas = Image.new("F", (width, height))
    canvas.paste(Image.fromarray(inner.astype(np.float32)).resize(size, Image.Resampling.BILINEAR), box[:2])
    return overlay(image.reshape(height, width, -1), np.asarray(canvas))


def _without_borders(heat: Array, size: tuple[int, int]) -> Array:
    """Return the part of the heat that lies on an image of a size (width, height) that was padded."""
    height, width = heat.shape
    inner = largest_within(size, (width, height))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    return heat[top : top + inner[1], left : left + inner[0]]


def write_below(image: Array, lines: list[str]) -> Array:
    """Write lines in white on black below an image uint8 (H, W, 3), broken where they are too long for it."""
    font = ImageFont.load_default(LETTERS)
    width = image.shape[1]
    broken = [part for line in lines for part in _broken(line, width - 2 * MARGIN, font)]
    step = LETTERS + 4
    strip = Image.new("RGB", (width, step * len(broken) + 2 * MARGIN))
    draw = ImageDraw.Draw(strip)
    for number, line in enumerate(broken):
        draw.text((MARGIN, MARGIN + number * step), line, "white", font)
    return np.concatenate([image, np.asarray(strip)])


def _broken(line: str, width: int, font: Any) -> list[str]:
    """Return a line as lines of at most this width in pixels; a longer word is cut."""
    broken, current = [], ""
    for word in line.split():
        longer = f"{current} {word}".strip()
        if current and font.getlength(longer) > width:
            broken.append(current)
            current = word
        else:
            current = longer
    return [*broken, current]
