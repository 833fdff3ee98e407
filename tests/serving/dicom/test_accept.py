"""Which form of an answer an Accept header asks for."""

import pytest

from medray.serving.engine.problems import Kind, Problem
from medray.serving.http.accept import DicomForms, dicom_forms

RELATED = 'multipart/related; type="application/dicom"'
OTHER = "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50"
ALONE, PARTS, EITHER = DicomForms(True, False), DicomForms(False, True), DicomForms(True, True)


@pytest.mark.parametrize(
    ("accept", "forms"),
    [
        ("", None),
        ("*/*", None),
        ("application/json", None),
        ("text/html, application/xhtml+xml, */*;q=0.8", None),
        ("application/dicom", ALONE),
        ("Application/DICOM", ALONE),
        ("application/dicom, */*", ALONE),
        ("application/dicom;q=0.5, */*;q=0.8", None),
        ("application/json, application/dicom", None),
        ("application/dicom, application/json", ALONE),
        ("application/json;q=0.9, application/dicom", ALONE),
        ("application/dicom;q=0", None),
        ("application/dicom; q=nonsense", None),
        ("application/dicom; transfer-syntax=*", ALONE),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", ALONE),
        (f"{OTHER}, */*", None),
        (f"{OTHER}, application/json", None),
        (f"{OTHER};q=0", None),
        (f"{OTHER}, {RELATED}", PARTS),
        (RELATED, PARTS),
        ("multipart/related", PARTS),
        ('multipart/related; type="application/octet-stream"', None),
        (f"{RELATED}; transfer-syntax=*, application/dicom;q=0.9", EITHER),
        (";;,,=;q", None),
    ],
)
def test_dicom_is_given_to_those_who_ask_for_it(accept: str, forms: DicomForms | None) -> None:
    assert dicom_forms(accept) == forms


@pytest.mark.parametrize(
    "accept", [OTHER, f"{OTHER};q=0.5, application/dicom;q=0", f"{RELATED}; transfer-syntax=1.2"]
)
def test_dicom_in_another_syntax_alone_is_refused(accept: str) -> None:
    with pytest.raises(Problem, match=r"the transfer syntax 1\.2\.840\.10008\.1\.2\.1 and no other") as refused:
        dicom_forms(accept)
    assert refused.value.kind is Kind.NOT_ACCEPTABLE
