"""What all answers in DICOM have: identifiers that are the same for the same answer, our equipment, and the file.

An answer's UID is made of the image's bytes, the ensemble's name and version, medray's version, the kind of
answer and an overlay's class (a UUID by name, PS3.5 B.2). So a request that is sent again, because it timed out or
because two hooks of an archive saw the image, gives an instance that the archive has already, and not a second
report. Only its time differs.
"""

import io
import uuid
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from medray import __version__
from medray.serving.dicom.source_image import PATIENT_AND_STUDY, SourceImage
from medray.serving.engine.answers import ModelIdentity

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:medray:dicom")
MANUFACTURER = "medray"


def uid_of(*parts: str) -> str:
    """Return the UID that stands for these texts, always the same."""
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(0).join(parts)).int}"


@dataclass(frozen=True)
class InstanceKind:
    """A kind of answer: its name in UIDs, and the number and description of its series."""

    name: str
    series_number: int
    description: str

    def arguments(self, source: SourceImage, model: ModelIdentity, *more: str) -> dict[str, Any]:
        """Return what highdicom's instances of this kind are made with; `more` tells answers of one image apart.

        All answers of a kind by one ensemble to the images of a study are one series.
        """
        of_model = (self.name, model.name, model.version, __version__)
        return {
            "series_instance_uid": uid_of(*of_model, source.text("StudyInstanceUID")),
            "series_number": self.series_number,
            "series_description": source.printable(f"{self.description} ({model.name})", 64),
            "sop_instance_uid": uid_of(*of_model, source.sha256, *more),
            "instance_number": source.instance_number,
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": source.printable(model.name, 64),
            "software_versions": [f"medray {__version__}", f"ensemble {model.version}"],
            "content_qualification": "RESEARCH",
        }


def to_file(answer: Dataset, source: SourceImage) -> bytes:
    """Return the DICOM file of an answer, which becomes one of the image's patient and study."""
    answer.SpecificCharacterSet = source.character_set.split("\\")
    source.copy_to(answer, PATIENT_AND_STUDY)
    stream = io.BytesIO()
    answer.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
