"""Codes of the report: DICOM's and SNOMED's where these have one, else those of our own scheme, 99MEDRAY.

A scheme whose name begins with 99 is private (PS3.16 chapter 8). A search space has no codes for its classes, so
a class is coded by its name where a code can hold that, else by the first digits of its SHA-256: the same name has
the same code in every report, whatever the order of an ensemble's classes.
"""

import hashlib
import re

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes

from medray.serving.dicom.source_image import SourceImage

SCHEME = "99MEDRAY"
LONGEST_CODE, LONGEST_MEANING = 16, 64
_CODE = re.compile(r"[A-Za-z0-9_.+-]([A-Za-z0-9_.+ -]{0,14}[A-Za-z0-9_.+-])?")

PREDICTED = CodedConcept("predicted", SCHEME, "Predicted class")
IN_SET = CodedConcept("in_set", SCHEME, "In the prediction set")
ABSENT = CodedConcept("absent", SCHEME, "Not in the prediction set")
NOT_SURE = CodedConcept("not_sure", SCHEME, "May be in the prediction set")
NONE_OF_THEM = CodedConcept("none", SCHEME, "None of the classes")
COVERAGE = CodedConcept("coverage", SCHEME, "Promised coverage of the prediction set")
DECISION = CodedConcept("decision", SCHEME, "Decision at the operating point")
PROMISED = CodedConcept("promised", SCHEME, "Promised mean sensitivity")
OUT_OF_DISTRIBUTION = CodedConcept("ood", SCHEME, "Out of distribution")
OOD_SCORE = CodedConcept("ood_score", SCHEME, "Distance from the training images")
PREPARATION = CodedConcept("preparation", SCHEME, "Done to the image before it was classified")
FINDING = CodedConcept.from_code(codes.DCM.Finding)
PROBABILITY = CodedConcept.from_code(codes.DCM.Probability)
THRESHOLD = CodedConcept.from_code(codes.DCM.ThresholdValue)
NO_UNITS = CodedConcept.from_code(codes.UCUM.NoUnits)
POSITIVE, NEGATIVE = CodedConcept.from_code(codes.SCT.Positive), CodedConcept.from_code(codes.SCT.Negative)
YES, NO = CodedConcept.from_code(codes.SCT.Yes), CodedConcept.from_code(codes.SCT.No)
PROCEDURE = CodedConcept.from_code(codes.SCT.ImagingProcedure)
#: Of our scheme and not those of classes: a class of such a name is coded by its digest.
RESERVED = frozenset(
    concept.value
    for concept in (
        PREDICTED, IN_SET, ABSENT, NOT_SURE, NONE_OF_THEM, COVERAGE, DECISION, PROMISED, OUT_OF_DISTRIBUTION,
        OOD_SCORE, PREPARATION,
    )
)  # fmt: skip


def scheme_of_medray() -> CodingSchemeIdentificationItem:
    """Return what says whose codes those of our scheme are."""
    return CodingSchemeIdentificationItem(
        SCHEME, "medray: classes by their names", responsible_organization="medray"
    )


def class_concept(name: str, source: SourceImage) -> CodedConcept:
    """Return the code of a class, a grade or a preparation by its name, for a report on the image."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:LONGEST_CODE]
    code = name if _CODE.fullmatch(name) and name not in RESERVED else digest
    return CodedConcept(code, SCHEME, source.printable(name, LONGEST_MEANING))
