"""POST /outcomes: what images really were is written down beside the audit log, all of a request or none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medray.monitor.outcomes import read_outcome_log
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
    assert read_outcome_log(tmp_path / "outcomes") == {
        (answer["request_id"], None): NAMES[1], (None, digest): NAMES[0], ("other", None): NAMES[1],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "detail"),
    [
        ({"label": "rigt", "request_id": "r"}, "outcomes.1.label: unknown class 'rigt' (did you mean 'right'?)"),
        ({"label": "right"}, "outcomes.1 names neither request_id nor sha256"),
        ({"label": "right", "sha256": "12"}, "outcomes.1.sha256: "),
        ({"request_id": "r"}, "outcomes.1.label: "),
    ],
)
def test_a_wrong_outcome_is_named_and_none_is_written(
    logged: Site, tmp_path: Path, outcome: object, detail: str
) -> None:
    status, problem = send(logged, {"label": "right", "request_id": "good"}, outcome)
    assert status == 400
    assert str(problem["detail"]).startswith(detail)
    assert not read_outcome_log(tmp_path / "outcomes")


def test_what_is_no_json_or_empty_is_refused(logged: Site) -> None:
    assert logged.client.post("/outcomes", content=b"{").json()["detail"] == "the request is not JSON"
    assert send(logged)[0] == 400


def test_without_an_audit_log_there_is_nothing_to_belong_to(open_site: Site) -> None:
    status, problem = send(open_site, {"label": "right", "request_id": "r"})
    assert status == 409
    assert "keeps no audit log" in json.dumps(problem)
