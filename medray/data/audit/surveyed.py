"""Survey: what the images of a source are, each read once; Profile and Audit are made of it."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from medray.data.audit.hashing import hashes, spectra
from medray.data.audit.measures import THUMBNAIL, Measures
from medray.data.dataset import Array
from medray.errors import DataError


@dataclass(frozen=True)
class Survey:
    """The n images of a source: what it says of them, and what was measured.

    `names`, `labels`, `splits` and `patients` are of each image, as in ListedImage; `class_names` are all classes,
    those without an image too. `folds`, `missing`, `ignored`, `notes` and `rows` are the listing's; `files` is
    whether the images are files of their own.
    """

    source: str
    files: bool
    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    splits: tuple[str | None, ...]
    patients: tuple[str | None, ...]
    class_names: tuple[str, ...]
    measures: Measures
    folds: tuple[tuple[Array, Array], ...] | None = None
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that the source names, in the order in which they come."""
        return tuple(name for name in dict.fromkeys(self.splits) if name is not None)

    def in_split(self, name: str | None) -> Array:
        """Which images are of a split, bool (n,)."""
        return np.array([own == name for own in self.splits], dtype=bool)

    def classes(self) -> Array:
        """The class of each image by its number in `class_names`, int64 (n,); -1 where it has not one label."""
        number = {name: place for place, name in enumerate(self.class_names)}
        return np.array([number[own[0]] if len(own) == 1 else -1 for own in self.labels], dtype=np.int64)

    @cached_property
    def hashes(self) -> Array:
        """The perceptual hash of each image, uint64 (n,); alike images differ in few bits."""
        upright: Array = hashes(spectra(self.measures.thumbnail))[0]
        return upright

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a JSON file; thumbnails as one text."""
        values = {own.name: getattr(self, own.name) for own in fields(self)}
        values |= {name: list(values[name]) for name in _LISTS}
        values["labels"] = [list(own) for own in self.labels]
        values["rows"] = dict(self.rows)
        if self.folds is not None:
            values["folds"] = [[part.tolist() for part in fold] for fold in self.folds]
        columns = {own.name: getattr(self.measures, own.name) for own in fields(Measures)}
        packed = base64.b64encode(zlib.compress(columns["thumbnail"].tobytes(), 1)).decode()
        plain = {name: _plain(column) for name, column in columns.items() if name != "thumbnail"}
        return values | {"measures": plain | {"thumbnail": packed}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Survey":
        """Read what `to_dict` gave.

        Raises:
            DataError: it is damaged.
        """
        try:
            read = dict(values) | {name: tuple(values[name]) for name in _LISTS}
            read["labels"] = tuple(tuple(own) for own in values["labels"])
            if values["folds"] is not None:
                read["folds"] = tuple(
                    (np.array(train, np.int64), np.array(val, np.int64)) for train, val in values["folds"]
                )
            return cls(**(read | {"measures": _measures(values["measures"])}))
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise DataError(f"the survey is damaged: {' '.join(str(error).split())}") from None


_LISTS = ("names", "labels", "splits", "patients", "class_names", "missing", "ignored", "notes")
_TYPES: dict[str, type] = {
    "sha256": str, "format": str, "problem": str, "height": np.int64, "width": np.int64, "channels": np.int64,
    "bits": np.int64, "grey_as_rgb": bool, "brightness": np.float32, "contrast": np.float32,
    "sharpness": np.float32, "tone": np.float32,
}  # fmt: skip


def _plain(column: Array) -> list[Any]:
    """JSON knows no NaN."""
    return [None if value != value else value for value in column.tolist()]


def _measures(values: Mapping[str, Any]) -> Measures:
    columns: dict[str, Any] = {
        name: np.array([np.nan if value is None else value for value in values[name]], dtype=kind)
        for name, kind in _TYPES.items()
    }
    packed = zlib.decompress(base64.b64decode(values["thumbnail"]))
    thumbnail = np.frombuffer(packed, np.uint8).reshape(len(columns["sha256"]), THUMBNAIL, THUMBNAIL)
    return Measures(**columns, thumbnail=thumbnail)
