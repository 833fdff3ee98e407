"""Several images as one case over HTTP: its one answer, the weights, tensors, overlay, log, page's facts and refusals."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from medray._types import Array
from medray.ensemble.case_answers import answer_with_weights
from medray.serving.deploy.rollout import RolloutError, check_same_task
from medray.serving.engine.audit_log import read_audit
from medray.serving.engine.served_model import ServedModel
from tests.serving.case_run import RULES, write_case_run
from tests.serving.conftest import Site, listening, png
from tests.serving.http.test_openapi import check
from tests.serving.http.test_predict_route import problem
from tests.serving.label_run import shaded

pytestmark = pytest.mark.component
CASE = {"case": "true"}


@pytest.fixture(scope="module", params=RULES, ids=lambda rule: rule.answer)
def by_case(request: pytest.FixtureRequest, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    folder = write_case_run(tmp_path_factory.mktemp("cases") / "films", npz, request.param)
    return ServedModel.load(str(folder), "films")


@pytest.fixture(scope="module")
def films(by_case: ServedModel) -> Iterator[Site]:
    with listening(by_case) as site:
        yield site


def send(site: Site, images: Array, **params: str) -> httpx.Response:
    files = [("file", (f"{n} ü.png", png(image), "image/png")) for n, image in enumerate(images)]
    return site.client.post("/predict", files=files, params=CASE | params)


def answer_of(site: Site, images: Array, **params: str) -> dict[str, Any]:
    reply = send(site, images, **params)
    assert reply.status_code == 200, reply.text
    case: dict[str, Any] = reply.json()["case"]
    return case


def listed(values: dict[str, float]) -> list[float]:
    return list(values.values())


def test_a_case_has_one_answer_with_the_weight_of_each_image(films: Site, by_case: ServedModel) -> None:
    """The answer is that of Ensemble.predict with cases, though ONNX Runtime computes it."""
    assert not by_case.fast.unconverted
    images, numbers = shaded(5, seed=3), np.zeros(5)
    case = answer_of(films, images)
    ensemble = by_case.ensemble
    expected = ensemble.predict(images, numbers)
    assert listed(case["probabilities"]) == pytest.approx(expected.probabilities[0], abs=1e-5)
    if ensemble.task.label_sets:
        assert case["labels"] == expected.called_names[0]  # type: ignore[attr-defined]
    else:
        assert case["label"] == expected.names[0] == case["weights_of"]
    alone, weighed = ensemble.predict(images).probabilities, answer_with_weights(ensemble, images, numbers)
    assert [image["file"] for image in case["images"]] == [f"{n} ü.png" for n in range(5)]
    for image, row, weight in zip(case["images"], alone, weighed.weights, strict=True):
        assert listed(image["probabilities"]) == pytest.approx(row, abs=1e-5)
        assert image["weight"] == pytest.approx(weight, abs=1e-3)
        assert image["image"] == {"format": "png", "height": 12, "width": 12}
    assert sum(image["weight"] for image in case["images"]) == pytest.approx(1, abs=1e-6)
    most = int(weighed.weighed_most[0])
    assert case["weighed_most"] == {"index": most, "file": f"{most} ü.png"}
    assert case["weights_of"] == ensemble.class_names[weighed.classes[0]]
    flags = {flag for image in case["images"] for flag in image["flags"]}
    assert set(case["flags"]) == flags
    assert case["ood"]["score"] == max(image["ood"]["score"] for image in case["images"])
    assert [one["positive"] for one in case["decisions"]] == [
        bool(point.decide(expected.probabilities)[0]) for point in ensemble.operating_points
    ]


def test_the_order_of_images_changes_nothing_and_one_image_answers_as_itself(films: Site) -> None:
    images = shaded(6, seed=8)
    case, other = answer_of(films, images), answer_of(films, images[::-1])
    assert listed(other["probabilities"]) == pytest.approx(listed(case["probabilities"]), abs=1e-6)
    assert other["weighed_most"]["index"] == 5 - case["weighed_most"]["index"]
    assert other.get("label") == case.get("label")
    assert other["sets"] == case["sets"]
    (alone,) = films.predict(png(images[0])).json()["predictions"]
    single = answer_of(films, images[:1])
    for key in ("probabilities", "flags", "ood"):
        assert single[key] == alone[key]
    assert (alone["decisions"], alone["sets"]) == ([], [])  # they were set on cases
    assert single["decisions"]
    assert single["images"][0]["weight"] == 1
    body = films.predict(png(images[0]), params=CASE).json()["case"]
    assert body["probabilities"] == alone["probabilities"]
    assert body["weighed_most"] == {"index": 0, "file": None}


def test_without_case_each_image_is_one_of_its_own_which_the_metadata_says(
    films: Site, by_case: ServedModel
) -> None:
    images = shaded(3, seed=2)
    files = [("file", (f"{n}.png", png(image))) for n, image in enumerate(images)]
    answers = films.client.post("/predict", files=files, params={"case": "false"}).json()["predictions"]
    shown = [listed(answer["probabilities"]) for answer in answers]
    assert np.allclose(shown, by_case.ensemble.predict(images).probabilities, atol=1e-5)
    rule = by_case.ensemble.manifest.cases
    assert rule is not None
    assert films.client.get("/metadata").json()["cases"] == {"by": rule.by, "answer": rule.answer}


def test_cases_and_images_that_are_asked_at_once_get_their_own_answers(by_case: ServedModel) -> None:
    import asyncio

    images = shaded(12, seed=5)
    expected = by_case.ensemble.predict(images, np.repeat(np.arange(4), 3)).probabilities
    alone = by_case.ensemble.predict(images).probabilities

    async def ask(url: str) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            cases = [
                client.post("/predict", params=CASE, files=[("file", (f"{n}.png", png(images[n]))) for n in rows])
                for rows in np.arange(12).reshape(4, 3)
            ]
            single = [client.post("/predict", files={"file": ("a.png", png(image))}) for image in images]
            return [reply.json() for reply in await asyncio.gather(*cases, *single)]

    with listening(by_case, max_batch=4) as site:
        replies = asyncio.run(ask(site.url))
    for reply, row in zip(replies[:4], expected, strict=True):
        assert listed(reply["case"]["probabilities"]) == pytest.approx(row, abs=1e-5)
    for reply, row in zip(replies[4:], alone, strict=True):
        assert listed(reply["predictions"][0]["probabilities"]) == pytest.approx(row, abs=1e-5)


def tensors(images: Array, cases: list[int] | None = None) -> dict[str, Any]:
    inputs: list[dict[str, Any]] = [
        {"name": "images", "shape": list(images.shape), "datatype": "UINT8", "data": images.ravel().tolist()}
    ]
    if cases is not None:
        inputs.append({"name": "cases", "shape": [len(cases)], "datatype": "INT64", "data": cases})
    return {"inputs": inputs}


def infer(site: Site, content: dict[str, Any]) -> dict[str, Array]:
    reply = site.client.post("/v2/models/films/infer", json=content)
    assert reply.status_code == 200, reply.text
    return {o["name"]: np.array(o["data"]).reshape(o["shape"]) for o in reply.json()["outputs"]}


def test_tensors_have_an_input_of_cases(films: Site, by_case: ServedModel) -> None:
    images, cases = shaded(6, seed=4), [70, -3, 70, 2**62, -3, 70]
    values = infer(films, tensors(images, cases))
    expected = answer_with_weights(by_case.ensemble, images, np.array(cases))
    assert values["cases"].tolist() == [70, -3, 2**62]
    assert np.allclose(values["probabilities"], expected.cases.probabilities, atol=1e-5)
    assert np.allclose(values["case_weights"], expected.weights, atol=1e-3)
    each = infer(films, tensors(images, list(range(6))))
    assert each["cases"].tolist() == list(range(6))
    assert each["case_weights"].tolist() == [1] * 6
    assert np.allclose(each["probabilities"], by_case.ensemble.predict(images).probabilities, atol=1e-5)
    described = films.client.get("/v2/models/films").json()
    assert described["inputs"][1] == {"name": "cases", "datatype": "INT64", "shape": [-1]}
    assert {o["name"] for o in described["outputs"]} == set(values) == set(each)


def test_tensors_of_cases_may_be_bytes(films: Site, by_case: ServedModel) -> None:
    client = pytest.importorskip("tritonclient.http")
    images, cases = shaded(4, seed=6), np.array([9, 8, 9, 8])
    inputs = [client.InferInput("images", list(images.shape), "UINT8"), client.InferInput("cases", [4], "INT64")]
    inputs[0].set_data_from_numpy(images)
    inputs[1].set_data_from_numpy(cases)
    reply = client.InferenceServerClient(films.url.removeprefix("http://")).infer("films", inputs)
    expected = by_case.ensemble.predict(images, cases).probabilities
    assert np.allclose(reply.as_numpy("probabilities"), expected, atol=1e-5)
    assert reply.as_numpy("cases").tolist() == [9, 8]


def test_the_image_that_weighed_most_is_explained(films: Site, by_case: ServedModel) -> None:
    images = shaded(20, seed=3)  # more than may wait to be explained alone
    case = answer_of(films, images, explain="true")
    most = case["weighed_most"]["index"]
    assert [n for n, image in enumerate(case["images"]) if "overlay" in image] == [most]
    assert case["images"][most]["overlay_label"] == case["weights_of"]
    name = by_case.ensemble.class_names[-1]
    other = answer_of(films, images, explain="true", label=name)
    assert other["images"][most]["overlay_label"] == name
    (alone,) = films.predict(png(images[most]), params={"explain": "true", "label": name}).json()["predictions"]
    assert other["images"][most]["overlay"] == alone["overlay"]


def test_the_log_has_one_entry_with_every_digest_and_the_metrics_one_answer(
    by_case: ServedModel, tmp_path: Path
) -> None:
    images = shaded(4, seed=3)
    with listening(by_case, audit_folder=str(tmp_path)) as site:
        case = answer_of(site, images)
        text = site.client.get("/metrics").text
    (record,) = read_audit(tmp_path)
    assert [image["sha256"] for image in record["images"]] == [image["sha256"] for image in case["images"]]
    assert len({image["sha256"] for image in record["images"]}) == 4
    assert [image["weight"] for image in record["images"]] == [image["weight"] for image in case["images"]]
    assert record["weighed_most"] == case["weighed_most"]["index"]
    assert record["probabilities"] == case["probabilities"]
    assert "sha256" not in record
    for line in ("medray_case_images_sum 4.0", "medray_case_images_count 1.0", "medray_confidence_count 1.0"):
        assert line in text.splitlines()


def test_an_image_that_cant_be_read_leaves_no_answer_to_a_part(films: Site) -> None:
    files = [("file", ("a.png", png(shaded(1)[0]))), ("file", ("b.png", b"\x89PNG\r\n\x1a\n" + b"x" * 50))]
    detail = problem(films.client.post("/predict", files=files, params=CASE), "unreadable-image")
    assert detail.startswith("image 2 of the case: ")


def test_limits_of_a_case_are_said(by_case: ServedModel) -> None:
    images = shaded(5)
    with listening(by_case, max_files=4, max_batch=2) as site:
        assert len(answer_of(site, images[:4])["images"]) == 4  # whole, though no batch is as large
        detail = problem(send(site, images), "too-many-files")
        assert detail == (
            "a request may hold 4 images at most, and a case is answered whole; the service's --max-files allows more"
        )
        many = site.client.post("/v2/models/films/infer", json=tensors(images[:3], [1, 1, 1]))
        assert "2 images at most, not 3, and a case is answered whole" in many.json()["detail"]
    with listening(by_case, max_waiting=3) as site:
        assert "3 images may wait at once; this request has 5" in problem(send(site, images), "too-many-files")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tensors(shaded(2), [1]), "'cases' is INT64 [1]; it must be INT64 [2], each image's case"),
        ({"inputs": [*tensors(shaded(1))["inputs"], {"name": "cases", "shape": [1], "datatype": "UINT8", "data": [1]}]},
         "'cases' is UINT8 [1]; it must be INT64 [1]"),
        ({"inputs": [tensors(shaded(1))["inputs"][0] | {"datatype": "INT64"}, tensors(shaded(1), [1])["inputs"][1]]},
         "'images' is INT64 [1, 12, 12, 1]"),
        (tensors(shaded(1)), "inputs are images; there must be two, 'images' and 'cases'"),
        ({"inputs": tensors(shaded(1), [1])["inputs"][1:]}, "there must be two, 'images' and 'cases'"),
        (tensors(shaded(1), [2**63]), "must be whole numbers of -9223372036854775808 to 9223372036854775807"),
        ({"inputs": [*tensors(shaded(1))["inputs"], {"name": "cases", "shape": [1], "datatype": "INT64", "data": [1.5]}]},
         "the data of 'cases' must be whole numbers"),
    ],
)  # fmt: skip
def test_wrong_tensors_of_cases_are_refused(films: Site, content: dict[str, Any], message: str) -> None:
    reply = films.client.post("/v2/models/films/infer", json=content)
    assert reply.status_code == 400
    assert message in reply.json()["detail"]


def test_a_model_of_images_refuses_a_case(open_site: Site) -> None:
    why = "this model was made to answer images: its search space has no `cases`"
    detail = problem(send(open_site, shaded(2)), "bad-request")
    assert detail == f"case=true, and {why}; without it each image is answered by itself"
    reply = open_site.client.post("/v2/models/corners/infer", json=tensors(shaded(2), [1, 1]))
    assert reply.json()["detail"] == f"there is an input 'cases', and {why}; send 'images' alone"
    assert problem(open_site.predict(b"x", params={"case": "maybe"}), "bad-request").startswith("case is 'maybe'")
    assert "cases" not in open_site.client.get("/metadata").json()


def test_a_service_keeps_to_cases(by_case: ServedModel, model: ServedModel) -> None:
    if by_case.ensemble.task.label_sets:
        return
    with pytest.raises(RolloutError, match="it answers images, and this service cases: start another"):
        check_same_task(by_case, model)
    with pytest.raises(RolloutError, match="it answers cases, and this service images: start another"):
        check_same_task(model, by_case)


def test_answers_keep_to_the_description(films: Site, by_case: ServedModel) -> None:
    import jsonschema
    import schemathesis
    from schemathesis import GenerationMode

    description = films.client.get("/openapi.json").json()
    name = "LabelSetCaseResponse" if by_case.ensemble.task.label_sets else "CaseResponse"
    reply = send(films, shaded(2), explain="true").json()
    schema = {"$ref": f"#/components/schemas/{name}", "components": description["components"]}
    jsonschema.validate(reply, schema)
    content = description["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]
    assert {"$ref": f"#/components/schemas/{name}"} in content["schema"]["anyOf"]
    infer_path = description["paths"]["/v2/models/{name}/infer"]["post"]
    example = infer_path["requestBody"]["content"]["application/json"]["example"]
    assert infer(films, example)["cases"].tolist() == [7]
    loaded = schemathesis.openapi.from_url(f"{films.url}/openapi.json")
    for path in ("/predict", "/metadata", "/v2/models/{name}/infer"):
        for operation in loaded.include(path=path).get_all_operations():
            check(operation.ok(), GenerationMode.POSITIVE, films.url)


def test_a_case_has_no_answer_in_dicom(films: Site) -> None:
    headers = {"accept": "application/dicom", "content-type": "application/dicom"}
    response = films.predict(b"x", params={"case": "true"}, headers=headers)
    assert response.status_code == 406
    assert "case=true has no answer in DICOM" in response.json()["detail"]
