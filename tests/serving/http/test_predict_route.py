"""POST /predict: what it answers, and what it says where it can't."""

import re
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from medray.data.decoding import decode
from medray.serving.engine.audit_log import read_audit
from medray.serving.engine.problems import Kind
from medray.serving.engine.served_model import ServedModel
from tests.serving.conftest import NAMES, Site, listening, pictures, png

pytestmark = pytest.mark.component


def problem(response: httpx.Response, slug: str) -> str:
    """Check that an answer is a problem document (RFC 9457) of this kind; return what it says."""
    content = response.json()
    (kind,) = [kind for kind in Kind if kind.slug == slug]
    assert response.headers["content-type"] == "application/problem+json"
    assert content["type"] == f"urn:medray:problem:{slug}", content
    assert response.status_code == content["status"] == kind.status
    assert content["title"] == kind.title
    assert content["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    assert "/" not in content["detail"].replace("/predict", "").replace("image/", "").replace(
        "application/", ""
    ).replace("multipart/", "")
    return str(content["detail"])


def test_one_image_is_what_the_ensemble_says_of_it(open_site: Site, model: ServedModel) -> None:
    image = pictures(1)
    answer = open_site.predict(
        png(image[0]), headers={"content-type": "image/png", "x-request-id": "mine-1"}
    ).json()
    expected = model.ensemble.predict(image)
    (prediction,) = answer["predictions"]
    assert answer["model"] == {"name": "corners", "version": model.version}
    assert answer["request_id"] == "mine-1"
    assert list(prediction["probabilities"]) == NAMES
    assert np.allclose(list(prediction["probabilities"].values()), expected.probabilities[0], atol=1e-5)
    assert prediction["label"] == expected.names[0]
    (decision,) = prediction["decisions"]
    assert decision["operating_point"] == "sensitivity 0.9"
    assert decision["event"] == decision["class"] == NAMES[0]
    assert decision["probability"] == pytest.approx(prediction["probabilities"][NAMES[0]], abs=1e-6)
    assert decision["positive"] == bool(expected.decide("sensitivity 0.9")[0])
    assert prediction["sets"] == [
        {
            "coverage": 0.8,
            "classes": [name for name, inside in zip(NAMES, expected.sets(0.8)[0], strict=True) if inside],
        }
    ]
    assert prediction["image"] == {"format": "png", "height": 12, "width": 12}
    assert prediction["ood"]["threshold"] == pytest.approx(model.ensemble.ood.facts.threshold, abs=1e-6)


def test_a_form_is_answered_file_by_file(open_site: Site, model: ServedModel) -> None:
    images = pictures(5, seed=1)
    files = [("file", (f"{n} ü.png", png(image), "image/png")) for n, image in enumerate(images)]
    answer = open_site.client.post("/predict", files=files).json()
    probabilities = np.array([list(prediction["probabilities"].values()) for prediction in answer["predictions"]])
    assert np.allclose(probabilities, model.ensemble.predict(images).probabilities, atol=1e-5)
    assert [prediction["file"] for prediction in answer["predictions"]] == [f"{n} ü.png" for n in range(5)]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_formats_are_known_by_their_content(open_site: Site, kind: str) -> None:
    answer = open_site.predict(png(pictures(1)[0], kind), headers={"content-type": "image/png"})
    assert answer.json()["predictions"][0]["image"]["format"] == kind.lower()


def test_what_was_done_to_an_image_is_said(open_site: Site) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (40, 20, 3), dtype=np.uint8)
    flags = open_site.predict(png(colour)).json()["predictions"][0]["flags"]
    assert {"greyscaled", "stretched"} <= set(flags)


def test_an_image_of_another_kind_is_flagged(open_site: Site) -> None:
    black = open_site.predict(png(np.zeros((12, 12), dtype=np.uint8))).json()["predictions"][0]
    assert "out_of_distribution" in black["flags"]
    assert black["ood"]["score"] > black["ood"]["threshold"]


def test_explain_adds_a_picture(open_site: Site) -> None:
    prediction = open_site.predict(png(pictures(1)[0]), params={"explain": "true"}).json()["predictions"][0]
    assert prediction["overlay"].startswith("data:image/png;base64,iVBOR")
    assert (
        "overlay"
        not in open_site.predict(png(pictures(1)[0]), params={"explain": "false"}).json()["predictions"][0]
    )


