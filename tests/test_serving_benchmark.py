"""Small parts of benchmarks/serving.py: what the tables say, how answers are read, and what is not installed."""

import asyncio
import json
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)  # as for the script beside it
    from rivals import measured

    return measured


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import load

    return load


def test_tables_have_medians_and_say_where_medray_is_not_first(measured: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "serving.jsonl"
    for way, rates in (("medray", (100, 300, 200)), ("triton", (250, 250, 10))):
        for rate in rates:
            measured.append(path, measured.Measured(way, 28, 8, rate, 5.0, 9.0, 1.5, 0, 0.1, "abc"))
    measured.append(path, measured.Measured("medray", 28, 1, 50, 2.0, 3.0, 1.0, 0, 0.1, "abc"))
    text = measured.tables(measured.read(path))
    assert "| **medray** | **50** (2.0) | 200 (5.0) |" in text
    assert "| Triton (PyTriton), ONNX Runtime | – | **250** (5.0) |" in text
    _, behind = text.split("Ahead of medray, by images a second:")
    assert behind.strip() == "- 28×28, 8 clients: Triton (PyTriton), ONNX Runtime 1.25 times"


@pytest.mark.parametrize("chunked", [True, False])
def test_an_answer_is_read_whole(load: ModuleType, chunked: bool) -> None:
    body = json.dumps({"predictions": [{"probabilities": {"a": 0.25, "b": 0.75}}]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    if chunked:
        sent = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        sent = head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    answer = read(load, sent)
    assert (answer.status, answer.goes_on, answer.probabilities()) == (200, True, [0.25, 0.75])


def test_tritons_numbers_follow_its_json(load: ModuleType) -> None:
    document, numbers = b'{"outputs":[]}', struct.pack("<2f", 0.25, 0.75)
    head = f"Inference-Header-Content-Length: {len(document)}\r\nContent-Length: {len(document) + 8}\r\n\r\n"
    answer = read(load, b"HTTP/1.1 200 OK\r\n" + head.encode() + document + numbers)
    assert answer.probabilities() == [0.25, 0.75]


def read(load: ModuleType, sent: bytes) -> Any:
    async def answer() -> Any:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        return await load.read_answer(reader)

    return asyncio.run(answer())


def test_what_is_not_installed_says_how_it_is(
    measured: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path))
    from rivals.ways import Way

    way = Way("Triton", ("-m", "x"), "triton", ("nvidia-pytriton", "pillow"), ("pytriton", "PIL"))
    folder = tmp_path / "rivals" / "triton"
    install = f"uv venv {folder} && uv pip install -p {folder} nvidia-pytriton pillow"
    assert way.missing() == f"Triton is not installed: {install}"
