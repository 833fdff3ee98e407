"""The public sets that shipped search spaces name: small trees in their layouts load as the spaces say."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.space.loading import parse
from medray.space.search_space import SearchSpace
from medray.space.shipped import shipped_folder

FILMS = {"COVID": 6, "Lung_Opacity": 7, "Normal": 9, "Viral Pneumonia": 5}
CELLS = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the relative paths of the spaces begin."""
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(path: Path, seed: int, size: tuple[int, int], *, colours: bool) -> None:
    """Write noise of (width, height) in the format of the path's suffix."""
    shape = (size[1], size[0], 3) if colours else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG" if path.suffix == ".png" else "JPEG")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.getvalue())


def shipped(name: str) -> str:
    return (shipped_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def loaded(space: SearchSpace, source: str | None = None) -> ImageDataset:
    return load_data(source or space.data, phantom=space.name, preparation=space.preparation)


def counts(dataset: ImageDataset) -> dict[str, int]:
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names)).tolist()
    return dict(zip(dataset.class_names, counts, strict=True))


def uncommented(text: str) -> str:
    """The space with the lines that its head proposes, in place of those of the same keys."""
    lines = dict(re.findall(r"^#   (\w+): (.+)$", text, re.MULTILINE))
    assert list(lines) == ["data", "labels"]
    for key in lines:
        text = re.sub(rf"^{key}: .*\n", "", text, flags=re.MULTILINE)
    return text + "".join(f"\n{key}: {value}" for key, value in lines.items())


def test_the_radiography_database_is_covid_or_not(here: Path) -> None:
    for name, count in FILMS.items():
        for number in range(count):
            film = f"{name.removesuffix(' Pneumonia')}-{number + 1}.png"
            draw(here / "data/covid" / name / "images" / film, 100 * len(name) + number, (299, 299), colours=False)
            draw(here / "data/covid" / name / "masks" / film, 7, (256, 256), colours=True)
    (here / "data/covid/COVID.metadata.xlsx").write_bytes(b"PK")
    space = parse(uncommented(shipped("covid")), "covid.yaml")
    dataset = loaded(space)
    assert dataset.shape == (256, 256, 1)
    assert counts(dataset) == {"COVID": 6, "not COVID": 21}
    assert "left out by exclude: 'masks' (folders: 4, images: 27, other files: 0)" in dataset.notes
    assert space.published is not None
    assert space.published.positive in dataset.class_names


def test_covid_or_not_in_folders_of_ones_own(here: Path) -> None:
    for number in range(12):
        kind = ("COVID", "NORMAL")[number % 2]
        draw(here / "data/covid" / kind / f"{number}.png", number, (40, 30), colours=False)
    assert counts(loaded(parse(shipped("covid"), "covid.yaml"))) == {"COVID": 6, "NORMAL": 6}


def test_the_table_of_isic_2017_has_three_kinds_of_lesions(here: Path) -> None:
    rows = ["image_id,melanoma,seborrheic_keratosis"]
    for number in range(24):
        name, kind = f"ISIC_{number:07d}", number % 4
        rows.append(f"{name},{float(kind == 1)},{float(kind == 2)}")
        folder = here / "data/skin/ISIC-2017_Training_Data"
        draw(folder / f"{name}.jpg", number, (60, 45), colours=True)
        draw(folder / f"{name}_superpixels.png", 1000 + number, (60, 45), colours=True)
    (here / "data/skin/ISIC-2017_Training_Part3_GroundTruth.csv").write_text("\n".join(rows))
    dataset = loaded(parse(shipped("skin"), "skin.yaml"))
    assert dataset.shape == (224, 224, 3)
    assert counts(dataset) == {"melanoma": 6, "nevus": 12, "seborrheic_keratosis": 6}
    assert "label of rows with a 1 in none of these: nevus (rows: 12)" in dataset.notes


def test_kaggles_folders_of_blood_cells_without_the_simple_test(here: Path) -> None:
    for split, count in (("TRAIN", 8), ("TEST", 3), ("TEST_SIMPLE", 1)):
        for index, name in enumerate(CELLS):
            for number in range(count):
                seed = 1000 * len(split) + 100 * index + number
                draw(here / "cells" / split / name / f"_{number}_{seed}.jpeg", seed, (32, 24), colours=True)
    dataset = loaded(parse(shipped("bloodcells"), "bloodcells.yaml"), "folder:cells?exclude=TEST_SIMPLE")
    assert dataset.shape == (150, 150, 3)
    assert counts(dataset) == dict.fromkeys(CELLS, 11)
    assert len(dataset.splits["test"]) == 12
    assert "left out by exclude: 'TEST_SIMPLE' (folders: 1, images: 4, other files: 0)" in dataset.notes
