"""Real images, where they are had: $MEDRAY_REAL_IMAGES is a folder of BCCD's blood cells and two sets of MedMNIST.

bloodcells/labels.csv, bloodcells/images/BloodImage_00000.jpg ...    BCCD with Kaggle's table of labels
breastmnist.npz, pneumoniamnist.npz                                  the official files
"""

import os
from pathlib import Path

import numpy as np
import pytest

from medray.audit.profile import profile_survey
from medray.audit.survey_images import open_source, survey_source
from medray.data.load_data import load_data
from medray.space.loading import parse
from medray.space.shipped import shipped_folder

WHERE = os.environ.get("MEDRAY_REAL_IMAGES", "")
ROWS = {"NEUTROPHIL": 207, "EOSINOPHIL": 88, "(blank)": 44, "LYMPHOCYTE": 33, "MONOCYTE": 21, "BASOPHIL": 3}
OTHERS = "(several)"

pytestmark = pytest.mark.skipif(not WHERE, reason="MEDRAY_REAL_IMAGES names no folder of real images")


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    return Path(WHERE)


def test_the_profile_of_blood_cells_counts_as_the_report_does(real: Path) -> None:
    made = profile_survey(survey_source(open_source(f"csv:{real}/bloodcells/labels.csv")))
    assert made.rows == {**ROWS, OTHERS: 15}
    assert sum(made.rows.values()) == 411
    assert made.missing == 45
    assert made.images == 411 - 45
    assert made.unreadable == 0
    assert made.sizes == {"480 x 640": 366}


def test_the_shipped_space_loads_four_types_of_blood_cells(real: Path) -> None:
    path = shipped_folder() / "bloodcells.yaml"
    space = parse(path.read_text(encoding="utf-8"), str(path))
    dataset = load_data(f"csv:{real}/bloodcells/labels.csv", preparation=space.preparation)
    assert dataset.class_names == ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")
    assert dataset.shape == (150, 150, 3)
    assert sum(map(len, dataset.splits.values())) == len(dataset)
    for part in dataset.splits.values():
        assert len(np.unique(dataset.labels[part])) == 4
    for part in ("45 rows without a file", "blank label", "with several labels", "BASOPHIL (3)"):
        assert any(part in note for note in dataset.notes), part


@pytest.mark.parametrize(
    ("name", "images", "classes"),
    [("breastmnist", (546, 78, 156), (147, 399)), ("pneumoniamnist", (4708, 524, 624), (1214, 3494))],
)
def test_sets_of_medmnist_have_their_official_counts(
    real: Path, name: str, images: tuple[int, ...], classes: tuple[int, ...]
) -> None:
    dataset = load_data(str(real / f"{name}.npz"))
    assert tuple(len(dataset.splits[split]) for split in ("train", "val", "test")) == images
    assert dataset.shape == (28, 28, 1)
    assert tuple(np.bincount(dataset.labels[dataset.splits["train"]])) == classes