@pytest.mark.parametrize(
    ("content", "headers", "params", "kind", "message"),
    [
        (b"", {}, {}, "bad-request", "an image is empty"),
        (b"hello", {}, {}, "unsupported-format", "png, jpeg, tiff, bmp"),
        (b"{}", {"content-type": "application/json"}, {}, "unsupported-format", "Content-Type 'application/json' is none of"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 50, {"content-type": "image/png"}, {}, "unreadable-image", ""),
        (b"x", {}, {"explian": "1"}, "bad-request", "unknown parameter 'explian' (did you mean 'explain'?); valid: answer, case, explain, label"),
        (b"x", {}, {"explain": "maybe"}, "bad-request", "explain is 'maybe'"),
        (b"--x--", {"content-type": "multipart/form-data; boundary=x"}, {}, "bad-request", "the form has no file"),
        (b"x", {"content-type": "multipart/form-data"}, {}, "bad-request", "the form can't be read"),
        (b"garbage", {"content-type": "multipart/form-data; boundary=y"}, {}, "bad-request", "the form"),
    ],
)  # fmt: skip
def test_refusals_are_problem_documents(
    open_site: Site, content: bytes, headers: dict[str, str], params: dict[str, str], kind: str, message: str
) -> None:
    assert message in problem(open_site.predict(content, headers=headers, params=params), kind)


def test_a_form_with_something_else_is_refused(open_site: Site) -> None:
    other = open_site.client.post("/predict", files={"image": ("a.png", png(pictures(1)[0]))})
    assert "unknown form field 'image'; images go into 'file'" in problem(other, "bad-request")
    text = open_site.client.post("/predict", files={"x": ("a", b"1")}, data={"file": "text"})
    problem(text, "bad-request")


def test_unknown_paths_and_methods_are_named(open_site: Site) -> None:
    assert open_site.client.get("/predict").headers["allow"] == "POST"
    assert open_site.client.get("/predict").json()["type"].endswith("method-not-allowed")
    missing = open_site.client.get("/predictions").json()
    assert missing["status"] == 404
    assert "/predict," in missing["detail"]


def test_a_request_id_that_could_harm_is_replaced(open_site: Site) -> None:
    for request_id in ("a b", "x" * 200, "a\u00e4"):
        response = open_site.client.get("/v2/health/live", headers={"x-request-id": request_id.encode("latin-1")})
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


# -- limits


def test_too_large_a_body_is_refused_before_and_while_it_comes(site: Callable[..., Site]) -> None:
    small = site(max_body=1000, max_memory=5000)
    assert "1,000 bytes at most" in problem(small.predict(b"x" * 1001), "body-too-large")
    chunks = (b"x" * 100 for _ in range(100))
    assert small.client.post("/predict", content=chunks, headers={"content-type": "image/png"}).status_code == 413
    assert small.service.memory.held == 0
    assert small.predict(png(pictures(1)[0])).status_code == 200


def test_memory_for_bodies_is_shared(site: Callable[..., Site]) -> None:
    """What is announced is reserved: two that together are too much can't both be held."""
    small = site(max_body=4000, max_memory=5000)
    host, port = small.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as first:
        first.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 3000\r\n\r\nabc"
        )
        while small.service.memory.held < 3000:
            pass
        second = small.predict(b"x" * 3000)
        problem(second, "overloaded")
        assert second.headers["retry-after"] == "1"
    while small.service.memory.held:
        pass
    assert small.predict(png(pictures(1)[0])).status_code == 200


def test_a_body_that_does_not_come_ends(site: Callable[..., Site]) -> None:
    slow = site(body_timeout=0.2)
    host, port = slow.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\nabc"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")


def test_too_many_pixels_files_and_waiting_images(site: Callable[..., Site]) -> None:
    strict = site(max_pixels=100, max_files=2, max_waiting=2)
    problem(strict.predict(png(pictures(1)[0])), "too-many-pixels")
    tiny = png(np.zeros((4, 4), dtype=np.uint8))
    three = strict.client.post("/predict", files=[("file", ("a", tiny))] * 3)
    assert "2 images at most" in problem(three, "too-many-files")
    few = site(max_waiting=1)
    two = few.client.post("/predict", files=[("file", ("a", tiny))] * 2)
    problem(two, "overloaded")
    assert few.predict(tiny).status_code == 200


