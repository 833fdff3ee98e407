"""Patients by the folders and file names below the classes: taken where asked for, noticed where not."""

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.data.listing.folders.related_images import RELATED
from tests.data.decoding.file_samples import dicom
from tests.data.listing.folders.folder_trees import check, grow, list_text, listed, refusal


def related(source: object) -> str:
    """The note on images that may be of one patient; an empty text if there is none."""
    return " ".join(note for note in listed(source).notes if note.startswith(RELATED))


def breakhis(root: Path) -> Path:
    """BreakHis as it is unpacked, below its two classes: the patient's folder is the fourth of five levels."""
    tissues = {"benign": ("adenosis", "fibroadenoma"), "malignant": ("ductal_carcinoma", "lobular_carcinoma")}
    return grow(root, [
        f"{name}/SOB/{tissue}/SOB_{name[0].upper()}_14-{22549 + place}{patient}/{zoom}X/{image}.png"
        for name, kinds in tissues.items()
        for place, tissue in enumerate(kinds)
        for patient in range(3)
        for zoom in (40, 100, 200, 400)
        for image in range(2)
    ])  # fmt: skip


def mura(root: Path, ending: str = "") -> Path:
    return grow(root, [
        f"{part}/patient{patient:05}/study1{ending and ('_positive' if patient % 2 else ending)}/image{image}.png"
        for part in ("XR_ELBOW", "XR_WRIST")
        for patient in range(6)
        for image in range(2)
    ])  # fmt: skip


# -- taken where asked for


def test_patients_are_not_guessed_but_may_be_asked_for(tmp_path: Path) -> None:
    grow(tmp_path, ["a/p1/1.png", "a/p1/2.png", "b/p1/1.png", "b/p 2/series/1.png"])
    assert not any(image.patient for image in listed(tmp_path).images)
    for option in ("folder", "1"):
        listing = check(list_text(f"folder:{tmp_path}?patients={option}"))
        assert [image.patient for image in listing.images] == ["p1", "p1", "p 2", "p1"]
        assert f"patients by `patients={option}`: 2 of 4 images, such as 'p 2'" in listing.notes


def test_a_deeper_level_is_taken_by_its_number(tmp_path: Path) -> None:
    listing = listed(f"{breakhis(tmp_path)}?patients=3")
    assert {image.patient for image in listing.images} == {Path(i.where).parts[3] for i in listing.images}
    assert len({image.patient for image in listing.images}) == 12


@pytest.mark.parametrize(
    ("pattern", "patients"),
    [
        (r"SOB_[BM]_14-\d+", {"SOB_B_14-225490", "SOB_B_14-225500", "SOB_M_14-225490"}),
        (r"(14-\d+)/", {"14-225490", "14-225500"}),
        (r"14-\d+(%3F=/40X)|^.+", None),
    ],
)
def test_a_pattern_is_searched_in_the_path_below_the_class(
    tmp_path: Path, pattern: str, patients: set[str] | None
) -> None:
    files = [("benign", "adenosis", "SOB_B_14-225490"), ("benign", "fibro", "SOB_B_14-225500"),
             ("malignant", "ductal", "SOB_M_14-225490")]  # fmt: skip
    grow(tmp_path, ["/".join([*parts, "40X", f"{n}.png"]) for parts in files for n in range(2)])
    taken = {image.patient for image in listed(f"{tmp_path}?patients={pattern}").images}
    if patients is not None:
        assert taken == patients


