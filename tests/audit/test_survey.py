"""What a survey tells of each image, from files of each kind and from arrays."""

from pathlib import Path

import numpy as np
import pytest

from medray._types import Array
from medray.audit import survey_images
from medray.audit.survey_images import load_images, survey_dataset, survey_files
from medray.data.similarity.measures import measure, shrink
from medray.errors import DataError
from tests.audit.audit_samples import Folder, blobs, encoded, phantom
from tests.data.decoding.file_samples import dataset, dicom, written


def test_each_image_is_told_as_it_is(tmp_path: Path) -> None:
    folder, grey, colours = Folder(tmp_path), blobs(1, size=40)[0], blobs(1, size=40, channels=3)[0]
    folder.add(encoded(grey[:30]))
    folder.add(encoded(colours, "jpeg"))
    folder.add(encoded(np.repeat(grey, 3, axis=2), "jpeg"))
    folder.add(encoded(colours, "bmp"))
    folder.add(b"\x89PNG\r\n\x1a\nbroken")
    measures = survey_files(folder.listing()).measures
    assert measures.format.tolist() == ["png", "jpeg", "jpeg", "bmp", "png"]
    assert measures.height.tolist() == [30, 40, 40, 40, 0]
    assert measures.width.tolist() == [40, 40, 40, 40, 0]
    assert measures.channels.tolist() == [1, 3, 3, 3, 0]
    assert measures.grey_as_rgb.tolist() == [False, False, True, False, False]
    assert measures.bits.tolist() == [8, 8, 8, 0, 0]
    assert measures.readable.tolist() == [True] * 4 + [False]
    assert measures.problem[4] == "the PNG is damaged or cut short"
    assert np.isnan(measures.brightness[4])
    assert measures.brightness[0] == pytest.approx(grey[:30].mean(), abs=1)


def test_bits_of_a_dicom_file_are_those_that_are_stored(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.add(dicom(np.arange(64, dtype=np.uint16).reshape(8, 8), BitsStored=12, HighBit=11))
    measures = survey_files(folder.listing()).measures
    assert (measures.format[0], measures.bits[0], measures.problem[0]) == ("dicom", 12, "")


@pytest.mark.parametrize("pixels", [np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint16)])
def test_without_stored_bits_they_are_those_that_are_allocated(tmp_path: Path, pixels: Array) -> None:
    made, folder = dataset(pixels), Folder(tmp_path)
    del made.BitsStored, made.HighBit
    folder.add(written(made))
    measures = survey_files(folder.listing()).measures
    assert (measures.bits[0], measures.problem[0]) == (8 * pixels.itemsize, "")


def test_a_file_that_was_overwritten_since_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.add(encoded(blobs(1)[0]))
    listing = folder.listing()
    listing.images[0].path.write_bytes(b"half")
    with pytest.raises(DataError, match=f"^{listing.images[0].where}: the content is not an image"):
        load_images(listing, [0], 32)


def test_measures_are_those_of_known_images() -> None:
    images = np.zeros((4, 64, 64, 3), np.uint8)
    images[1] = (200, 100, 50)
    images[2, :, ::2] = 255
    images[3, :, :32] = 100
    measures = measure(shrink(images))
    np.testing.assert_allclose(
        measures["brightness"], [0, 0.299 * 200 + 0.587 * 100 + 0.114 * 50, 127.5, 50], rtol=1e-5
    )
    np.testing.assert_allclose(measures["contrast"], [0, 0, 127.5, 50], atol=1e-3)
    np.testing.assert_allclose(measures["tone"], [0, 150, 0, 0], atol=1e-3)
    assert measures["sharpness"][0] == pytest.approx(0)
    assert measures["sharpness"][2] == pytest.approx((2 * 255) ** 2, rel=1e-4)
    assert measures["thumbnail"].shape == (4, 32, 32)


@pytest.mark.parametrize("shape", [(28, 28), (64, 64), (200, 90), (1, 1), (65, 3)])
def test_shrinking_keeps_the_mean_and_what_is_even(shape: tuple[int, int]) -> None:
    np.testing.assert_allclose(shrink(np.full((2, *shape, 1), 93, np.uint8)), 93, rtol=1e-5)
    slope = np.linspace(0, 255, shape[1])[None, None, :, None] * np.ones((1, *shape, 1))
    assert shrink(slope.astype(np.uint8)).mean() == pytest.approx(slope.astype(np.uint8).mean(), abs=3)


def test_a_data_set_in_memory_is_told_like_files(tmp_path: Path) -> None:
    dataset, folder = phantom(), Folder(tmp_path)
    for image in dataset.images[:20]:
        folder.add(encoded(image))
    files, memory = survey_files(folder.listing()).measures, survey_dataset(dataset)
    for name in ("brightness", "contrast", "tone"):
        np.testing.assert_allclose(getattr(files, name), getattr(memory.measures, name)[:20], rtol=1e-4)
    assert memory.names[dataset.splits["val"][3]] == "val[3]"
    assert memory.splits[dataset.splits["val"][3]] == "val"
    assert memory.patients[8] == "1"
    assert memory.class_names == dataset.class_names
    assert len(memory.measures) == len(dataset)


def test_a_survey_tells_how_far_it_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, dataset = Folder(tmp_path), phantom()
    for image in blobs(3):
        folder.add(encoded(image))
    monkeypatch.setattr(survey_images, "CHUNK", 1)
    reports: list[tuple[str, int, int]] = []
    survey_files(folder.listing(), lambda *report: reports.append(report))
    assert reports == [("Images", done, 3) for done in (1, 2, 3)]
    reports.clear()
    survey_dataset(dataset, lambda *report: reports.append(report))
    assert reports[-1] == ("Images", len(dataset), len(dataset))
    assert len(reports) > 1
