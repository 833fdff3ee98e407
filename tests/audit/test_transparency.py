"""An alpha channel that tells classes apart is found, one that does not is no finding, and colours are kept."""

from pathlib import Path

import numpy as np
import pytest

import medray
from medray._types import Array
from medray.audit.audit import audit_survey
from medray.audit.findings import Finding
from medray.audit.survey_images import survey_files
from medray.audit.transparency import compare_opacity
from tests.audit.audit_samples import Folder, blobs, encoded


def with_alpha(pixels: Array, alpha: Array | int) -> Array:
    return np.dstack(
        [pixels, np.broadcast_to(np.uint8(alpha) if isinstance(alpha, int) else alpha, pixels.shape[:2])]
    )


def mask(share: float, seed: int) -> Array:
    return np.where(np.random.default_rng(seed).random((64, 64)) < share, 0, 255).astype(np.uint8)


def findings(folder: Folder) -> list[Finding]:
    return [f for f in audit_survey(survey_files(folder.listing())).findings if f.kind == "transparency"]


@pytest.mark.parametrize("form", ["png", "tiff"])
@pytest.mark.parametrize(
    ("first", "second"),
    [(0, 255), (255, 0), (128, 255), (0, None), (None, 200), (0.3, 255), (0.2, 0.6), (64, 128)],
)
def test_an_alpha_that_tells_classes_apart_is_found(
    tmp_path: Path, form: str, first: float | None, second: float | None
) -> None:
    """As one number for all pixels, as a mask of a share of them, or none at all."""
    folder = Folder(tmp_path)
    for number, pixels in enumerate(blobs(16, channels=3)):
        alpha = (first, second)[number % 2]
        made = mask(alpha, number) if isinstance(alpha, float) else alpha
        folder.add(encoded(pixels if made is None else with_alpha(pixels, made), form), "ab"[number % 2])
    (finding,) = findings(folder)
    assert finding.severity == "warning"
    assert finding.text.startswith("transparency tells classes apart (Cramér's V 1.00): a ")
    assert len(finding.names) == 2


def test_an_alpha_that_is_alike_in_all_classes_is_no_finding(tmp_path: Path) -> None:
    for kind in ("all", "none", "some"):
        (tmp_path / kind).mkdir()
        folder = Folder(tmp_path / kind)
        for number, pixels in enumerate(blobs(24, channels=3)):
            alpha = {"all": 0, "none": 255, "some": 0 if number % 4 < 2 else 255}[kind]
            folder.add(encoded(with_alpha(pixels, alpha)), "ab"[number % 2])
        assert findings(folder) == []


def test_false_alarms_are_rare() -> None:
    """Of images whose alpha says nothing of their class, at most 1 % of data sets are to be reported."""
    rng, alarms, sets = np.random.default_rng(5), 0, 2000
    for number in range(sets):
        count, names = (20, 60, 300)[number % 3], (2, 3)[number % 2]
        classes, opacity = rng.integers(0, names, count), np.round(rng.random(count), 1)
        opacity[rng.random(count) < rng.random()] = 1
        alarms += compare_opacity(opacity, classes) is not None
    assert alarms / sets <= 0.01 + 2 * (0.01 * 0.99 / sets) ** 0.5


def test_images_of_one_patient_are_not_independent() -> None:
    classes = np.repeat([0, 1, 0, 1], 10)
    opacity = np.repeat([0.0, 1.0, 0.0, 1.0], 10)
    assert compare_opacity(opacity, classes) is not None
    assert compare_opacity(opacity, classes, independent=4 / 40) is None


@pytest.mark.parametrize("alpha", [0, 7, 255])
def test_a_folder_whose_alpha_differs_by_class_keeps_its_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alpha: int
) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    images = blobs(16, size=24, channels=3)
    for number, pixels in enumerate(images):
        path = tmp_path / "data" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(with_alpha(pixels, alpha if number % 2 else 255)))
    dataset = medray.load_data(f"folder:{tmp_path / 'data'}")
    loaded = {image.tobytes() for image in dataset.images}
    assert loaded == {image.tobytes() for image in images}
    noted = any("8 images with transparent pixels, whose colours are kept" in note for note in dataset.notes)
    assert noted == (alpha < 255)