def test_a_pattern_reads_file_names_and_splits_stay(tmp_path: Path) -> None:
    grow(
        tmp_path,
        [f"{s}/{c}/pat{s}{c}{p}_{n}.png" for s in ("train", "test") for c in "ab" for p in "12" for n in "12"],
    )
    listing = listed(f"{tmp_path}?patients=^([^_]%2B)_")
    assert {image.patient for image in listing.images} == {
        f"pat{s}{c}{p}" for s in ("train", "test") for c in "ab" for p in "12"
    }
    assert {image.split for image in listing.images} == {"train", "test"}


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.integers(0, 5)),
        min_size=4,
        max_size=20,
        unique=True,
    ),
    st.integers(1, 3),
)
def test_a_level_names_the_patient_of_every_image(images: list[tuple[str, int, int]], level: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for label, depth, patient in images:
            below = "/".join(f"L{n}-{patient}" for n in range(1, depth + 1))
            grow(Path(folder), [f"{label}/{below}/1.png", f"a/{below}/x.png", f"b/{below}/x.png"])
        source = f"folder:{folder}?subgroups=&patients={level}"
        shallow = any(depth < level for _, depth, _ in images)
        few = len({patient for _, _, patient in images}) < 2
        if shallow or few:
            refusal(
                lambda: list_text(source),
                "no patient's folder" if shallow else "all images would be of one patient",
            )
        else:
            for image in check(list_text(source)).images:
                assert image.patient == Path(image.where).parts[level]


def test_patients_above_the_classes(tmp_path: Path) -> None:
    """Invasive ductal carcinoma of Kaggle: a folder for each patient, with folders of the classes 0 and 1."""
    patients = [10253, 10254, 8863, 9036, 12947]
    grow(tmp_path, [f"{p}/{c}/{p}_x{n}_class{c}.png" for p in patients for c in "01" for n in range(2)])
    grow(tmp_path, ["777/0/777_x1.png"])
    refusal(
        lambda: listed(tmp_path),
        "look like numbers or ids, not classes",
        "`?patients=above` for patients",
    )
    listing = listed(f"{tmp_path}?patients=above")
    assert {image.labels for image in listing.images} == {("0",), ("1",)}
    assert {image.patient for image in listing.images} == {*map(str, patients), "777"}
    assert "patients by folders above the classes: 6 of 21 images, such as '10253'" in listing.notes


def test_patients_of_words_above_the_classes_and_below_splits(tmp_path: Path) -> None:
    files = {"train": "1234", "test": "56"}
    grow(tmp_path, [f"{s}/Patient_{p}/{c}/1.png" for s, ps in files.items() for p in ps for c in ("mel", "nev")])
    refusal(
        lambda: listed(tmp_path), "below test/", "look like patients, not classes: they hold the folders mel, nev"
    )
    listing = listed(f"{tmp_path}?patients=above")
    assert {(i.split, i.patient) for i in listing.images} == {
        (s, f"Patient_{p}") for s, ps in files.items() for p in ps
    }


def test_patients_that_are_no_classes(tmp_path: Path) -> None:
    grow(tmp_path, [f"patient{p}/study{s}/1.png" for p in range(4) for s in range(2)])
    refusal(lambda: listed(tmp_path), "look like patients, not classes", "a table (csv:) names the class")
    assert len(listed(f"{tmp_path}?subgroups=")) == 8
    grow(tmp_path / "flat", [f"Subject {p}/{n}.png" for p in range(4) for n in range(2)])
    refusal(lambda: listed(tmp_path / "flat"), "look like subjects, not classes")


@pytest.mark.parametrize(
    ("option", "fragments"),
    [
        ("folder", ["all images would be of one patient, 'SOB'", "level 3 'SOB_B_14-225490'", "`?patients=3`"]),
        ("9", ["lies in no patient's folder 9 levels below its class (so do 96 of 96 images)"]),
        ("4", ["level 4 '100X' (48 folders, magnifications)"]),
        (r"(SOB_B\S*)/", ["does not match '(SOB_B\\S*)/' below its class (so do 48 of 96 images)", "malignant/SOB/"]),
        (r"S", ["unknown kind of patients 'S'"]),
    ],
)  # fmt: skip
def test_what_is_no_patient_is_refused(tmp_path: Path, option: str, fragments: list[str]) -> None:
    breakhis(tmp_path)
    if option == "4":
        assert len({i.patient for i in listed(f"{tmp_path}?patients=4").images}) == 4
        return
    refusal(lambda: listed(f"{tmp_path}?patients={option}"), *fragments)


def test_one_patient_for_each_class_is_refused_if_more_lie_deeper(tmp_path: Path) -> None:
    grow(tmp_path, [f"{c}/all {c}/case{n}/1.png" for c in "ab" for n in range(3)])
    refusal(lambda: listed(f"{tmp_path}?patients=folder"), "each class would be of one patient", "`?patients=2`")


def test_an_image_without_a_patients_folder_is_named(tmp_path: Path) -> None:
    grow(tmp_path, ["a/p1/1.png", "b/1.png"])
    refusal(lambda: list_text(f"folder:{tmp_path}?patients=folder"), "'b/1.png' lies in no patient's folder")


def test_dicom_takes_them_too(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4), dtype=np.uint8)
    files = {
        f"{c}/s{n}/{i}.dcm": dicom(pixels, PatientID="ANON") for c in "ab" for n in range(2) for i in range(2)
    }
    grow(tmp_path, files)
    assert "`?patients=folder`" in " ".join(listed(tmp_path, "dicom").notes)
    listing = listed(f"{tmp_path}?patients=folder", "dicom")
    assert {image.patient for image in listing.images} == {"s0", "s1"}
    grow(tmp_path / "flat", {"1.dcm": files["a/s0/0.dcm"]})
    refusal(
        lambda: listed(f"{tmp_path / 'flat'}?patients=folder", "dicom"), "need class folders, and there are none"
    )