def test_an_answer_that_takes_too_long(site: Callable[..., Site]) -> None:
    problem(site(timeout=1e-6).predict(png(pictures(1)[0])), "timeout")


# -- tokens and the audit log


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("reader 0123456789abcdef\nboss fedcba9876543210 admin\n")
    path.chmod(0o600)
    return path


def test_a_token_is_needed_where_there_are_tokens(site: Callable[..., Site], token_file: Path) -> None:
    guarded = site(token_file=str(token_file))
    content = png(pictures(1)[0])
    refused = guarded.predict(content)
    problem(refused, "unauthorized")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    problem(guarded.predict(content, headers={"authorization": "Bearer 0123456789abcdeX"}), "unauthorized")
    assert guarded.predict(content, headers={"authorization": "Bearer 0123456789abcdef"}).status_code == 200
    closed = ["/metadata", "/metrics", "/v2", "/v2/models/corners", "/v2/models/corners/ready"]
    assert [guarded.client.get(path).status_code for path in closed] == [401] * len(closed)
    public = ["/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"]
    assert [guarded.client.get(path).status_code for path in public] == [200] * len(public)


def test_what_is_answered_is_in_the_audit_log(site: Callable[..., Site], token_file: Path, tmp_path: Path) -> None:
    logged = site(token_file=str(token_file), audit_folder=str(tmp_path / "audit"))
    headers = {"authorization": "Bearer 0123456789abcdef", "x-request-id": "r1"}
    answer = logged.predict(png(pictures(1)[0]), headers=headers).json()
    logged.predict(b"no image", headers=headers)
    (record,) = read_audit(tmp_path / "audit")
    prediction = answer["predictions"][0]
    assert record["token"] == "reader"
    assert record["request_id"] == "r1"
    assert record["model"] == answer["model"]
    assert {key: record[key] for key in ("sha256", "label", "probabilities")} == {
        key: prediction[key] for key in ("sha256", "label", "probabilities")
    }
    assert "0123456789abcdef" not in "".join(path.read_text() for path in (tmp_path / "audit").iterdir())


def test_what_can_not_be_logged_is_not_answered(site: Callable[..., Site], tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    logged = site(audit_folder=str(folder))
    assert logged.predict(png(pictures(1)[0])).status_code == 200
    shutil.rmtree(folder)
    folder.write_text("a file where the folder was")
    response = logged.predict(png(pictures(1)[0]))
    problem(response, "audit-failed")
    assert response.headers["retry-after"] == "30"
    folder.unlink()
    assert logged.predict(png(pictures(1)[0])).status_code == 200


# -- nobody gets somebody else's answer


def test_answers_are_never_mixed_up(open_site: Site, model: ServedModel) -> None:
    images = pictures(400, seed=3)
    expected = model.ensemble.predict(images).probabilities
    probabilities: dict[int, Any] = {}

    def ask(first: int) -> None:
        with httpx.Client(base_url=open_site.url, timeout=30) as client:
            for number in range(first, len(images), 16):
                content = client.post("/predict", content=png(images[number])).json()["predictions"][0]
                probabilities[number] = list(content["probabilities"].values())

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.allclose([probabilities[n] for n in range(len(images))], expected, atol=1e-5)


@pytest.mark.parametrize("size", [(40, 20), (400, 200)])  # decoded with the batch, and beforehand
def test_an_ensemble_of_padded_images_gets_padded_ones(
    size: tuple[int, int], served_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(served_run, tmp_path / "padded"))
    manifest = run / "ensemble" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"image_aspect": "stretch"', '"image_aspect": "pad"'))
    padded = ServedModel.load(str(run), "padded")
    content = png(np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8))
    with listening(padded) as padded_site:
        (answer,) = padded_site.predict(content).json()["predictions"]
    pixels = decode(content, (12, 12, 1), aspect="pad").pixels
    expected = padded.ensemble.predict(pixels[None]).probabilities[0]
    assert np.allclose(list(answer["probabilities"].values()), expected, atol=1e-5)
    assert {"resized", "padded"} <= set(answer["flags"])
    assert "stretched" not in answer["flags"]
