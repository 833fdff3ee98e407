"""Tensors as the Open Inference Protocol sends them: numbers in JSON, or bytes behind it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medray._types import Array
from medray.errors import unknown_choice_line
from medray.serving.engine.problems import Problem

HEADER = "Inference-Header-Content-Length"
MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Inference:
    """What a request asks: its id, its tensors, the outputs it wants (all if none), and which of them in bytes."""

    id: str | None
    inputs: dict[str, Array]
    outputs: tuple[str, ...]
    binary_outputs: frozenset[str] | None  # None: all


def read_inference(body: bytes, header_length: str | None) -> Inference:
    """Read a request's body; `header_length` is what HEADER says, None without it.

    Raises:
        Problem: it is no such request.
    """
    split = len(body) if header_length is None else _length(header_length, len(body))
    try:
        content = json.loads(body[:split])
    except (ValueError, RecursionError):
        raise Problem("bad-request", "the request is no JSON") from None
    _check_type("the request", content, dict)
    name = content.get("id")
    if name is not None:
        _check_type("id", name, str)
    given = content.get("inputs")
    _check_type("inputs", given, list)
    inputs, rest = {}, memoryview(body)[split:]
    for tensor in given:
        _check_type("an input", tensor, dict)
        _check_type("an input's name", tensor.get("name"), str)
        inputs[tensor["name"]], rest = _read_tensor(tensor, rest)
    if len(rest):
        raise Problem("bad-request", f"{len(rest)} bytes are left over behind the tensors")
    names, binary = _outputs(content)
    return Inference(name, inputs, names, binary)


def _length(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) > most:
        raise Problem("bad-request", f"{HEADER} is '{text:.40}'; the body has {most} bytes")
    return int(text)


def _check_type(what: str, value: object, wanted: type) -> None:
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        words = {dict: "an object", list: "a list", str: "text", int: "a whole number", bool: "true or false"}
        raise Problem("bad-request", f"{what} must be {words[wanted]}")


def _parameters(content: dict[str, Any]) -> dict[str, Any]:
    found = content.get("parameters") or {}
    _check_type("parameters", found, dict)
    return dict(found)


def _read_tensor(tensor: dict[str, Any], rest: memoryview) -> tuple[Array, memoryview]:
    name, datatype, shape = tensor["name"][:40], tensor.get("datatype"), tensor.get("shape")
    if datatype != "UINT8":
        raise Problem(
            "bad-request", f"'{name}': " + unknown_choice_line("datatype", str(datatype)[:40], ["UINT8"])
        )
    _check_type(f"the shape of '{name}'", shape, list)
    assert isinstance(shape, list)
    for side in shape:
        _check_type(f"a side of '{name}'", side, int)
        if not 0 <= side <= 2**31:
            raise Problem("bad-request", f"a side of '{name}' is {side}")
    if len(shape) > MOST_DIMENSIONS:
        raise Problem("bad-request", f"'{name}' has {len(shape)} dimensions")
    size = _parameters(tensor).get("binary_data_size")
    if size is not None:
        _check_type(f"binary_data_size of '{name}'", size, int)
        if not 0 <= size <= len(rest):
            raise Problem("bad-request", f"'{name}' says {size} bytes, and {len(rest)} are left")
        flat, rest = np.frombuffer(rest[:size], dtype=np.uint8), rest[size:]
    else:
        flat = _numbers(name, tensor.get("data"))
    count = 1
    for side in shape:  # whole numbers of any size: a product of numpy's would overflow
        count *= side
    if count != len(flat):
        raise Problem("bad-request", f"'{name}' holds {len(flat)} values, its shape {count}")
    return flat.reshape(shape), rest


def _numbers(name: str, data: object) -> Array:
    """The flat or nested list of a tensor, as uint8."""
    try:
        numbers = np.array(data)
    except (ValueError, RecursionError, OverflowError):
        raise Problem("bad-request", f"the data of '{name}' is a ragged list") from None
    numbers = numbers.reshape(-1)
    if not len(numbers):
        return np.empty(0, dtype=np.uint8)
    if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() > 255:
        raise Problem("bad-request", f"the data of '{name}' must be whole numbers of 0 to 255")
    return numbers.astype(np.uint8)


def _outputs(content: dict[str, Any]) -> tuple[tuple[str, ...], frozenset[str] | None]:
    wanted = content.get("outputs") or []
    _check_type("outputs", wanted, list)
    by_default = _parameters(content).get("binary_data_output", False)
    _check_type("binary_data_output", by_default, bool)
    names, binary = [], set()
    for output in wanted:
        _check_type("an output", output, dict)
        _check_type("an output's name", output.get("name"), str)
        names.append(output["name"])
        is_binary = _parameters(output).get("binary_data", by_default)
        _check_type("binary_data", is_binary, bool)
        if is_binary:
            binary.add(output["name"])
    if not wanted and by_default:
        return (), None
    return tuple(names), frozenset(binary)


def written(
    values: Mapping[str, tuple[str, Array]], binary: frozenset[str] | None
) -> tuple[list[dict[str, Any]], bytes]:
    """Write outputs, given as name -> (datatype, array): their JSON, and the bytes that follow it."""
    outputs, tail = [], []
    for name, (datatype, array) in values.items():
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if binary is None or name in binary:
            content = _bytes(array) if datatype == "BYTES" else np.ascontiguousarray(array).tobytes()
            output["parameters"] = {"binary_data_size": len(content)}
            tail.append(content)
        elif datatype == "BYTES":
            output["data"] = [value.decode() for value in array]
        else:
            output["data"] = [round(v, 7) if datatype == "FP32" else v for v in array.reshape(-1).tolist()]
        outputs.append(output)
    return outputs, b"".join(tail)


def _bytes(array: Array) -> bytes:
    """Each element behind its length, as four bytes, the lowest first."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in array)
