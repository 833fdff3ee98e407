"""POST /predict in DICOM: the report and the overlay say what the JSON says, of exactly the image's patient."""

import io
import re
import shutil
import subprocess
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom.sr import ComprehensiveSR, srread
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medray.data.decoding.picture import Picture
from medray.serving.dicom.concepts import NONE_OF_THEM, class_concept
from medray.serving.dicom.overlay import draw_overlay
from medray.serving.dicom.source_image import SourceImage
from medray.serving.engine.audit_log import read_audit
from medray.serving.engine.served_model import ServedModel
from tests.data.decoding.file_samples import written
from tests.serving.conftest import NAMES, Site, pictures, png
from tests.serving.dicom.dicom_samples import IMAGE, SERIES, STUDY, film, radiograph
from tests.serving.http.test_predict_route import problem
from tests.serving.running import ROOT

pytestmark = pytest.mark.component

DICOM = {"accept": "application/dicom", "content-type": "application/dicom"}
PARTS = {"accept": 'multipart/related; type="application/dicom"'}


def ask(site: Site, content: bytes, **params: str) -> Dataset:
    """The DICOM file that an image is answered by."""
    response = site.predict(content, headers=DICOM, params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/dicom"
    return pydicom.dcmread(io.BytesIO(response.content))


def groups(report: Dataset) -> dict[str, Any]:
    """The measurement groups of a report by their tracking identifiers, as highdicom reads them."""
    buffer = io.BytesIO()
    report.save_as(buffer)
    buffer.seek(0)
    read = srread(buffer)
    assert isinstance(read, ComprehensiveSR)
    return {group.tracking_identifier: group for group in read.content.get_image_measurement_groups()}


def finding(item: Dataset) -> str:
    (modifier,) = item.ContentSequence
    return str(modifier.ConceptCodeSequence[0].CodeMeaning)


def test_the_report_says_what_the_json_says(open_site: Site, model: ServedModel) -> None:
    content = film()
    answer = open_site.predict(content).json()["predictions"][0]
    report = ask(open_site, content)
    parts = groups(report)

    first = parts["classification"]
    probabilities = {finding(m[0]): m.value for m in first.get_measurements() if m.name == codes.DCM.Probability}
    assert probabilities == answer["probabilities"]
    assert {m.unit.value for m in first.get_measurements()} == {"1"}
    evaluations = [(e.name.meaning, e.value.meaning) for e in first.get_qualitative_evaluations()]
    assert ("Predicted class", answer["label"]) in evaluations
    assert {value for name, value in evaluations if name.startswith("Done")} == {
        flag for flag in answer["flags"] if flag != "out_of_distribution"
    }

    (decision,) = answer["decisions"]
    point = parts[f"operating point sensitivity 0.9: {NAMES[0]}"]
    (decided,) = point.get_qualitative_evaluations()
    assert decided.value == (codes.SCT.Positive if decision["positive"] else codes.SCT.Negative)
    numbers = {m.name.meaning: m.value for m in point.get_measurements()}
    assert [finding(m[0]) for m in point.get_measurements() if m.name == codes.DCM.Probability] == [NAMES[0]]
    assert numbers["Probability"] == decision["probability"]
    assert numbers["Threshold Value"] == decision["threshold"]
    assert "Promised mean sensitivity" not in numbers  # this point was set on validation images

    within = parts["prediction set of coverage 0.8"].get_qualitative_evaluations()
    assert [e.value.meaning for e in within] == answer["sets"][0]["classes"]
    (ood,) = parts["out of distribution"].get_qualitative_evaluations()
    assert ood.value == (codes.SCT.Yes if "out_of_distribution" in answer["flags"] else codes.SCT.No)

    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert report.ContentQualification == "RESEARCH"
    algorithm = report.to_json()
    assert model.version in algorithm
    assert "research; not for diagnosis" in algorithm


def test_a_promised_sensitivity_is_in_the_report(
    site: Callable[..., Site], model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (point,) = model.ensemble.operating_points
    monkeypatch.setattr(type(point), "promised", property(lambda self: 0.9))
    numbers = groups(ask(site(), film()))[f"operating point {point.name}: {NAMES[0]}"].get_measurements()
    assert {m.name.meaning: m.value for m in numbers}["Promised mean sensitivity"] == 0.9


def test_the_report_refers_to_the_image_and_is_in_its_study(open_site: Site) -> None:
    report = ask(open_site, film(4))
    assert report.StudyInstanceUID == STUDY
    assert report.SeriesInstanceUID != SERIES
    assert report.Modality == "SR"
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = evidence.ReferencedSeriesSequence
    (image,) = series.ReferencedSOPSequence
    assert (evidence.StudyInstanceUID, series.SeriesInstanceUID) == (STUDY, SERIES)
    assert image.ReferencedSOPInstanceUID == f"{IMAGE}.5"
    for group in groups(report).values():
        (source,) = group.source_images
        assert source.referenced_sop_instance_uid == f"{IMAGE}.5"


IDENTITIES: list[dict[str, Any]] = [
    {},
    {"PatientSex": "X", "PatientBirthDate": "1970", "PatientID": " padded", "StudyTime": "noon"},
    {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jürgen"},
    {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Διονυσιος"},
    {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
    {"SpecificCharacterSet": "GB18030", "PatientName": "Wang^XiaoDong=王^小东"},
    {"PatientName": None, "PatientID": None, "PatientSex": None, "AccessionNumber": None, "StudyDate": None},
    {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "by hand", "IssuerOfPatientID": "Ward 3"},
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of values that are against the standard
@pytest.mark.parametrize("values", IDENTITIES, ids=str)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
@pytest.mark.parametrize("answer", ["sr", "overlay"])
def test_the_patient_is_exactly_the_images(
    open_site: Site, values: dict[str, Any], syntax: str, answer: str
) -> None:
    content = written(radiograph(**values), syntax)
    image, made = pydicom.dcmread(io.BytesIO(content)), ask(open_site, content, answer=answer)
    raw = pydicom.dcmread(io.BytesIO(content))
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyTime"):
        sent = raw.get_item(name)
        kept = made.get_item(name)
        assert (kept.value or b"") == ((sent.value if sent is not None else None) or b""), name
    for name in ("PatientName", "PatientID", "IssuerOfPatientID", "PatientIdentityRemoved"):
        assert str(made.get(name) or "") == str(image.get(name) or ""), name


@pytest.mark.parametrize(
    ("charset", "patient", "meaning"),
    [
        (None, "Roe^Jane", "Größe/7 \u6771"),
        ("ISO_IR 100", "Müller", "Größe/7 ?"),
        (["", "ISO 2022 IR 87"], "Yamada=山田", "Gr??e/7 ?"),
    ],
)
def test_class_names_keep_to_the_images_character_set(charset: Any, patient: str, meaning: str) -> None:
    content = film(SpecificCharacterSet=charset, PatientName=patient)
    source = SourceImage.read(content, 10_000)
    concept = class_concept("Größe\\7 \u6771", source)
    assert concept.meaning == meaning
    assert len(concept.value) == 16
    assert class_concept("malignant", source).value == "malignant"
    assert class_concept("none", source).value != NONE_OF_THEM.value


def test_the_same_image_has_the_same_report_and_another_one_another(open_site: Site) -> None:
    first, again, other = ask(open_site, film()), ask(open_site, film()), ask(open_site, film(1))
    assert first.SOPInstanceUID == again.SOPInstanceUID
    assert first.SeriesInstanceUID == again.SeriesInstanceUID == other.SeriesInstanceUID
    assert first.SOPInstanceUID != other.SOPInstanceUID
    for moment in (
        "InstanceCreationDate",
        "InstanceCreationTime",
        "ContentDate",
        "ContentTime",
        "ContributingEquipmentSequence",
    ):
        for report in (first, again):
            del report[moment]
    assert first == again
    renamed = ask(open_site, film(PatientName="Doe^John"))  # the report has the name, so it is another one
    assert renamed.SOPInstanceUID != first.SOPInstanceUID
    overlays = {ask(open_site, film(), answer="overlay", label=name).SOPInstanceUID for name in NAMES}
    assert len(overlays | {first.SOPInstanceUID}) == 4


def test_the_overlay_shows_the_image_and_is_marked_as_derived(open_site: Site) -> None:
    made = ask(open_site, film(), answer="overlay")
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert made.StudyInstanceUID == STUDY
    assert made.SeriesInstanceUID not in (SERIES, ask(open_site, film()).SeriesInstanceUID)
    assert list(made.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == f"{IMAGE}.1"
    assert (made.BurnedInAnnotation, list(made.PatientOrientation)) == ("NO", ["L", "F"])
    height, width, channels = made.pixel_array.shape
    assert (width, channels) == (384, 3)
    assert height > 256  # 40 x 60 enlarged, and the lines below
    assert (made.pixel_array[256:] > 200).any()
    bare = ask(open_site, film(BurnedInAnnotation=None, PatientOrientation=None), answer="overlay")
    assert "BurnedInAnnotation" not in bare
    assert not bare.PatientOrientation


def test_heat_lies_where_the_networks_saw_it() -> None:
    """Of a wide image that was padded, the upper and lower quarter of what the networks saw are borders."""
    picture = Picture(Image.fromarray(np.full((50, 100), 90, dtype=np.uint8)), (100, 50))
    heat = np.zeros((8, 8), dtype=np.float32)
    heat[2:4, 0:2] = 1.0  # the left upper corner of the image
    drawn = draw_overlay(picture, heat, "pad")
    coloured = (drawn != 90).any(axis=2)
    assert drawn.shape == (192, 384, 3)
    assert coloured[:60, :60].all()
    assert not coloured[130:].any()
    stretched = (draw_overlay(picture, heat, "stretch") != 90).any(axis=2)
    assert not stretched[:20].any()
    assert stretched[60:80, :60].all()


def test_several_files_come_in_parts(open_site: Site) -> None:
    files = [("file", (f"{n}.dcm", film(n))) for n in range(2)]
    response = open_site.client.post("/predict", files=files, headers=PARTS, params={"answer": "both"})
    kind = response.headers["content-type"].encode()
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + response.content)
    assert message["content-type"].params["type"] == "application/dicom"
    made = [pydicom.dcmread(io.BytesIO(part.get_payload(decode=True))) for part in message.iter_parts()]
    assert [(one.Modality, one.InstanceNumber) for one in made] == [("SR", 1), ("OT", 1), ("SR", 2), ("OT", 2)]
    one = open_site.predict(film(), headers=PARTS)
    assert one.content.count(b"Content-Type: application/dicom") == 1


@pytest.mark.parametrize(
    ("content", "params", "kind", "message"),
    [
        (png(pictures(1)[0]), {}, "not-acceptable", "an answer in DICOM is about a DICOM image, and this is none; Accept: application"),
        (film(StudyInstanceUID=None), {}, "not-acceptable", "the image's StudyInstanceUID is missing"),
        (film(SeriesInstanceUID=""), {}, "not-acceptable", "the image's SeriesInstanceUID is missing"),
        (film(NumberOfFrames=2), {}, "several-frames", "2 frames"),
        (film()[:-500], {}, "unreadable-image", "damaged or cut short"),
        (film(), {"answer": "both"}, "not-acceptable", "answer=both has several DICOM files as an answer; ask for Accept: multipart"),
        (film(), {"answer": "svg"}, "bad-request", "unknown answer 'svg'"),
        (film(), {"explain": "true"}, "bad-request", "in DICOM it is answer=overlay"),
        (film(), {"label": NAMES[0]}, "bad-request", "answer=overlay explains"),
        (film(), {"case": "true"}, "bad-request", "this model was made to answer images"),
    ],
    ids=range(10),
)  # fmt: skip
def test_refusals(open_site: Site, content: bytes, params: dict[str, str], kind: str, message: str) -> None:
    assert message in problem(open_site.predict(content, headers=DICOM, params=params), kind)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_uid_that_is_none_is_refused(open_site: Site) -> None:
    refused = open_site.predict(film(SOPInstanceUID="1.2.Roe^Jane"), headers=DICOM)
    assert "SOPInstanceUID is no UID" in problem(refused, "not-acceptable")
    assert "Roe" not in refused.text


def test_several_images_need_parts_and_answer_needs_dicom(open_site: Site) -> None:
    files = [("file", (f"{n}.dcm", film(n))) for n in range(2)]
    several = open_site.client.post("/predict", files=files, headers={"accept": DICOM["accept"]})
    assert "2 images have several DICOM files as an answer" in problem(several, "not-acceptable")
    plain = open_site.predict(film(), params={"answer": "sr"})
    assert "send Accept: application/dicom too" in problem(plain, "bad-request")


def test_a_service_without_highdicom_says_what_it_lacks(open_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medray.serving.http.dicom_answers.find_spec", lambda _: None)
    refused = problem(open_site.predict(film(), headers=DICOM), "not-acceptable")
    assert "it lacks highdicom; `pip install 'medray[dicom]'` there" in refused


def test_the_log_has_no_patient(
    site: Callable[..., Site], tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logged = site(audit_folder=str(tmp_path / "audit"))
    for answer in ("sr", "overlay"):
        ask(logged, film(), answer=answer)
    assert len(list(read_audit(tmp_path / "audit"))) == 2
    text = "".join(path.read_text() for path in (tmp_path / "audit").iterdir())
    text += "".join(capfd.readouterr()) + caplog.text
    assert not [secret for secret in ("Roe", "MRN-0042", "A-77", STUDY, "19700102") if secret in text]
    logged.predict(film(StudyInstanceUID=None), headers=DICOM)  # refused before it is answered
    assert len(list(read_audit(tmp_path / "audit"))) == 2


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy is missing: apt-get install dicom3tools")
@pytest.mark.parametrize("answer", ["sr", "overlay"])
def test_the_validator_finds_no_error(open_site: Site, tmp_path: Path, answer: str) -> None:
    path = tmp_path / "answer.dcm"
    path.write_bytes(open_site.predict(film(), headers=DICOM, params={"answer": answer}).content)
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    messages = [line for line in done.stderr.splitlines() if "99MEDRAY" not in line]  # a private scheme, it warns
    assert len(messages) == 1, messages  # the kind of file
    assert done.returncode == 0


def test_the_lines_of_python_on_the_page_read_the_report(
    open_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```py\n(.*?)```", (ROOT / "docs/dicom.md").read_text(), re.DOTALL)
    (tmp_path / "b.dcm").write_bytes(film())
    monkeypatch.chdir(tmp_path)
    exec(block.replace("http://127.0.0.1:8000", open_site.url), {})
    printed = capsys.readouterr().out
    assert "operating point sensitivity 0.9" in printed
    assert "Predicted class = " in printed
