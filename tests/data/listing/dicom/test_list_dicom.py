"""DICOM: patients told by the files, as hashes; class folders, no folders, and folders of patients."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from medray.data.listing.dicom.dicom_identity import Identity, read_identity
from tests.data.decoding.file_samples import SECRET, dataset, dicom, noise, written
from tests.data.listing.folders.folder_trees import grow, labels, listed, refusal

PIXELS = np.zeros((4, 4), dtype=np.uint8)
BIG = np.zeros((400, 400), dtype=np.uint8)


def of(patient: str, series: str = "1.2.3", **values: object) -> bytes:
    return dicom(PIXELS, PatientID=patient, SeriesInstanceUID=series, **values)


def hashed(patient: str) -> str:
    return hashlib.sha256(patient.encode()).hexdigest()[:16]


def test_class_folders_of_dicom_tell_their_patients(tmp_path: Path) -> None:
    grow(tmp_path, {"a/1.dcm": of("Doe 1"), "a/2": of("Doe 2", "1.2.4"), "b/1.DCM": of("Doe 1"), "b/n.txt": "x"})
    for kind in ("folder", "dicom"):
        listing = listed(tmp_path, kind)
        assert labels(listing) == {"a/1.dcm": "a", "a/2": "a", "b/1.DCM": "b"}
        assert [image.patient for image in listing.images] == [hashed("Doe 1"), hashed("Doe 2"), hashed("Doe 1")]
        assert "patients by PatientID, as hashes: 2 in 2 series" in listing.notes
        assert listing.ignored == ("b/n.txt",)
        assert "Doe" not in repr(listing)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (of(""), "no patients: 1 of 3 files tell no PatientID, the first 'b/3.dcm'"),
        (dicom(PIXELS), "no patients: 1 of 3 files tell no PatientID, the first 'b/3.dcm'"),
    ],
)
def test_no_patients_unless_all_files_tell_theirs(tmp_path: Path, content: bytes, note: str) -> None:
    listing = listed(grow(tmp_path, {"a/1.dcm": of("p"), "a/2.dcm": of("q"), "b/3.dcm": content}))
    assert {image.patient for image in listing.images} == {None}
    assert any(note in line for line in listing.notes)


def test_no_patients_where_other_images_are_among_the_files(tmp_path: Path) -> None:
    listing = listed(grow(tmp_path, {"a/1.dcm": of("p"), "a/2.dcm": of("q"), "b/3.png": "x"}))
    assert {image.patient for image in listing.images} == {None}
    assert any("1 of 3 files tell no PatientID, the first 'b/3.png'" in note for note in listing.notes)


def test_one_patient_for_all_is_a_placeholder(tmp_path: Path) -> None:
    listing = listed(grow(tmp_path, {"a/1.dcm": of("ANON"), "b/2.dcm": of("ANON", "1.2.4")}))
    assert {image.patient for image in listing.images} == {None}
    assert any("PatientID is the same in all files" in note for note in listing.notes)


def test_files_that_can_not_be_read_are_told(tmp_path: Path) -> None:
    files = {"a/1.dcm": of("p"), "b/2.dcm": of("q"), "b/3.dcm": b"", "b/4.dcm": of("r")[:200]}
    listing = listed(grow(tmp_path, files))
    assert [image.patient for image in listing.images] == [hashed("p"), hashed("q"), None, None]
    assert any("DICOM files that can't be read: 2, the first 'b/3.dcm'" in note for note in listing.notes)


def test_files_without_folders_have_no_labels(tmp_path: Path) -> None:
    listing = listed(grow(tmp_path, {"1.dcm": of("p"), "2.dcm": of("q"), "x.png": "x"}), "dicom")
    assert [image.labels for image in listing.images] == [(), ()]
    assert [image.patient for image in listing.images] == [hashed("p"), hashed("q")]
    assert listing.ignored == ("x.png",)
    assert listing.notes[0] == "no class folders, so no labels"


def test_folders_named_by_patients_are_no_classes(tmp_path: Path) -> None:
    listing = listed(grow(tmp_path, {"p1/s/1.dcm": of("p1"), "p2/s/1.dcm": of("p2")}), "dicom")
    assert [image.labels for image in listing.images] == [(), ()]
    assert len({image.patient for image in listing.images}) == 2


def test_classes_of_one_patient_each_are_noted(tmp_path: Path) -> None:
    grow(tmp_path, {"a/1.dcm": of("p1"), "a/2.dcm": of("p1"), "b/1.dcm": of("p2")})
    assert any("are the folders patients" in note for note in listed(tmp_path, "dicom").notes)
    grow(tmp_path, {"a/3.dcm": of("p3")})
    assert not any("are the folders patients" in note for note in listed(tmp_path, "dicom").notes)


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    grow(tmp_path, ["a/1.png", "b/2.txt"])
    refusal(lambda: listed(tmp_path, "dicom"), "no DICOM files (2 other files, the first 'a/1.png')")


# -- what a file tells


def nested() -> Dataset:
    """Sequences of undefined length before the patient, with another patient's ID within."""
    inner = Dataset()
    inner.PatientID = "not this one"
    made = dataset(PIXELS, PatientID="p", SeriesInstanceUID="1.2.3")
    made.ReferencedStudySequence = Sequence([inner])
    made["ReferencedStudySequence"].is_undefined_length = True
    return made


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.filterwarnings("ignore")
def test_any_transfer_syntax_is_read(tmp_path: Path, syntax: str) -> None:
    made = dataset(PIXELS, PatientID="p", SeriesInstanceUID="1.2.3")
    grow(tmp_path, {"x.dcm": written(made, syntax)})
    assert read_identity(tmp_path / "x.dcm") == Identity(hashed("p"), hashed("1.2.3"))


