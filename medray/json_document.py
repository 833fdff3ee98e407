"""JsonDocument: a frozen dataclass that is read from JSON by its annotations, each field and type checked."""

import dataclasses
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from medray.errors import MedrayError, RunError, unknown_choice_line

JSON_TYPES = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list",
    dict: "a mapping",
}  # fmt: skip


class JsonDocument:
    """Base class of the frozen dataclasses that stand for a JSON object.

    Fields are annotated with str, int, float, bool, Any, another JsonDocument, `Literal["a", "b"]`, `X | None`,
    `tuple[X, ...]`, `tuple[X, Y]` or `dict[str, X]`. A tuple is a list in JSON; NaN and infinity are no numbers.
    """

    @classmethod
    def from_dict(cls, content: object, file: str | None = None) -> Self:
        """Return the document that `content`, as the json module gives it, holds.

        Raises:
            RunError: a field is missing, unknown or of another type, or fields contradict one another; the error
                names the field, and `file` if given.
        """
        try:
            document: Self = _read(cls, content)
        except RunError as error:
            raise error.within(file=file) from None
        return document

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold, as `from_dict` takes them."""
        values: dict[str, Any] = _plain(self)
        return values

    def check(self) -> None:
        """Check what types can't say; `from_dict` calls it.

        Raises:
            ValueError: the values contradict one another or are out of range.
            MedrayError: likewise.
        """


def _types(document: type[JsonDocument]) -> dict[str, Any]:
    hints = get_type_hints(document)
    return {field.name: hints[field.name] for field in dataclasses.fields(document)}  # type: ignore[arg-type]


def _read(expected: Any, value: object) -> Any:
    """Return a value of JSON as the annotation `expected` has it."""
    origin, args = get_origin(expected), get_args(expected)
    if expected is Any:
        return value
    if origin is UnionType:
        return None if value is None and NoneType in args else _read(args[0], value)
    if origin is Literal:
        if value not in args:
            raise RunError(f"damaged: {value!r:.40} is not one of {', '.join(args)}")
        return value
    if origin is tuple:
        items = _of_type(list, value)
        types = [args[0]] * len(items) if args[-1] is Ellipsis else args
        if len(types) != len(items):
            raise RunError(f"damaged: {len(items)} values, not {len(types)}")
        return tuple(
            _read_at(f"[{i}]", type_, item) for i, (type_, item) in enumerate(zip(types, items, strict=True))
        )
    if origin is dict:
        return {name: _read_at(name, args[1], item) for name, item in _of_type(dict, value).items()}
    if isinstance(expected, type) and issubclass(expected, JsonDocument):
        return _read_document(expected, _of_type(dict, value))
    return _of_type(expected, value)


def _read_document(document: type[JsonDocument], content: Mapping[str, object]) -> JsonDocument:
    types = _types(document)
    for name in content:
        if name not in types:
            raise RunError(f"damaged: {unknown_choice_line('field', name, types)}")
    for name in types:
        if name not in content:
            raise RunError(f"damaged: it has no '{name}'")
    values = {name: _read_at(name, type_, content[name]) for name, type_ in types.items()}
    try:
        read = document(**values)
        read.check()
    except (MedrayError, ValueError) as error:
        raise RunError(f"damaged: {error}") from None
    return read


def _read_at(key: str, expected: Any, value: object) -> Any:
    try:
        return _read(expected, value)
    except RunError as error:
        raise error.within(key=key) from None


def _of_type(expected: type, value: object) -> Any:
    """Return `value` if it is of a JSON type: a bool is no number, a whole number may stand for a float."""
    if expected is float and type(value) is int and abs(value) < 2**1023:
        value = float(value)
    if type(value) is not expected or (isinstance(value, float) and not math.isfinite(value)):
        raise RunError(f"damaged: {value!r:.40} is not {JSON_TYPES[expected]}")
    return value


def _plain(value: Any) -> Any:
    """Return a document, or a value of one of its fields, as the json module would read it back."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
