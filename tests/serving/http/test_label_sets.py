"""A service whose ensemble says several labels an image: its answers, tensors, overlays, log and description."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from medray._types import Array
from medray.ensemble import LabelSetPrediction
from medray.serving.deploy.rollout import RolloutError, check_same_task
from medray.serving.engine.audit_log import read_audit
from medray.serving.engine.served_model import ServedModel
from tests.serving.conftest import Site, listening, png
from tests.serving.dicom.dicom_samples import film
from tests.serving.dicom.test_dicom_answers import groups
from tests.serving.http.test_openapi import check
from tests.serving.label_run import COVERAGES, LABELS, UNSEEN, shaded, write_label_run

pytestmark = pytest.mark.component


@pytest.fixture(scope="module")
def labelling(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return ServedModel.load(str(write_label_run(tmp_path_factory.mktemp("labels") / "films", npz)), "films")


@pytest.fixture(scope="module")
def films(labelling: ServedModel) -> Iterator[Site]:
    with listening(labelling) as site:
        yield site


def expected_of(model: ServedModel, images: Array) -> LabelSetPrediction:
    prediction = model.ensemble.predict(images)
    assert isinstance(prediction, LabelSetPrediction)
    return prediction


def test_an_image_is_answered_with_the_labels_that_are_called(films: Site, labelling: ServedModel) -> None:
    images = shaded(6, seed=3)
    expected = expected_of(labelling, images)
    assert 0 < expected.called.sum() < expected.called.size
    for row, image in enumerate(images):
        (answer,) = films.predict(png(image)).json()["predictions"]
        assert "label" not in answer
        assert answer["labels"] == expected.called_names[row]
        shown = list(answer["probabilities"].values())
        assert np.allclose(shown, expected.probabilities[row], rtol=0, atol=1e-5)
        for decision in answer["decisions"]:
            label = LABELS.index(decision["class"])
            assert decision["event"] == decision["class"] != UNSEEN
            assert decision["positive"] == expected.decide(decision["operating_point"])[row, label]
        for said, coverage in zip(answer["sets"], COVERAGES, strict=True):
            assert said["coverage"] == coverage
            assert sorted(said["present"] + said["absent"] + said["not_sure"]) == sorted(LABELS)
            without, having = expected.sets(coverage)[row].T
            assert said["present"] == [LABELS[i] for i in np.flatnonzero(having & ~without)]
            assert said["absent"] == [LABELS[i] for i in np.flatnonzero(without & ~having)]


def test_the_model_says_from_where_on_it_calls_a_label(films: Site) -> None:
    metadata = films.client.get("/metadata").json()
    assert metadata["task"] == "several"
    first = {p["positive"]: p["threshold"] for p in reversed(metadata["operating_points"])}
    assert metadata["called_from"] == {**first, UNSEEN: 0.5}


def test_tensors_have_the_same_answers(films: Site, labelling: ServedModel) -> None:
    images = shaded(3, seed=5)
    tensor = {"name": "images", "shape": list(images.shape), "datatype": "UINT8", "data": images.ravel().tolist()}
    answer = films.client.post("/v2/models/films/infer", json={"inputs": [tensor]}).json()
    values = {o["name"]: np.array(o["data"]).reshape(o["shape"]) for o in answer["outputs"]}
    expected = expected_of(labelling, images)
    points = len(labelling.ensemble.operating_points)
    described = films.client.get("/v2/models/films").json()["outputs"]
    assert [o["name"] for o in described] == [
        "probabilities",
        "called",
        "positive",
        "in_set",
        "out_of_distribution",
    ]
    assert [o["shape"] for o in described] == [[-1, 4], [-1, 4], [-1, points], [-1, 2, 4, 2], [-1]]
    assert set(values) == {o["name"] for o in described}
    assert values["called"].tolist() == expected.called.tolist()
    for index, coverage in enumerate(COVERAGES):
        assert values["in_set"][:, index].tolist() == expected.sets(coverage).tolist()
    assert np.allclose(values["probabilities"], expected.probabilities, atol=1e-5)


def test_an_overlay_is_of_the_likeliest_label_that_is_called_or_of_the_one_that_is_named(
    films: Site, labelling: ServedModel
) -> None:
    images = shaded(8, seed=3)
    expected = expected_of(labelling, images)
    for image, row, called in zip(images, expected.probabilities, expected.called, strict=True):
        (answer,) = films.predict(png(image), params={"explain": "true"}).json()["predictions"]
        likeliest = np.where(called, row, -1.0) if called.any() else row
        assert answer["overlay_label"] == LABELS[int(likeliest.argmax())]
    named = {
        label: films.predict(png(images[0]), params={"explain": "true", "label": label}).json()["predictions"][0]
        for label in LABELS
    }
    assert [answer["overlay_label"] for answer in named.values()] == list(LABELS)
    assert len({answer["overlay"] for answer in named.values()}) > 1
    for params, detail in (
        ({"explain": "true", "label": "hernias"}, f"unknown label 'hernias' (did you mean 'hernia'?); valid: {', '.join(sorted(LABELS))}"),
        ({"label": "hernia"}, "label is the class that explain=true explains; give that too"),
    ):  # fmt: skip
        refused = films.predict(png(images[0]), params=params)
        assert (refused.status_code, refused.json()["detail"]) == (400, detail)


def test_the_log_and_the_counts_have_the_labels(labelling: ServedModel, tmp_path: Path) -> None:
    images = shaded(6, seed=3)
    called = expected_of(labelling, images).called
    with listening(labelling, audit_folder=str(tmp_path)) as site:
        answers = [site.predict(png(image)).json()["predictions"][0] for image in images]
        text = site.client.get("/metrics").text
    records = list(read_audit(tmp_path))
    assert [record["labels"] for record in records] == [answer["labels"] for answer in answers]
    assert all("label" not in record for record in records)
    for label, count in zip(LABELS, called.sum(axis=0), strict=True):
        line = f'medray_predictions_total{{class="{label}"}} {float(count)}'
        assert (line in text.splitlines()) == bool(count)
    assert "medray_confidence_count 6.0" in text


def test_the_description_is_of_the_task(films: Site, open_site: Site) -> None:
    import schemathesis
    from schemathesis import GenerationMode

    several, single = (
        site.client.get("/openapi.json").json()["components"]["schemas"] for site in (films, open_site)
    )
    assert {"LabelSetResponse", "ImageLabels", "LabelSets"} <= set(several)
    assert not {"PredictResponse", "ImagePrediction", "ConformalSet"} & set(several)
    assert {"PredictResponse", "ImagePrediction", "ConformalSet"} <= set(single)
    assert not {"LabelSetResponse", "ImageLabels", "LabelSets"} & set(single)
    paths = films.client.get("/openapi.json").json()["paths"]
    example = paths["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    (answer,) = example["predictions"]
    thresholds = films.client.get("/metadata").json()["called_from"]
    assert answer["labels"] == [name for name, p in answer["probabilities"].items() if p >= thresholds[name]]
    schema = schemathesis.openapi.from_url(f"{films.url}/openapi.json")
    for path in ("/predict", "/metadata"):
        for operation in schema.include(path=path).get_all_operations():
            check(operation.ok(), GenerationMode.POSITIVE, films.url)


def test_answers_keep_to_the_description(films: Site) -> None:
    import jsonschema

    description: dict[str, Any] = films.client.get("/openapi.json").json()
    reply = films.predict(png(shaded(1)[0]), params={"explain": "true"}).json()
    schema = {"$ref": "#/components/schemas/LabelSetResponse", "components": description["components"]}
    jsonschema.validate(json.loads(json.dumps(reply)), schema)
    metadata = {"$ref": "#/components/schemas/Metadata", "components": description["components"]}
    jsonschema.validate(films.client.get("/metadata").json(), metadata)


def test_a_service_keeps_to_its_task(labelling: ServedModel, model: ServedModel) -> None:
    with pytest.raises(RolloutError, match="it is of the task several, and this service of single: start another"):
        check_same_task(model, labelling)


def test_the_report_in_dicom_has_every_label(films: Site) -> None:
    image, headers = film(), {"accept": "application/dicom", "content-type": "application/dicom"}
    (answer,) = films.predict(image).json()["predictions"]
    parts = groups(dcmread(BytesIO(films.predict(image, headers=headers).content)))
    evaluations = parts["classification"].get_qualitative_evaluations()
    assert [e.value.meaning for e in evaluations if e.name.value == "predicted"] == answer["labels"]
    assert len([name for name in parts if name.startswith("operating point")]) == len(answer["decisions"])
    for expected in answer["sets"]:
        group = parts[f"prediction set of coverage {expected['coverage']:g}"]
        within: dict[str, list[str]] = {code: [] for code in ("in_set", "absent", "not_sure")}
        for evaluation in group.get_qualitative_evaluations():
            within[evaluation.name.value].append(evaluation.value.meaning)
        assert list(within.values()) == [expected[part] for part in ("present", "absent", "not_sure")]
    overlay = films.predict(image, headers=headers, params={"answer": "overlay", "label": LABELS[0]})
    assert f"of {LABELS[0]}" in dcmread(BytesIO(overlay.content)).DerivationDescription