def test_only_the_files_own_patient_counts(tmp_path: Path) -> None:
    grow(tmp_path, {"x.dcm": written(nested())})
    assert read_identity(tmp_path / "x.dcm") == Identity(hashed("p"), hashed("1.2.3"))


def test_files_larger_than_the_first_read(tmp_path: Path) -> None:
    private = bytes(100_000)
    grow(
        tmp_path,
        {"big.dcm": dicom(BIG, PatientID="p"), "late.dcm": dicom(PIXELS, PatientID="p", ICCProfile=private)},
    )
    for name in ("big.dcm", "late.dcm"):
        assert read_identity(tmp_path / name) == Identity(hashed("p"), None)


def test_what_is_no_dicom_tells_nothing(tmp_path: Path) -> None:
    content = of("p")
    grow(tmp_path, {"x": b"", "y": content[:140], "z": bytes(128) + b"DICM" + b"\x02\0" * 40})
    for name in ("x", "y", "z", "none"):
        assert read_identity(tmp_path / name) in (None, Identity(None, None))
    for end in range(132, len(content), 7):
        grow(tmp_path, {"cut": content[:end]})
        assert read_identity(tmp_path / "cut") in (None, Identity(None, None), Identity(hashed("p"), None),
                                                   Identity(hashed("p"), hashed("1.2.3")))  # fmt: skip
    assert SECRET.encode() in content


@pytest.mark.parametrize("kind", ["folder", "dicom"])
def test_folders_of_one_patient_each_are_doubted(tmp_path: Path, kind: str) -> None:
    """As an archive downloads a collection: each folder is a patient's, though its files hold other ids."""
    names = [(patient, number) for patient in range(3) for number in range(2)]
    files = {f"LUNG-{p}/{n}.dcm": dicom(noise(8, 8, seed=n), PatientID=f"R{p}") for p, n in names}
    notes = listed(grow(tmp_path, files), kind).notes
    assert "each class is of one patient only: are the folders patients, and no classes?" in notes
