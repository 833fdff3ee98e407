"""The Open Inference Protocol, with NVIDIA's own client and with what it would never send."""

import contextlib
import json
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medray.serving.engine.answers import to_plain
from medray.serving.engine.problems import Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.http.v2_tensors import (
    LENGTH_HEADER,
    InferRequest,
    OutputParameters,
    RequestedOutput,
    read_inference,
    write_tensors,
)
from tests.serving.conftest import NAMES, Site, pictures

pytestmark = pytest.mark.component

tritonclient = pytest.importorskip("tritonclient.http")
InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException


@pytest.fixture(scope="module")
def client(open_site: Site) -> Any:
    with tritonclient.InferenceServerClient(open_site.url.removeprefix("http://"), concurrency=4) as client:
        yield client


def infer(client: Any, images: Any, *, binary: bool, outputs: list[str] | None = None, **more: Any) -> Any:
    tensor = tritonclient.InferInput("images", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images, binary_data=binary)
    requested = (
        None if outputs is None else [tritonclient.InferRequestedOutput(o, binary_data=binary) for o in outputs]
    )
    return client.infer("corners", [tensor], outputs=requested, **more)


def test_the_client_finds_the_server_and_the_model(client: Any, model: ServedModel) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("corners")
    assert client.is_model_ready("corners", model.version)
    assert not client.is_model_ready("corner")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("corners")
    assert metadata["versions"] == [model.version]
    assert metadata["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 12, 12, 1]}]
    assert {output["name"] for output in metadata["outputs"]} == {
        "probabilities", "class_index", "label", "positive", "in_set", "out_of_distribution",
    }  # fmt: skip


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_go_in_and_out_as_bytes_and_as_json(client: Any, model: ServedModel, binary: bool) -> None:
    images = pictures(7, seed=5)
    expected = model.ensemble.predict(images)
    names = ["probabilities", "class_index", "label", "positive", "in_set", "out_of_distribution"]
    result = infer(client, images, binary=binary, outputs=names, request_id="42", model_version=model.version)
    assert np.allclose(result.as_numpy("probabilities"), expected.probabilities, atol=1e-5)
    assert result.as_numpy("probabilities").dtype == np.float32
    assert result.as_numpy("class_index").tolist() == expected.labels.tolist()
    assert [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("label")] == expected.names
    assert result.as_numpy("positive")[:, 0].tolist() == expected.decide().tolist()
    assert result.as_numpy("in_set")[:, 0].tolist() == expected.sets(0.8).tolist()
    assert result.as_numpy("out_of_distribution").tolist() == model.ensemble.ood.flags(images).tolist()
    assert (result.get_response()["id"], result.get_response()["model_version"]) == ("42", model.version)


def test_outputs_can_be_chosen_and_compressed(client: Any) -> None:
    result = infer(client, pictures(2), binary=True, outputs=["label"])
    assert result.as_numpy("probabilities") is None
    assert result.as_numpy("label").shape == (2,)


def test_without_outputs_all_come_as_json(open_site: Site) -> None:
    content = {"inputs": [{"name": "images", "shape": [1, 12, 12, 1], "datatype": "UINT8", "data": [0] * 144}]}
    answer = open_site.client.post("/v2/models/corners/infer", json=content).json()
    assert [output["name"] for output in answer["outputs"]][:3] == ["probabilities", "class_index", "label"]
    assert answer["outputs"][2]["data"][0] in NAMES


def ask(site: Site, content: Any, **headers: str) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return site.client.post("/v2/models/corners/infer", content=body, headers=headers)


def tensor(**changed: Any) -> dict[str, Any]:
    return {
        "inputs": [{"name": "images", "shape": [1, 12, 12, 1], "datatype": "UINT8", "data": [0] * 144} | changed]
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "the request is not JSON"),
        (b"[" * 100_000, "the request is not JSON"),
        ([], "the request: input should be an object"),
        ({}, "inputs: field required"),
        ({"inputs": []}, "inputs are none; there must be one, 'images'"),
        (tensor(name="image"), "inputs are image; there must be one, 'images'"),
        (tensor(datatype="FP32"), "inputs.0.datatype: input should be 'UINT8'"),
        (tensor(shape=[144]), "it must be UINT8 [N, 12, 12, 1]"),
        (tensor(shape=[2, 12, 12, 1]), "'images' holds 144 values, its shape 288"),
        (tensor(shape=[2**31] * 4), "'images' holds 144 values, its shape"),
        (tensor(shape=[-1]), "inputs.0.shape.0: input should be greater than or equal to 0"),
        (tensor(shape=[0, 12, 12, 1], data=[]), "it must be UINT8"),
        (tensor(data=[256] * 144), "whole numbers of 0 to 255"),
        (tensor(data=[0.5] * 144), "whole numbers of 0 to 255"),
        (tensor(data=["a"] * 144), "whole numbers of 0 to 255"),
        (tensor(data=[[1], [1, 2]]), "a ragged list"),
        (tensor(parameters={"binary_data_size": 10}), "says 10 bytes, and 0 are left"),
        (tensor() | {"outputs": [{"name": "probability"}]}, "did you mean 'probabilities'"),
        (tensor() | {"outputs": {}, "id": 3}, "id: input should be a valid string"),
        (tensor(shape=[65, 12, 12, 1], data=[0] * 144 * 65), "64 images at most"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_a_problem(open_site: Site, content: Any, message: str) -> None:
    response = ask(open_site, content)
    assert response.status_code in (400, 413), response.text
    assert message in response.json()["detail"]


def test_a_wrong_header_length_is_a_problem(open_site: Site) -> None:
    for length in ("-1", "99999999", "x", "1" * 50):
        assert "the body has" in ask(open_site, tensor(), **{LENGTH_HEADER: length}).json()["detail"]
    body = json.dumps(tensor()).encode()
    assert (
        "5 bytes are left over"
        in ask(open_site, body + b"extra", **{LENGTH_HEADER: str(len(body))}).json()["detail"]
    )


def test_another_model_and_version_are_not_found(open_site: Site) -> None:
    assert "valid: corners" in open_site.client.get("/v2/models/corner").json()["detail"]
    assert open_site.client.get("/v2/models/corners/versions/1").status_code == 404


def test_errors_reach_the_client_as_its_own(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="must be UINT8"):
        infer(client, pictures(1)[0], binary=True)


@given(st.binary(max_size=200), st.none() | st.text(max_size=10))
def test_no_body_raises_anything_but_a_problem(body: bytes, length: str | None) -> None:
    with contextlib.suppress(Problem):
        read_inference(body, length)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "binary_data",
                         "binary_data_size", "binary_data_output"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300)
@given(json_values)
def test_no_json_raises_anything_but_a_problem(content: Any) -> None:
    for wrapped in (
        content,
        {"inputs": [content]},
        {"inputs": [{"name": "images", "datatype": "UINT8", "shape": content, "data": content}]},
    ):
        with contextlib.suppress(Problem):
            read_inference(json.dumps(wrapped).encode(), None)


@given(arrays(np.uint8, st.tuples(*[st.integers(0, 4)] * 3)), st.booleans())
def test_tensors_come_back_as_they_went(values: Any, as_bytes: bool) -> None:
    request = InferRequest([], outputs=[RequestedOutput("x", OutputParameters(as_bytes))])
    (output,), tail = write_tensors({"x": ("UINT8", values)}, request)
    head = json.dumps({"inputs": [to_plain(output)]}).encode()
    _, inputs = read_inference(head + tail, str(len(head)))
    assert inputs["x"].dtype == np.uint8
    assert np.array_equal(inputs["x"], values)
