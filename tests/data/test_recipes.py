"""docs/recipes.md: small trees in the layouts of public data sets load as the page says, by the page's lines."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from medray.data.dataset import ImageDataset
from medray.data.listing.list_source import list_source
from medray.data.load_data import load_data
from medray.data.members import members_of
from medray.data.source import parse_source
from medray.space.preparation import Preparation
from tests.data.listing.folders.folder_trees import refusal
from tests.data.recipe_page import Section, lay_out, read_page
from tests.data.recipe_trees import ALONE, TREES

SECTIONS = read_page()


@dataclass(frozen=True)
class Expected:
    """What a source gives: images by class, how many patients, and the splits of its own."""

    classes: dict[str, int]
    patients: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


GRADES = {str(grade): 4 for grade in range(5)}
#: One for each source of a section, in the page's order.
EXPECTED: dict[str, list[Expected]] = {
    "HAM10000": [Expected({"bkl": 8, "mel": 8, "nv": 8}, patients=12)],
    "ISIC 2019": [
        Expected(
            dict.fromkeys(("AK", "BCC", "BKL", "DF", "MEL", "NV", "SCC", "VASC"), 6),
            notes=("columns without a 1 are no classes: UNK",),
        ),
        Expected(dict.fromkeys(("AK", "BCC", "BKL", "DF", "MEL", "NV", "SCC", "VASC"), 6), patients=25),
    ],
    "ChestX-ray14": [
        Expected(
            {name: 6 if name in ("Effusion", "Pneumonia") else 3 for name in ALONE},
            patients=16,
            notes=("divided at '|'", "labels an image: none 3, one 42, several 3"),
        ),
        Expected(dict.fromkeys((*ALONE, "No Finding"), 3), patients=16, notes=("divided at '|'",)),
        Expected({"No Finding": 3, "finding": 45}, patients=16),
        Expected({"Pneumonia": 6, "other": 42}, patients=16, splits={"train": 39, "test": 9}),
    ],
    "CheXpert": [
        Expected(
            {"Pleural Effusion": 3, "other": 3},
            patients=6,
            notes=("'-1.0' (rows: 6", "'*_lateral.jpg' (folders: 0, images: 16", "left out: 3 blank labels"),
        ),
        Expected(
            {"Pleural Effusion": 3, "Support Devices": 8},
            patients=11,
            notes=(
                "labels an image: none 2, one 7, several 2",
                "left out: 1 blank label",
                "uncertain labels, neither trained on nor measured: 3",
            ),
        ),
    ],
    "RSNA pneumonia": [
        Expected({"0": 16, "1": 8}, patients=24, notes=("images without a row, left out: 3",)),
        Expected({"Lung Opacity": 8, "No Lung Opacity / Not Normal": 8, "Normal": 8}, patients=24),
    ],
    "COVID-19 radiography": [
        Expected(dict.fromkeys(("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"), 8)),
    ],
    "CBIS-DDSM": [Expected({"MALIGNANT": 8, "benign": 10}, patients=9, splits={"train": 12, "test": 6})],
    "BUSI": [Expected(dict.fromkeys(("benign", "malignant", "normal"), 8))],
    "BreaKHis": [
        Expected({"benign": 8, "malignant": 8}, patients=7),
        Expected({"ductal_carcinoma": 24, "lobular_carcinoma": 8}, patients=3),
    ],
    "APTOS": [Expected(GRADES)],
    "EyePACS": [Expected(GRADES, patients=10)],
    "ODIR": [Expected({"C": 6, "D": 7, "N": 7}, patients=10)],
    "MURA": [Expected({"negative": 16, "positive": 16}, patients=16, splits={"train": 16, "val": 16})],
    "Blood cells": [
        Expected(
            {"EOSINOPHIL": 3, "NEUTROPHIL": 3},
            notes=("BloodImage_{:05d}.jpg", "2 blank labels", "3 images (first: line 4) with several labels"),
        ),
        Expected(
            dict.fromkeys(("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL"), 8),
            splits={"train": 20, "test": 12},
        ),
    ],
    "PatchCamelyon": [
        Expected({"normal": 18, "tumor": 18}, patients=12, splits={"train": 12, "val": 12, "test": 12})
    ],
    "TCIA": [Expected({}), Expected({"adenocarcinoma": 12, "large cell": 12}, patients=12)],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the page's lines run."""
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def counts(dataset: ImageDataset) -> dict[str, int]:
    numbers = members_of(dataset.labels, len(dataset.class_names)).sum(axis=0).tolist()
    return dict(zip(dataset.class_names, numbers, strict=True))


