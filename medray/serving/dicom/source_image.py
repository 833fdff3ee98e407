"""SourceImage: the identity of a DICOM image that was sent, which the answer in DICOM takes over byte by byte.

Nothing of it is decoded, so nothing is changed: no character set is guessed, no name or date put right. pydicom
does not read the file; `medray.data.decoding.dicom_elements` says why.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medray.data.decoding import sniff
from medray.data.decoding.dicom_header import read_file_elements
from medray.serving.engine.problems import Kind, Problem

#: The modules of patient, study and clinical trial (PS3.3 C.7.1, C.7.2), without their sequences.
PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "PatientBirthDate", "PatientBirthTime",
    "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar",
    "PatientAlternativeCalendar", "PatientSex", "QualityControlSubject", "OtherPatientIDs", "OtherPatientNames",
    "EthnicGroup", "PatientComments", "PatientSpeciesDescription", "PatientBreedDescription",
    "ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization", "PatientIdentityRemoved",
    "DeidentificationMethod", "LongitudinalTemporalInformationModified", "StudyInstanceUID", "StudyDate",
    "StudyTime", "ReferringPhysicianName", "ConsultingPhysicianName", "StudyID", "AccessionNumber",
    "StudyDescription", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "RequestingService", "PatientAge",
    "PatientSize", "PatientWeight", "Occupation", "AdditionalPatientHistory", "AdmissionID",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription",
)  # fmt: skip
#: What a picture of the image has to say too, as the image says it.
OF_PICTURE = (
    "PatientOrientation", "Laterality", "ImageLaterality", "BodyPartExamined", "BurnedInAnnotation",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
CHARACTER_SET = "SpecificCharacterSet"
_TAGS = {
    str(name): int(tag_for_keyword(name) or 0)
    for name in (*PATIENT_AND_STUDY, *OF_PICTURE, *UIDS, CHARACTER_SET, "InstanceNumber")
}
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_LONGEST = 0xFFFE  # bytes of a value with a short length
ASCII, UTF8 = "ISO_IR 6", "ISO_IR 192"
#: Character sets whose first half is ASCII: bytes of ASCII mean the same in UTF-8.
_LIKE_ASCII = re.compile(r"|ISO_IR (6|100|101|109|110|144|127|126|138|148|166|192|203)|GB18030|GBK")


@dataclass(frozen=True)
class SourceImage:
    """A DICOM image as it was sent: the bytes of its elements by keyword, and the SHA-256 of all of it."""

    values: dict[str, bytes]
    sha256: str

    @classmethod
    def read(cls, content: bytes, max_pixels: int) -> "SourceImage":
        """Read the identity of an image.

        Raises:
            Problem: it is not DICOM, or lacks a UID without which nothing can refer to it.
            ImageError: it is damaged, too large once inflated, or of a transfer syntax that is not read.
        """
        if sniff(content) != "dicom":
            raise _refused("an answer in DICOM is about a DICOM image, and this is none")
        _, elements = read_file_elements(content, max_pixels, frozenset(_TAGS.values()))
        values = {name: bytes(elements[tag,].value) for name, tag in _TAGS.items() if (tag,) in elements}
        image = cls(values, hashlib.sha256(content).hexdigest())
        for name in UIDS:
            uid = image.text(name)
            if not (_UID.fullmatch(uid) and len(uid) <= 64):
                problem = "is no UID" if uid else "is missing"
                raise _refused(f"an answer in DICOM refers to its image, and the image's {name} {problem}")
        for name, value in values.items():
            if len(value) > _LONGEST:
                raise _refused(f"the image's {name} has {len(value):,} bytes, more than DICOM allows")
        return image

    def text(self, name: str) -> str:
        """Return an element of plain ASCII, such as a UID; empty where it is missing."""
        return self.values.get(name, b"").decode("latin-1").strip(" \0")

    @property
    def instance_number(self) -> int:
        """The image's number in its series, 1 where it has none."""
        text = self.text("InstanceNumber")
        number = int(text) if re.fullmatch(r"\+?[0-9]{1,9}", text) else 1
        return max(number, 1)

    @property
    def character_set(self) -> str:
        """The character set of the answer: UTF-8 if what is copied means the same in it, else the image's."""
        own = self.text(CHARACTER_SET)
        copied = b"".join(self.values.get(name, b"") for name in PATIENT_AND_STUDY)
        if _LIKE_ASCII.fullmatch(own) and copied.isascii() and b"\x1b" not in copied:
            return UTF8
        return own or ASCII

    def printable(self, text: str, length: int) -> str:
        """Return a text of ours as an element can hold it; letters that the character set lacks become "?"."""
        text = "".join(" " if not c.isprintable() else "/" if c == "\\" else c for c in text).strip()
        encoding = python_encoding.get(self.character_set, "ascii")
        return text.encode(encoding, "replace").decode(encoding)[:length].strip() or "?"

    def copy_to(self, answer: Dataset, names: Sequence[str]) -> None:
        """Put elements of the image into an answer, as they are; those that the image lacks stay as they were."""
        for name in names:
            if name in self.values:
                value = self.values[name]
                padded = value + b" " * (len(value) % 2)
                tag = Tag(_TAGS[name])
                answer[tag] = RawDataElement(tag, dictionary_VR(tag), len(padded), padded, 0, False, True)


def _refused(message: str) -> Problem:
    return Problem(Kind.NOT_ACCEPTABLE, f"{message}; Accept: application/json has its answer")
