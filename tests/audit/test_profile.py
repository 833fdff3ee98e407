"""The profile's numbers, and its tables, which fit a terminal of 80 columns."""

import io
import json
from pathlib import Path

import numpy as np
from rich.console import Console

from medray.audit.audit import audit_survey
from medray.audit.print_audit import print_audit, print_profile
from medray.audit.profile import Profile, profile_survey
from medray.audit.survey_images import survey_dataset, survey_files
from tests.audit.audit_samples import Folder, blobs, encoded, phantom


def shown(made: Profile) -> str:
    stream = io.StringIO()
    print_profile(made, Console(file=stream, width=80))
    return stream.getvalue()


def test_images_are_counted_by_class_and_split(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    labels = [*[("a",)] * 22, ("b",), (), ("a", "b"), ("b",)]
    for image, labels_of_image, split in zip(
        blobs(26), labels, (*["train"] * 23, "test", "test", None), strict=True
    ):
        folder.add(encoded(image[: 40 if split else 64]), labels_of_image, split, "p")
    folder.add(b"broken", "b", "test")
    made = profile_survey(
        survey_files(folder.listing(missing=("x", "y"), ignored=("z",), rows={"b": 2, "(blank)": 3, "a": 3}))
    )
    assert made.splits == ("train", "test", "(no split)")
    assert made.counts == {"a": (22, 0, 0), "b": (1, 1, 1), "(blank)": (0, 1, 0), "(several)": (0, 1, 0)}
    assert list(made.rows.items()) == [("(blank)", 3), ("a", 3), ("b", 2)]
    assert made.sizes == {"40 x 64": 25, "64 x 64": 1}
    assert made.height is not None
    assert (made.height.min, made.height.median, made.height.max) == (40, 40, 64)
    assert (made.blank, made.multiple, made.missing, made.unreadable, made.ignored) == (1, 1, 2, 1, 1)
    assert made.channels == {"grey": 26}
    assert made.formats == {"png": 26, "unknown": 1}
    assert made.patients == 1
    json.dumps(made.to_dict(), allow_nan=False)
    text = shown(made)
    assert "27 images, 1 patient, 1 without a label, 1 with several labels, 1 unreadable, 2 missing" in text
    assert "40 x 64 (25), 64 x 64 (1)" in text


def test_tables_fit_a_terminal() -> None:
    made = profile_survey(survey_dataset(phantom()))
    assert max(map(len, shown(made).splitlines()[1:-1])) <= 80
    assert "liver" in shown(made)


def test_long_names_of_classes_are_folded_and_none_is_read_as_markup(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for image, label in zip(blobs(4), ("[red]x", "y" * 90, "[/]", "z"), strict=True):
        folder.add(encoded(image), (label,), "train")
    made = survey_files(folder.listing())
    text = shown(profile_survey(made))
    assert "[red]x" in text
    assert "[/]" in text
    assert max(map(len, text.splitlines())) <= 80
    stream = io.StringIO()
    print_audit(audit_survey(made), Console(file=stream, width=80))
    assert "[red]x (1 image in train)" in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= 80


def test_nothing_that_can_be_read_is_profiled_too(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.add(b"broken")
    made = profile_survey(survey_files(folder.listing()))
    assert made.unreadable == 1
    assert made.looks == {}
    assert made.height is None
    assert "1 unreadable" in shown(made)


def test_grey_that_is_stored_as_colour_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.add(encoded(np.repeat(blobs(1)[0], 3, axis=2)))
    assert profile_survey(survey_files(folder.listing())).channels == {"grey stored as RGB": 1}
