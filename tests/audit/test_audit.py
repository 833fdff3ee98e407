"""What an audit finds: each kind of leak and of warning is planted, and clean data have none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medray.audit.audit import audit_survey, find_leaks
from medray.audit.findings import KINDS, Audit
from medray.audit.survey_images import cases_by, survey_dataset, survey_files
from medray.data.dataset import Fold, ImageDataset
from medray.data.listing.listing import Listing
from medray.errors import DataError
from tests.audit.audit_samples import COPIERS, Folder, blobs, clean_folder, encoded


def kinds_of(result: Audit) -> dict[str, int]:
    return {finding.kind: finding.count for finding in result.findings}


def look(listing: Listing) -> Audit:
    return audit_survey(survey_files(listing))


def halves(count: int, *, held_out: int = 2) -> Fold:
    """A fold that holds out every second image, or every `held_out`-th."""
    val = np.arange(count) % held_out == 0
    return Fold(np.flatnonzero(~val), np.flatnonzero(val))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return clean_folder(tmp_path)


def test_clean_images_have_no_findings(tmp_path: Path) -> None:
    listing = clean_folder(tmp_path, patients=True).listing()
    result = look(
        replace(listing, folds=(Fold(np.arange(40), np.arange(40, 80)), Fold(np.arange(40, 80), np.arange(40))))
    )
    assert [finding.kind for finding in result.findings if finding.severity != "info"] == []
    assert result.duplicates == ()
    assert result.images == 120


def test_patients_and_cases_with_differing_labels_are_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number, image in enumerate(blobs(24)):
        folder.add(encoded(image), "ab"[number % 2], patient=str(number // 2 if number > 3 else number))
    survey = survey_files(folder.listing())
    findings = {finding.kind: finding for finding in audit_survey(survey).findings}
    assert findings["differing_labels"].severity == "info"
    assert findings["differing_labels"].count == 10
    assert findings["differing_labels"].names[0] == "2 (a, b)"
    exams = tuple(None if number < 4 else str(number // 4) for number in range(24))
    cases = replace(survey, cases=cases_by("exam", survey.patients, {"exam": exams}))
    (finding,) = [f for f in audit_survey(cases).findings if f.kind == "differing_labels"]
    assert (finding.severity, finding.count, finding.names[0]) == ("warning", 10, "1 of 2 (a, b)")
    same = replace(survey, labels=(("a",),) * 24)
    assert not [kind for kind in kinds_of(audit_survey(same)) if kind == "differing_labels"]
    with pytest.raises(DataError, match="lesion"):
        cases_by("lesion", survey.patients, survey.columns)


def test_a_case_in_two_splits_is_a_leak(folder: Folder) -> None:
    listing = folder.listing()
    survey = survey_files(listing)
    exams = [f"e{number}" for number in range(len(survey))]
    train, test = survey.splits.index("train"), survey.splits.index("test")
    exams[train] = exams[test] = "both"
    result = audit_survey(replace(survey, cases=cases_by("exam", survey.patients, {"exam": exams})))
    assert kinds_of(result)["cases_across_splits"] == 1
    assert result.leaks[0].names == ("both (train, test)",)
    assert not audit_survey(survey).leaks


@pytest.mark.parametrize("copier", COPIERS)
def test_a_copy_in_another_split_is_a_leak(folder: Folder, copier: str) -> None:
    copied = folder.add(COPIERS[copier](blobs(120, seed=1)[0]), "a", "test")
    result = look(folder.listing())
    assert kinds_of(result) == {"duplicates_across_splits": 2}
    assert result.leaks[0].names == ("0000", folder.images[copied].where)
    assert "(train 1, test 1): 0000 = 0120" in result.leaks[0].text
    (row,) = result.duplicates
    assert (row.first, row.second, row.first_split, row.second_split) == ("0000", "0120", "train", "test")
    assert row.how == ("identical" if copier == "same" else "near")


def test_a_leak_between_the_later_copies_of_an_image_is_found(folder: Folder) -> None:
    image = blobs(1, seed=9)[0]
    for split, pixels in (("train", image), ("train", image), ("train", image[:, ::-1]), ("val", image[:, ::-1])):
        folder.add(encoded(pixels), "a", split)
    result = look(folder.listing())
    assert kinds_of(result) == {"duplicates_across_splits": 4, "duplicates_within_split": 3}
    assert len(result.duplicates) == 3


def test_copies_with_other_labels_and_within_a_split_are_warnings(folder: Folder) -> None:
    images = blobs(120, seed=1)
    folder.add(encoded(images[0]), "b", "train")
    folder.add(encoded(images[1][::-1]), "b", "train")
    result = look(folder.listing())
    assert kinds_of(result) == {"duplicates_across_classes": 2, "duplicates_within_split": 4}
    assert not result.leaks
    assert "0000 (a) = 0120 (b)" in result.findings[0].text


def test_patients_in_several_splits_and_on_both_sides_of_a_fold_are_leaks(tmp_path: Path) -> None:
    folder = clean_folder(tmp_path, patients=True)
    folder.images[119] = replace(folder.images[119], patient="p0")
    result = look(folder.listing(folds=(halves(120),)))
    assert kinds_of(result)["patients_across_splits"] == 1
    assert "p0 (train, test)" in result.leaks[0].text
    assert kinds_of(result)["patients_across_folds"] == 59
    assert "fold 0: p0 (training, held out)" in result.leaks[1].text


def test_images_and_copies_on_both_sides_of_a_fold_are_leaks(folder: Folder) -> None:
    folder.add(encoded(blobs(120, seed=1)[0], "jpeg", quality=60), "b", "train")
    train, val = halves(121)
    train = np.setdiff1d(np.append(train, 120), [])
    val = np.setdiff1d(np.append(val, 5), [120])
    result = look(folder.listing(folds=(Fold(np.arange(60), np.arange(60, 120)), Fold(train, val))))
    leaks = {finding.kind: finding for finding in result.leaks}
    assert leaks["images_across_folds"].names == ("fold 1: 0005",)
    assert leaks["duplicates_across_folds"].names == ("fold 1: 0000", "fold 1: 0120")
    assert "fold 1: 2): 0000 = 0120" in leaks["duplicates_across_folds"].text


def test_images_that_lie_in_files_of_their_own_for_each_fold_are_no_leak(folder: Folder) -> None:
    """The same bytes trained on in one fold and held out in another."""
    image = encoded(blobs(1, seed=9)[0])
    first, second = folder.add(image, "a", "train"), folder.add(image, "a", "train")
    folds = (
        Fold(np.append(np.arange(60), first), np.arange(60, 120)),
        Fold(np.arange(60, 120), np.array([second])),
    )
    assert not look(folder.listing(folds=folds)).leaks


def test_what_can_not_be_used_is_told(folder: Folder) -> None:
    folder.add(b"no image", "a", "train")
    folder.add(b"", "a", "train")
    folder.add(encoded(np.full((32, 32, 1), 7, np.uint8)), "a", "train")
    images = blobs(3, seed=5)
    folder.add(encoded(images[0]), (), "train")
    folder.add(encoded(images[1]), ("a", "b"), "train")
    folder.add(encoded(images[2]), "a", None, "somebody")
    result = look(folder.listing(missing=("line 3: x.png",), ignored=("notes.txt", "b.txt")))
    assert kinds_of(result) == {
        "unreadable": 2, "uniform": 1, "blank_labels": 1, "multiple_labels": 1, "missing_splits": 1,
        "missing_patients": 125, "missing_files": 1, "ignored_files": 2,
    }  # fmt: skip
    texts = {finding.kind: finding.text for finding in result.findings}
    assert texts["unreadable"] == (
        "2 unreadable images: 0120: the content is not an image of a known format; formats: png, jpeg, tiff, bmp, "
        "dicom, 0121: the content is empty; formats: png, jpeg, tiff, bmp, dicom"
    )
    assert texts["multiple_labels"] == "1 image with several labels: 0124 (a, b)"
    assert texts["ignored_files"] == "2 ignored files: notes.txt, b.txt"
    assert not result.leaks


def test_a_file_that_is_gone_is_unreadable_and_no_crash(folder: Folder) -> None:
    folder.images[3].path.unlink()
    (finding,) = look(folder.listing()).findings
    assert finding.names == ("0003: the file can't be opened: No such file or directory",)


def test_small_and_missing_classes(folder: Folder) -> None:
    folder.add(encoded(blobs(1, seed=9)[0]), "c", "train")
    findings = {
        finding.kind: finding for finding in look(folder.listing(folds=(halves(121, held_out=3),))).findings
    }
    assert findings["small_class"].names == ("c (1 image in train)",)
    assert set(findings["missing_class"].names) == {"c in val", "c in test", "c in fold 0, training"}


def test_classes_are_too_small_for_the_splits_and_folds_to_come(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number, image in enumerate(blobs(20)):
        folder.add(encoded(image), "a" if number < 5 else "b", patient=str(number % 4))
    (finding,) = [f for f in look(folder.listing()).findings if f.severity != "info"]
    assert finding.names == ("a (5 images for 3 splits)", "b (4 patients for 5 folds)")


def test_a_split_that_differs_in_class_brightness_sharpness_and_tone_is_told(tmp_path: Path) -> None:
    folder, images = Folder(tmp_path), blobs(120, channels=3)
    noise = np.random.default_rng(0).integers(0, 60, images.shape, dtype=np.uint8)
    images[80:] = (images[80:] // 2 + 120 + noise[80:]) * np.array([1.0, 0.9, 0.7])
    for number, image in enumerate(images):
        test = number >= 80
        folder.add(encoded(image), "ab"[number % 8 == 0 if test else number % 2], "test" if test else "train")
    findings = {finding.kind: finding for finding in look(folder.listing()).findings}
    assert set(findings) == {"class_balance", "brightness", "sharpness", "tone"}
    assert findings["class_balance"].names[0].startswith("train (Cramér's V 0.3")
    assert "train is darker by" in findings["brightness"].text
    assert "train is less sharp by" in findings["sharpness"].text
    assert "train is colder by" in findings["tone"].text


def test_an_audit_of_nothing_but_broken_files_still_tells_them(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for _ in range(3):
        folder.add(b"nothing")
    assert kinds_of(look(folder.listing())) == {"unreadable": 3, "small_class": 1}


def test_no_images_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder:test: no images"):
        survey_files(Folder(tmp_path).listing())


def test_an_audit_is_plain_values(folder: Folder) -> None:
    folder.add(encoded(blobs(120, seed=1)[0][::-1]), "a", "test")
    result = look(folder.listing())
    written = json.loads(json.dumps(result.to_dict()))
    assert written["images"] == result.images == len(folder.images)
    assert Audit.from_dict(written) == result
    assert {finding.kind for finding in result.findings} <= set(KINDS)


# -- data sets in memory


def leaky(images: np.ndarray, **facts: object) -> ImageDataset:
    count = len(images)
    splits = {"train": np.arange(count - 10), "test": np.arange(count - 10, count)}
    return ImageDataset(images, np.arange(count) % 2, ("a", "b"), splits, "test", **facts)  # type: ignore[arg-type]


def test_leaks_of_a_data_set_in_memory_are_found() -> None:
    images = blobs(60)
    assert find_leaks(leaky(images)).findings == ()
    images[55] = images[3][:, ::-1]
    result = find_leaks(leaky(images, groups=np.arange(60) // 4))
    assert kinds_of(result) == {"duplicates_across_splits": 2, "patients_across_splits": 1}
    assert result.leaks[0].names == ("train[3]", "test[5]")
    assert [row.orientation for row in result.duplicates] == ["mirrored left-right"]


def test_patients_that_are_not_named_are_not_one_patient() -> None:
    groups = np.array([None, "nan", ""] * 20, dtype=object)
    assert find_leaks(leaky(blobs(60), groups=groups)).findings == ()


def test_ready_made_folds_of_a_data_set_are_looked_at() -> None:
    images = blobs(60)
    images[1] = images[0]
    result = find_leaks(leaky(images, folds=(halves(50),)))
    assert kinds_of(result) == {"duplicates_across_folds": 2}


def test_survey_and_leaks_agree_on_what_is_a_leak() -> None:
    images = blobs(60)
    images[59] = images[0]
    dataset = leaky(images)
    assert audit_survey(survey_dataset(dataset)).leaks == find_leaks(dataset).leaks
