"""The JSON and the tensors of the Open Inference Protocol: numbers in JSON, or bytes behind it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from medray._types import Array
from medray.serving.engine.problems import Kind, Problem
from medray.serving.http.request_body import read_json

LENGTH_HEADER = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class InputParameters:
    """Parameters of an input; with `binary_data_size` its values are bytes behind the JSON."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True)
class InputTensor:
    """An input of a request: whole numbers as a flat or nested list, or as bytes behind the JSON."""

    name: str
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(max_length=8)]
    datatype: Literal["UINT8", "INT64"]
    data: list[Any] | None = None
    parameters: InputParameters | None = None


@dataclass(frozen=True)
class OutputParameters:
    """Parameters of a requested output; None leaves the form to the request's `binary_data_output`."""

    binary_data: bool | None = None


@dataclass(frozen=True)
class RequestedOutput:
    """An output that a request asks for."""

    name: str
    parameters: OutputParameters | None = None


@dataclass(frozen=True)
class RequestParameters:
    """Parameters of a request: whether outputs come as bytes where they don't say."""

    binary_data_output: bool = False


@dataclass(frozen=True)
class InferRequest:
    """The JSON of a request; without `outputs` all are asked for."""

    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] | None = None
    parameters: RequestParameters | None = None

    def is_binary(self, output: str) -> bool:
        """Return whether an output is asked for as bytes."""
        for requested in self.outputs or ():
            if requested.name == output and requested.parameters and requested.parameters.binary_data is not None:
                return requested.parameters.binary_data
        return self.parameters is not None and self.parameters.binary_data_output


@dataclass(frozen=True)
class OutputTensor:
    """An output of a response; without `data` its values are bytes behind the JSON, with their number here."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: InputParameters | None = None


def read_inference(body: bytes, header_length: str | None) -> tuple[InferRequest, dict[str, Array]]:
    """Read a request's body: its JSON, and the inputs by name; `header_length` is the LENGTH_HEADER's value.

    Raises:
        Problem: it is no such request.
    """
    split = len(body)
    if header_length is not None:
        is_number = header_length.isascii() and header_length.isdigit() and len(header_length) <= 18
        if not is_number or int(header_length) > split:
            raise Problem(
                Kind.BAD_REQUEST, f"{LENGTH_HEADER} is '{header_length:.40}'; the body has {split} bytes"
            )
        split = int(header_length)
    request = read_json(body[:split], InferRequest)
    inputs, rest = {}, memoryview(body)[split:]
    for tensor in request.inputs:
        inputs[tensor.name], rest = _read_tensor(tensor, rest)
    if len(rest):
        raise Problem(Kind.BAD_REQUEST, f"{len(rest)} bytes are left over behind the tensors")
    return request, inputs


def _read_tensor(tensor: InputTensor, rest: memoryview) -> tuple[Array, memoryview]:
    """Return an input as an array of its datatype and shape, and the bytes behind it."""
    name, size = tensor.name[:40], None if tensor.parameters is None else tensor.parameters.binary_data_size
    dtype = np.dtype("<i8" if tensor.datatype == "INT64" else np.uint8)
    if size is None:
        try:
            values = np.array(tensor.data or [], dtype=None if tensor.data else dtype).reshape(-1)
        except (ValueError, RecursionError, OverflowError):
            raise Problem(Kind.BAD_REQUEST, f"the data of '{name}' is a ragged list") from None
        limits = np.iinfo(dtype)
        if len(values) and (
            values.dtype.kind not in "iu" or values.min() < limits.min or values.max() > limits.max
        ):
            raise Problem(
                Kind.BAD_REQUEST, f"the data of '{name}' must be whole numbers of {limits.min} to {limits.max}"
            )
        values = values.astype(dtype)
    elif size > len(rest):
        raise Problem(Kind.BAD_REQUEST, f"'{name}' says {size} bytes, and {len(rest)} are left")
    elif size % dtype.itemsize:
        raise Problem(Kind.BAD_REQUEST, f"'{name}' says {size} bytes; a number has {dtype.itemsize}")
    else:
        values, rest = np.frombuffer(rest[:size], dtype=dtype), rest[size:]
    count = math.prod(tensor.shape)
    if count != len(values):
        raise Problem(Kind.BAD_REQUEST, f"'{name}' holds {len(values)} values, its shape {count}")
    return values.reshape(tensor.shape), rest


def write_tensors(
    values: Mapping[str, tuple[str, Array]], request: InferRequest
) -> tuple[list[OutputTensor], bytes]:
    """Write outputs, given as name -> (datatype, array), as requested; return JSON and the bytes behind it."""
    outputs, tail = [], []
    for name, (datatype, array) in values.items():
        data, parameters = None, None
        if request.is_binary(name):
            if datatype == "BYTES":  # each element behind its length
                content = b"".join(len(value).to_bytes(4, "little") + value for value in array)
            else:
                content = np.ascontiguousarray(array).tobytes()
            parameters = InputParameters(len(content))
            tail.append(content)
        elif datatype == "BYTES":
            data = [value.decode() for value in array]
        else:
            data = [round(v, 7) if datatype == "FP32" else v for v in array.reshape(-1).tolist()]
        outputs.append(OutputTensor(name, datatype, list(array.shape), data, parameters))
    return outputs, b"".join(tail)