def test_each_section_has_a_tree_a_source_and_an_entry_in_the_contents() -> None:
    assert {*SECTIONS} == {*TREES} == {*EXPECTED}
    for section in SECTIONS.values():
        assert section.of_kind("text")
        assert section.of_kind("bash")


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_the_tree_is_the_one_that_the_page_shows(section: Section, home: Path) -> None:
    TREES[section.name](home)
    for path, rest in section.files():
        if path.endswith(".h5"):
            continue  # of PatchCamelyon, which only h5py can write
        assert (home / path).is_file(), path
        if path.endswith(".csv") and rest:
            assert (home / path).read_text().partition("\n")[0] == rest


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_its_sources_give_what_the_page_says(section: Section, home: Path) -> None:
    lay_out(section, home)
    for (text, sections), expected in zip(section.sources(), EXPECTED[section.name], strict=True):
        source = parse_source(text)
        if not expected.classes:
            assert {image.labels for image in list_source(source).images} == {()}
            continue
        dataset = load_data(source, preparation=Preparation.from_dict(sections, sections.get("task", "single")))
        assert counts(dataset) == expected.classes, text
        groups = dataset.groups
        assert (len(np.unique(groups)) if groups is not None else 0) == expected.patients, text
        if groups is not None:
            splits = [set(groups[positions]) for positions in dataset.splits.values()]
            assert sum(map(len, splits)) == expected.patients, f"{text}: a patient in two splits"
        for note in expected.notes:
            assert any(note in line for line in dataset.notes), (note, dataset.notes)
        if expected.splits and source.is_listed:
            own = Counter(image.split for image in list_source(source).images)
            assert {name: own[name] for name in expected.splits} == expected.splits


REFUSED = [
    ("ChestX-ray14", "csv:ChestX-ray14/Data_Entry_2017.csv", "3 images (first: line 17) with several labels"),
    ("CheXpert", "csv:CheXpert-v1.0-small/train.csv?label=Pleural Effusion&none=other", "`?uncertain=ignore`"),
    ("COVID-19 radiography", "folder:COVID-19_Radiography_Dataset", "`?exclude=masks`"),
    ("BUSI", "folder:Dataset_BUSI_with_GT", "`?exclude=*_mask*`"),
    (
        "CBIS-DDSM",
        "csv:CBIS-DDSM/mass_case_description_train_set.csv?image=image file path&label=pathology",
        "no image of column 'image file path' is there, the first 'Mass-Training_P_00001_LEFT_CC/1.3.6",
    ),
    ("CBIS-DDSM", "csv:CBIS-DDSM/films.csv?label=pathology", "with different labels: 'MALIGNANT' and 'BENIGN'"),
    ("ODIR", "csv:ODIR/ODIR-5K/ODIR-5K/data.xlsx", "a spreadsheet is not read"),
    ("ODIR", "csv:ODIR/full_df.csv?image=filename&label=labels", "`?pattern=preprocessed_images/{}`"),
    ("MURA", "folder:MURA-v1.1", "a table (csv:) names the class of each image"),
    ("MURA", "csv:MURA-v1.1/train_image_paths.csv", "write the names of the columns above it"),
    ("MURA", "csv:MURA-v1.1/train_labeled_studies.csv", "write the names of the columns above it"),
    ("Blood cells", "folder:blood-cells/dataset2-master/dataset2-master/images", "`?exclude=TEST_SIMPLE`"),
    ("PatchCamelyon", "pcam/camelyonpatch_level_2_split_train_x.h5", "valid: phantom"),
]


@pytest.mark.parametrize(("name", "source", "fragment"), REFUSED)
def test_what_the_page_calls_refused_is(name: str, source: str, fragment: str, home: Path) -> None:
    lay_out(SECTIONS[name], home)
    refusal(lambda: load_data(source), fragment)


@pytest.mark.parametrize(
    ("name", "source", "note"),
    [
        ("HAM10000", "csv:HAM10000/HAM10000_metadata.csv", "`?patient=lesion_id`"),
        ("EyePACS", "csv:EyePACS/trainLabels.csv?label=level", "names of 20 files share 10 beginnings"),
        ("BreaKHis", "folder:BreaKHis_v1/histology_slides/breast?patients=3", "`patients=3`: 8 of 64 images"),
        ("MURA", "folder:MURA-v1.1?subgroups=&patients=folder", "16 of 32 images, such as 'patient00001'"),
        ("TCIA", "dicom:manifest-1603198545583/NSCLC-Radiomics", "patients by PatientID, as hashes: 12"),
    ],
)
def test_what_the_page_says_is_noted_is(name: str, source: str, note: str, home: Path) -> None:
    lay_out(SECTIONS[name], home)
    notes = list_source(parse_source(source)).notes
    assert any(note in line for line in notes), notes
