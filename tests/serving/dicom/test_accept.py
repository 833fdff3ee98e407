"""Which form of an answer an Accept header asks for."""

import pytest

from medray.serving.http.accept import DicomForms, dicom_forms

RELATED = 'multipart/related; type="application/dicom"'
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
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50", None),
        (RELATED, PARTS),
        ("multipart/related", PARTS),
        ('multipart/related; type="application/octet-stream"', None),
        (f"{RELATED}; transfer-syntax=*, application/dicom;q=0.9", EITHER),
        (";;,,=;q", None),
    ],
)
def test_dicom_is_given_to_those_who_ask_for_it(accept: str, forms: DicomForms | None) -> None:
    assert dicom_forms(accept) == forms
