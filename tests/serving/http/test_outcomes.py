"""POST /outcomes: what images really were is written down beside the audit log, all of a request or none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medray.monitor.outcomes import read_outcome_log
from medray.serving.engine.audit_log import AuditError, read_audit
from medray.serving.engine.patient_keys import PatientKeys
from tests.serving.conftest import NAMES, Site, pictures, png

pytestmark = pytest.mark.component


def send(site: Site, *outcomes: object) -> tuple[int, dict[str, object]]:
    answer = site.client.post("/outcomes", json={"outcomes": list(outcomes)})
    return answer.status_code, answer.json()


@pytest.fixture
def logged(site: Callable[..., Site], tmp_path: Path) -> Site:
    return site(audit_folder=str(tmp_path / "audit"))


def test_outcomes_belong_to_answers(logged: Site, tmp_path: Path) -> None:
    answer = logged.predict(png(pictures(1)[0])).json()
    digest = answer["predictions"][0]["sha256"]
    assert not (tmp_path / "outcomes").exists()
    assert send(logged, {"label": NAMES[2], "request_id": answer["request_id"]}) == (200, {"accepted": 1})
    assert (
        send(logged, {"label": NAMES[0], "sha256": digest}, {"label": NAMES[1], "request_id": "other"})[0] == 200
    )
    assert send(logged, {"label": NAMES[1], "request_id": answer["request_id"]})[0] == 200  # the later one counts
    assert [(one.request_id, one.image, one.having) for one in read_outcome_log(tmp_path / "outcomes", NAMES)] == [
        (request, image, {each: each == name for each in NAMES})
        for request, image, name in (
            (answer["request_id"], None, NAMES[2]), (None, digest, NAMES[0]), ("other", None, NAMES[1]),
            (answer["request_id"], None, NAMES[1]),
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "detail"),
    [
        ({"label": "rigt", "request_id": "r"}, "outcomes.1.label: unknown class 'rigt' (did you mean 'right'?)"),
        ({"label": "right"}, "outcomes.1 names neither request_id nor sha256"),
        ({"label": "right", "sha256": "12"}, "outcomes.1.sha256: "),
        ({"request_id": "r"}, "outcomes.1.label is needed, and no labels: this model gives an image one class"),
        ({"request_id": "r", "labels": {"right": True}}, "outcomes.1.label is needed, and no labels"),
        ({"label": "right", "request_id": "r", "patient": ""}, "outcomes.1.patient: "),
    ],
)
def test_a_wrong_outcome_is_named_and_none_is_written(
    logged: Site, tmp_path: Path, outcome: object, detail: str
) -> None:
    status, problem = send(logged, {"label": "right", "request_id": "good"}, outcome)
    assert status == 400
    assert str(problem["detail"]).startswith(detail)
    assert not read_outcome_log(tmp_path / "outcomes", NAMES)


def test_what_is_no_json_or_empty_is_refused(logged: Site) -> None:
    assert logged.client.post("/outcomes", content=b"{").json()["detail"] == "the request is not JSON"
    assert send(logged)[0] == 400


def test_without_an_audit_log_there_is_nothing_to_belong_to(open_site: Site) -> None:
    status, problem = send(open_site, {"label": "right", "request_id": "r"})
    assert status == 409
    assert "keeps no audit log" in json.dumps(problem)


def test_a_patient_is_known_by_a_key_and_by_nothing_else(logged: Site, tmp_path: Path) -> None:
    content, name = png(pictures(1)[0]), "Müller, Anna 1971"
    for number, patient in enumerate([name, name, "another"]):
        headers = {"X-Patient": patient.encode(), "X-Request-ID": f"r{number}"}
        assert logged.predict(content, headers=headers).status_code == 200
    assert logged.predict(content).status_code == 200
    sent = [{"label": "right", "request_id": "r0", "patient": name}, {"label": "right", "request_id": "r2"}]
    assert send(logged, *sent)[0] == 200
    first, same, other, none = (record.get("patient") for record in read_audit(tmp_path / "audit"))
    assert none is None
    assert first == same != other
    assert [one.patient for one in read_outcome_log(tmp_path / "outcomes", NAMES)] == [first, None]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert all(part.encode() not in written for part in ("Müller", "Anna", "another"))
    secret = tmp_path / "patients.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert PatientKeys(tmp_path).key(name) == first  # as another replica makes it
    assert PatientKeys(tmp_path / "elsewhere").key(name) != first
    assert logged.predict(content, headers={"X-Patient": "x" * 129}).status_code == 400
    secret.write_bytes(b"short")
    with pytest.raises(AuditError, match=r"patients\.secret is damaged: it holds 5 bytes"):
        PatientKeys(tmp_path).key(name)


def test_the_log_says_what_images_look_like_and_holds_none(logged: Site, tmp_path: Path) -> None:
    image = pictures(1)[0]
    logged.predict(png(image))
    (record,) = read_audit(tmp_path / "audit")
    assert record["looks"] | {"sharpness": 0} == {
        "height": 12, "width": 12, "brightness": pytest.approx(image.mean(), abs=3), "black": pytest.approx(0, abs=0.1),
        "contrast": pytest.approx(image.std(), abs=30), "sharpness": 0,
    }  # fmt: skip
    assert len(json.dumps(record)) < 2000
