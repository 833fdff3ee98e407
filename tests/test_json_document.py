"""JsonDocument: what is read back, and the one line that names what is wrong with a document."""

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from medray.errors import RunError
from medray.json_document import JsonDocument


@dataclass(frozen=True)
class Inner(JsonDocument):
    number: float
    kind: Literal["a", "b"] = "a"

    def check(self) -> None:
        if self.number < 0:
            raise ValueError("the number is below 0")


@dataclass(frozen=True)
class Outer(JsonDocument):
    name: str
    count: int
    inner: Inner | None
    parts: tuple[Inner, ...]
    shape: tuple[int, int]
    scores: dict[str, float]
    anything: Any


CONTENT: dict[str, Any] = {
    "name": "x", "count": 3, "inner": {"number": 1, "kind": "b"}, "parts": [{"number": 0.5, "kind": "a"}],
    "shape": [4, 5], "scores": {"auc": 0.9}, "anything": [1, {"y": None}],
}  # fmt: skip


def test_a_document_comes_back_from_json() -> None:
    document = Outer.from_dict(CONTENT)
    assert document.inner == Inner(1.0, "b")
    assert document.parts == (Inner(0.5),)
    assert document.shape == (4, 5)
    assert Outer.from_dict(json.loads(json.dumps(document.to_dict()))) == document
    assert document.to_dict() == CONTENT
    assert Outer.from_dict(CONTENT | {"inner": None}).inner is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 1}, "x.json: name: damaged: 1 is not text"),
        ({"count": True}, "x.json: count: damaged: True is not a whole number"),
        ({"count": 3.0}, "x.json: count: damaged: 3.0 is not a whole number"),
        ({"nmae": 1}, "x.json: damaged: unknown field 'nmae' (did you mean 'name'?); valid: "),
        ({"inner": 2}, "x.json: inner: damaged: 2 is not a mapping"),
        ({"inner": {"number": -1, "kind": "a"}}, "x.json: inner: damaged: the number is below 0"),
        ({"inner": {"number": float("nan"), "kind": "a"}}, "x.json: inner.number: damaged: nan is not a number"),
        ({"inner": {"number": 10**400, "kind": "a"}}, "x.json: inner.number: damaged: 1000"),
        ({"inner": {"number": 1, "kind": "c"}}, "x.json: inner.kind: damaged: 'c' is not one of a, b"),
        ({"parts": [{"number": 1, "kind": "a"}, {}]}, "x.json: parts[1]: damaged: it has no 'number'"),
        ({"parts": {}}, "x.json: parts: damaged: {} is not a list"),
        ({"shape": [1, 2, 3]}, "x.json: shape: damaged: 3 values, not 2"),
        ({"shape": [1, None]}, "x.json: shape[1]: damaged: None is not a whole number"),
        ({"scores": {"auc": "high"}}, "x.json: scores.auc: damaged: 'high' is not a number"),
        ({"scores": None}, "x.json: scores: damaged: None is not a mapping"),
    ],
)
def test_a_damaged_document_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError) as caught:
        Outer.from_dict(CONTENT | changes, "x.json")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", CONTENT)
def test_every_field_is_needed(name: str) -> None:
    with pytest.raises(RunError, match=f"^x.json: damaged: it has no '{name}'$"):
        Outer.from_dict({key: value for key, value in CONTENT.items() if key != name}, "x.json")


def test_a_document_is_a_mapping() -> None:
    with pytest.raises(RunError, match=r"^damaged: \[\] is not a mapping$"):
        Outer.from_dict([])