def test_folders_below_are_silent_where_dicom_files_name_patients(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4), dtype=np.uint8)
    grow(tmp_path, {f"{c}/s{n}/{n}.dcm": dicom(pixels, PatientID=f"{c}{n}") for c in "ab" for n in range(2)})
    assert related(tmp_path) == ""


# -- noticed where not


@pytest.mark.parametrize(
    ("files", "fragments"),
    [
        (["a/p1/1.png", "b/p1/1.png", "b/p2/1.png"],
         ["not taken for patients", "level 1 'p1' (3 folders, patients)", "`?patients=folder`"]),
        ([f"{c}/{n}/1.png" for c in "ab" for n in (f"{c}7", f"{c}8")], ["level 1 'a7' (4 folders)"]),
        ([f"{c}/x/y/lesion_{n}/1.png" for c in "ab" for n in range(3)],
         ["level 3 'lesion_0' (6 folders, lesions)", "`?patients=3`"]),
        ([f"{c}/slide {n}/tile.png" for c in "ab" for n in range(3)] + ["a/1.png"],
         ["level 1 'slide 0' (6 folders, 6 of 7 images, slides)", "`?patients=^([^/]+)`"]),
        ([f"{c}/exam{n % 2}/Pat {n}/v{n}/1.png" for c in "ab" for n in range(6)], ["`?patients=2`"]),
        ([f"train/{c}/{n}/visit{n}/1.png" for c in "ab" for n in (1001, 1002)], ["visits", "`?patients=2`"]),
        ([f"{s}/{c}/pat{n + (s == 'test')}/{n}.png" for s in ("train", "test") for c in "ab" for n in range(4)],
         ["3 of 5 names of level 1 stand in several splits"]),
        ([f"{c}/{n}/1.png" for c in "ab" for n in ("original", "augmented")],
         ["look like augmented or processed copies of the same images", "`?exclude=augmented` behind the source"]),
        ([f"{c}/{v}/1.png" for c in "ab" for v in ("left", "right")], ["level 1 'left' (4 folders, views)", "none looks like patients, whom `?patients=PATTERN`"]),
        ([f"{c}/{v}/P{n:03}_{v}.png" for c in "ab" for v in ("left", "right") for n in range(ord(c), ord(c) + 9)],
         ["level 1 'left'", "`?patients="]),
    ],
)  # fmt: skip
def test_levels_below_the_classes_are_noted(tmp_path: Path, files: list[str], fragments: list[str]) -> None:
    note = related(grow(tmp_path, files))
    for fragment in fragments:
        assert fragment in note, note


def test_levels_of_public_sets_are_noted(tmp_path: Path) -> None:
    note = related(breakhis(tmp_path / "b"))
    assert "level 2 'adenosis' (4 folders); level 3 'SOB_B_14-225490' (12 folders)" in note
    assert "level 4 '100X' (48 folders, magnifications)" in note
    assert "`?patients=3` behind the source" in note
    note = related(mura(tmp_path / "m"))
    assert "level 1 'patient00000' (12 folders, patients); level 2 'study1' (12 folders, studies)" in note
    assert "`?patients=folder` behind the source" in note


