"""DICOM images that have a patient, for requests to a service."""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from tests.data.decoding.file_samples import dataset, noise, written

STUDY, SERIES, IMAGE = "1.2.826.0.1.77", "1.2.826.0.1.77.1", "1.2.826.0.1.77.1.5"
DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"


def radiograph(seed: int = 0, size: tuple[int, int] = (40, 60), **values: Any) -> Dataset:
    """A chest film of 12 bits with a patient; `None` leaves an element out."""
    pixels = np.asarray(noise(*size, seed=seed)).astype(np.uint16) * 16
    standard = {
        "SOPClassUID": DIGITAL_X_RAY, "SOPInstanceUID": f"{IMAGE}.{seed + 1}", "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES, "InstanceNumber": seed + 1, "Modality": "DX", "PatientName": "Roe^Jane",
        "PatientID": "MRN-0042", "PatientBirthDate": "19700102", "PatientSex": "F", "StudyDate": "20260301",
        "StudyTime": "101500", "AccessionNumber": "A-77", "StudyID": "S1", "ReferringPhysicianName": "House^Gregory",
        "PatientOrientation": ["L", "F"], "BurnedInAnnotation": "NO", "BitsStored": 12, "HighBit": 11,
        "BodyPartExamined": "CHEST", "StudyDescription": "Chest PA",
    }  # fmt: skip
    merged = {name: value for name, value in (standard | values).items() if value is not None}
    made = dataset(pixels, **merged)
    for name, value in values.items():
        if value is None and name in made:
            del made[name]
    return made


def film(seed: int = 0, **values: Any) -> bytes:
    return written(radiograph(seed, **values))
