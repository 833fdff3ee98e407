"""Folder: a folder on this machine's disks or at a URI; writes are atomic.

Reads and writes go through pyarrow.fs, which Ray's storage uses too, so a run may be in a folder or on s3://.
"""

import io
import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.request import url2pathname

import numpy as np

from medray._types import Array
from medray.errors import RunError, unknown_choice_line
from medray.files import expanded, write_file_by
from medray.json_document import JsonDocument
from medray.text import without_secrets

if TYPE_CHECKING:
    from pyarrow import fs

Document = TypeVar("Document", bound=JsonDocument)
SCHEMES = ("abfs", "abfss", "file", "gs", "hdfs", "s3")
#: `key:word@` before a bucket, and `?options` that hold a secret.
CREDENTIALS = re.compile(r"^[^/]*://[^/?]*:[^/?]*@|[?&][^=&]*(?:secret|passw|token|sig|key)[^=&]*=", re.IGNORECASE)


def locate(given: str) -> str:
    """Return a path or URI that a user gives as a location that holds in any folder: paths become absolute.

    Raises:
        RunError: it looks like a URI, but not of a known file system, or with one slash, or with credentials,
            which medray and Ray would write into files and logs.
    """
    scheme, colon, rest = given.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return str(expanded(given).absolute())
    if rest.startswith("//") and scheme not in SCHEMES:
        raise RunError(f"{given}: {unknown_choice_line('file system', scheme, SCHEMES)}, or a path")
    if scheme in SCHEMES and not rest.startswith("//"):
        raise RunError(f"{given}: a URI has two slashes: {scheme}://{rest.lstrip('/')}")
    if rest.startswith("//") and CREDENTIALS.search(given):
        raise RunError(
            f"{without_secrets(given)} was given with credentials, which would get into files and logs: give them "
            "to each node as its file system takes them, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3"
        )
    return given if rest.startswith("//") else str(Path(given).absolute())


#: Locations in object stores that another command has taken over from this process: it writes nothing there.
TAKEN_OVER: set[str] = set()


@dataclass(frozen=True)
class Folder:
    """A folder on any file system; pickles as its location."""

    location: str

    @cached_property
    def _opened(self) -> "tuple[fs.FileSystem, str]":
        from pyarrow import fs

        if self.local is not None:
            return fs.LocalFileSystem(), str(self.local.absolute())
        system, path = fs.FileSystem.from_uri(self.location)
        return system, str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.location,)

    @property
    def local(self) -> Path | None:
        """The folder as a path, or None where it is not on this machine's disks."""
        if self.location.startswith("file://"):
            return Path(url2pathname(self.location.removeprefix("file://")))
        return None if "://" in self.location else Path(self.location)

    def child(self, *names: str) -> "Folder":
        """Return the folder of that name inside this one (before a URI's `?options`)."""
        base, options = self._parts()
        return Folder("/".join([base.rstrip("/"), *names]) + options)

    def path(self, name: str) -> str:
        """Return the path of a file in here, as people read it."""
        return f"{self._parts()[0].rstrip('/')}/{name}"

    @property
    def parent(self) -> "Folder | None":
        """The folder that this one lies in; None in a file system's root, and for a bucket."""
        base, options = self._parts()
        scheme, mark, path = base.rstrip("/").rpartition("://")
        outer = path.rpartition("/")[0]
        return Folder(f"{scheme}{mark}{outer}{options}") if outer else None

    @property
    def public_location(self) -> str:
        """The location without what may be secret in a URI: its `?options`, and `user:password@`."""
        base = self._parts()[0].rstrip("/")
        return base if self.local is not None else without_secrets(base)

    def _parts(self) -> tuple[str, str]:
        """Return the location and a URI's `?options`; a local folder's name may hold a question mark."""
        base, mark, options = self.location.partition("?") if self.local is None else (self.location, "", "")
        return base, mark + options

    def read(self, name: str) -> bytes:
        """Return a file's bytes; FileNotFoundError where there is none."""
        system, root = self._opened
        with system.open_input_file(f"{root}/{name}") as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that readers see the old content or the new, never a part.

        Raises:
            RunError: the folder is in an object store, and another command has taken the run over.
        """
        if self.local is not None:
            write_file_by(self.local / name, lambda path: path.write_bytes(content))
            return
        base = self._parts()[0].rstrip("/")
        if any(f"{base}/".startswith(f"{location}/") for location in TAKEN_OVER):
            raise RunError(f"another command has taken over {self.location}")
        system, root = self._opened
        with system.open_output_stream(f"{root}/{name}") as stream:  # an object store shows only closed files
            stream.write(content)

    def write_by(self, name: str, writer: Callable[[Path], None]) -> None:
        """Write a file as `write` does, by a function that writes to a path: no copy in memory is needed."""
        if self.local is None:
            with tempfile.TemporaryDirectory() as folder:
                writer(Path(folder) / "file")
                self.write(name, (Path(folder) / "file").read_bytes())
            return
        write_file_by(self.local / name, writer)

    def exists(self, name: str) -> bool:
        """Return whether there is a file or folder of that name."""
        from pyarrow import fs

        system, root = self._opened
        return bool(system.get_file_info(f"{root}/{name}").type != fs.FileType.NotFound)

    def names(self, inside: str = "") -> list[str]:
        """Return the names of the files and folders in here, sorted; none where the folder does not exist.

        `inside` is the path of a folder in here whose names are returned instead.
        """
        from pyarrow import fs

        system, root = self._opened
        path = f"{root}/{inside}" if inside else root
        infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
        return sorted(info.base_name for info in infos)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        system, root = self._opened
        if self.exists(name):
            system.delete_file(f"{root}/{name}")

    def read_json(self, name: str) -> Any:
        """Return a JSON file's content.

        Raises:
            RunError: the file is missing or damaged.
        """
        try:
            return json.loads(self.read(name))
        except FileNotFoundError:
            raise RunError(f"{self.path(name)} is missing") from None
        except ValueError as error:
            raise RunError(f"{self.path(name)} is damaged: {error}") from None

    def read_document(self, name: str, document: type[Document]) -> Document:
        """Return a JSON file's content as that dataclass.

        Raises:
            RunError: the file is missing or damaged.
        """
        return document.from_dict(self.read_json(name), self.path(name))

    def write_json(self, name: str, content: Any) -> None:
        """Write plain values as JSON that a person can read."""
        self.write(name, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")


def read_arrays(folder: Folder, file_name: str, *names: str) -> list[Array]:
    """Return the arrays `names` of a .npz file; no code in it is run.

    Raises:
        RunError: the file is missing or damaged, or lacks one of them.
    """
    try:
        with np.load(io.BytesIO(folder.read(file_name)), allow_pickle=False) as file:
            return [file[name] for name in names]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RunError(f"{folder.path(file_name)} can't be read: {' '.join(str(error).split())}") from None