def test_studies_that_name_the_class_are_refused(tmp_path: Path) -> None:
    """MURA: the folder of the study says whether the radiograph is abnormal, the outer folder which bone it shows."""
    mura(tmp_path, "_negative")
    refusal(lambda: listed(tmp_path), "end in negative and positive", "a table (csv:)", "`?subgroups=`")
    assert {image.labels[0] for image in listed(f"{tmp_path}?subgroups=").images} == {"XR_ELBOW", "XR_WRIST"}


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ([f"patient{n // 2:03}_{n % 2}" for n in range(12)], r"(patient\d+)"),
        ([f"IM_{n // 3:04}_view{n % 3}" for n in range(30)], r"^(\D*\d+[^_ -]*)[_ -]"),
        ([f"{n // 2}_{'left' if n % 2 else 'right'}" for n in range(20)], r"^(\D*\d+[^_ -]*)[_ -]"),
        ([f"ISIC_{n // 2 * 17:07}_{n % 2}" for n in range(24)], r"^(\D*\d+[^_ -]*)[_ -]"),
        ([f"SOB_B_A-14-{22549 + n // 4}AB-40-{n % 4:03}" for n in range(40)], r"^(.*\d.*)[_ -]"),
        ([f"person{n // 2}_virus_{n}" for n in range(10)] + ["IM-0115", "IM-0117"], r"(person\d+|^.+)"),
        ([f"Case {n // 4} slice {n % 4}" for n in range(16)], r"(Case \d+)"),
    ],
)
def test_file_names_that_group_images_are_noted(tmp_path: Path, names: list[str], pattern: str) -> None:
    grow(tmp_path, [f"{'ab'[place >= len(names) // 2]}/{name}.png" for place, name in enumerate(names)])
    note = related(tmp_path)
    assert f"`?patients={pattern}` behind the source" in note
    listing = check(list_text(f"folder:{tmp_path}?patients={pattern}"))
    sharing = int(re.search(r"share ([\d,]+) beginnings", note)[1])  # type: ignore[index]
    assert len({i.patient for i in listing.images}) == sharing + sum("IM-" in name for name in names)


@pytest.mark.parametrize(
    "name",
    ["{c} ({n})", "BloodImage_{n:05}", "{n}", "{c}-{n}", "IM-0001-{n:04}", "img_{n}_x", "covid19_{n}", "2019_{n}",
     "{h}", "scan 2 - {n}", "case{n}", "patient{n:03}", "ISIC_{n:07}", "{n}_{c}", "1.2.840.10008.{n}",
     "201{d}-{n:03}", "{c}{n}", "{m}_x{n}"],
)  # fmt: skip
def test_running_numbers_are_no_groups(tmp_path: Path, name: str) -> None:
    """BUSI, BCCD and others: nothing in a file's name is that of another, or all of a class share it."""
    random = np.random.default_rng(0)
    grow(tmp_path, [
        f"{c}/{name.format(c=c, n=n + 50 * (c == 'malignant'), h=random.bytes(8).hex(), d=n % 3, m=max(n + 50 * (c == 'malignant'), 5))}.png"
        for c in ("benign", "malignant")
        for n in range(40)
    ])  # fmt: skip
    assert related(tmp_path) == ""


def test_one_folder_for_each_class_is_no_level_of_patients(tmp_path: Path) -> None:
    assert (
        related(grow(tmp_path, [f"{c}/images/{c}-{n}.png" for c in ("COVID", "Normal") for n in range(4)])) == ""
    )


def test_versions_of_one_image_that_a_program_exported_are_noticed(tmp_path: Path) -> None:
    files = [f"{c}/{c}{n}_jpg.rf.{n}{k}f00ba.jpg" for c in "ab" for n in range(6) for k in range(3)]
    (note,) = [note for note in listed(grow(tmp_path, files)).notes if "may be of one patient" in note]
    option = note.partition("`")[2].partition("`")[0]
    assert len({image.patient for image in listed(f"{tmp_path}{option}").images}) == 12
