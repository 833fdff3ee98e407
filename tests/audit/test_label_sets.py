"""Profile and audit of images with several labels: each counts in all of its labels, and none is doubted for it."""

import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from medray.audit.audit import audit_survey
from medray.audit.data_command import data
from medray.audit.findings import Audit
from medray.audit.print_audit import print_profile
from medray.audit.profile import Profile, profile_survey
from medray.audit.survey_images import survey_dataset, survey_files
from medray.data.dataset import ImageDataset
from tests.audit.audit_samples import Folder, blobs, encoded


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """60 films of `a`, `b`, both or none, each fourth of test."""
    folder = Folder(tmp_path)
    sets = (("a",), ("b", "a"), ("No Finding",), ("b",), ("No Finding",))
    for number, image in enumerate(blobs(60)):
        folder.add(encoded(image), sets[number % 5], "test" if number % 4 == 0 else "train")
    return folder


def look(folder: Folder) -> Audit:
    return audit_survey(survey_files(folder.listing()))


def shown(made: Profile) -> str:
    stream = io.StringIO()
    print_profile(made, Console(file=stream, width=80))
    return stream.getvalue()


def test_an_image_counts_in_each_of_its_labels_and_once_among_all(folder: Folder) -> None:
    made = profile_survey(survey_files(folder.listing()))
    assert made.splits == ("test", "train")
    assert {name: sum(counts) for name, counts in made.counts.items()} == {"a": 24, "b": 24, "No Finding": 24}
    assert {kind: sum(counts) for kind, counts in made.sets.items()} == {
        "(none)": 24,
        "(one)": 24,
        "(several)": 12,
    }
    assert [sum(column) for column in zip(*made.sets.values(), strict=True)] == [15, 45]
    assert (made.blank, made.multiple) == (0, 12)
    assert Profile.from_dict(made.to_dict(), "x") == made
    text = shown(made)
    assert "labels: several" in text
    assert max(map(len, text.splitlines()[1:])) <= 80
    assert [line.split() for line in text.splitlines() if "all images" in line] == [
        ["│", "all", "images", "│", "15", "│", "45", "│", "60", "│"]
    ]


def test_several_labels_are_no_finding_and_none_is_missing(folder: Folder) -> None:
    assert not look(folder).findings


def test_a_label_that_means_none_is_none_only_where_it_always_stands_alone(folder: Folder) -> None:
    folder.add(encoded(blobs(1, seed=3)[0]), ("No Finding", "b"), "train")
    made = profile_survey(survey_files(folder.listing()))
    assert {kind: sum(counts) for kind, counts in made.sets.items()} == {"(none)": 0, "(one)": 48, "(several)": 13}


def test_duplicates_with_other_sets_are_named_and_with_the_same_in_another_order_not(folder: Folder) -> None:
    image = encoded(blobs(1, seed=9)[0])
    for labels in (("a", "b"), ("b", "a")):
        folder.add(image, labels, "train")
    assert {finding.kind for finding in look(folder).findings} == {"duplicates_within_split"}
    folder.add(image, ("a",), "train")
    texts = {finding.kind: finding.text for finding in look(folder).findings}
    assert texts["duplicates_across_classes"].startswith(
        "3 images with duplicates with other labels: 0060 (a, b) = 0062 (a)"
    )


def test_small_and_missing_labels_are_counted_by_label(folder: Folder) -> None:
    folder.add(encoded(blobs(1, seed=4)[0]), ("a", "rare"), "train")
    texts = {finding.kind: finding.text for finding in look(folder).findings}
    assert texts["missing_class"] == "1 missing class: rare in test"
    assert "rare (1 image in train)" in texts["small_class"]


def test_a_split_with_more_of_a_label_is_named_with_the_label(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number, image in enumerate(blobs(200)):
        test = number < 60
        often = number % 2 == 0 if test else number % 10 == 0
        folder.add(
            encoded(image),
            (*(["a"] if often else []), *(["b", "c"][number % 3 == 0 :])),
            "test" if test else "train",
        )
    texts = {finding.kind: finding.text for finding in look(folder).findings}
    assert texts["class_balance"].startswith("different shares of classes: test (a, Cramér's V 0.")
    assert "b, " not in texts["class_balance"]


def test_arrays_keep_their_sets_and_uncertain_labels() -> None:
    labels = np.tile(np.array([[1, 1], [0, 0], [-1, 0], [0, 1]]), (30, 1)).astype(np.int64)
    splits = {"train": np.arange(80), "val": np.arange(80, 100), "test": np.arange(100, 120)}
    dataset = ImageDataset(blobs(120), labels, ("a", "b"), splits, "made")
    survey = survey_dataset(dataset)
    assert (survey.answers() == labels).all()
    made = profile_survey(survey)
    assert {kind: sum(counts) for kind, counts in made.sets.items()} == {
        "(none)": 30, "(one)": 30, "(several)": 30, "(uncertain)": 30,
    }  # fmt: skip
    assert not audit_survey(survey).findings


def test_transparency_of_one_label_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number, image in enumerate(blobs(120)):
        alpha = np.full_like(image, 255)
        alpha[:20] = 0 if number % 3 == 0 else 255
        stream = io.BytesIO()
        Image.fromarray(np.concatenate([image, image, image, alpha], axis=2)).save(stream, "png")
        labels = (*(["clipped"] if number % 3 == 0 else []), *(["b", "c"][number % 2 :]))
        folder.add(stream.getvalue(), labels, "train")
    text = next(finding.text for finding in look(folder).findings if finding.kind == "transparency")
    assert "clipped 40 of 40 images" in text
    assert " b " not in text


def test_the_sheet_has_a_row_for_each_label(folder: Folder, tmp_path: Path) -> None:
    rows = ["file,label", *(f"{image.path.name},{'|'.join(image.labels)}" for image in folder.images)]
    table = folder.root / "labels.csv"
    table.write_text("\n".join(rows) + "\n")
    sheet = tmp_path / "sheet.png"
    result = CliRunner().invoke(data, ["profile", f"csv:{table}?separator=|", "--sheet", str(sheet)])
    assert result.exit_code == 0, result.output
    with Image.open(sheet) as drawn:
        one_row = drawn.height / 3
        assert drawn.height > 3 * 128
        assert one_row < 2 * 128 + 60


def test_none_in_words_and_no_label_are_the_same_set(folder: Folder) -> None:
    image = encoded(blobs(1, seed=9)[0])
    for labels in (("No Finding",), ()):
        folder.add(image, labels, "train")
    findings = audit_survey(survey_files(folder.listing(class_columns=True))).findings
    assert {finding.kind for finding in findings} == {"duplicates_within_split"}
