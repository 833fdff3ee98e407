"""Find MedMNIST's files on this machine, or download them.

A copy in `$MEDRAY_DATA` or in medmnist's own folder is used without a network. Every copy's MD5 is compared
with the one that the medmnist package states.
"""

import contextlib
import hashlib
import importlib.util
import io
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from medray.errors import DataError, unknown_choice_line
from medray.files import expanded

SIZES = ("28", "64", "128", "224")
FLAT_SETS = (
    "bloodmnist", "breastmnist", "chestmnist", "dermamnist", "octmnist", "organamnist", "organcmnist",
    "organsmnist", "pathmnist", "pneumoniamnist", "retinamnist", "tissuemnist",
)  # fmt: skip
MULTI_LABEL = ("chestmnist",)


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    """Return the package's table of sets, from its file: `import medmnist` loads torchvision and more (10 s)."""
    package = importlib.util.find_spec("medmnist")
    if package is None or not package.submodule_search_locations:
        raise DataError("the package medmnist is not installed: `uv pip install medmnist`")
    path = Path(package.submodule_search_locations[0]) / "info.py"
    spec = importlib.util.spec_from_file_location("_medmnist_info", path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path} can't be read: `uv pip install --reinstall medmnist`")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table: Mapping[str, Mapping[str, Any]] = module.INFO
    return table


def class_names(name: str) -> tuple[str, ...]:
    """Return the class names of a set, in the order of its labels."""
    labels = _table()[name]["label"]
    return tuple(labels[key] for key in sorted(labels, key=int))


def folders() -> list[Path]:
    """Return the folders in which copies are looked for; a download goes to the first."""
    data = os.environ.get("MEDRAY_DATA")
    return [*([expanded(data)] if data else []), expanded("~/.medmnist")]


def locate(name: str, size: str = "28") -> Path:
    """Return the file of a set, downloading it where there is no copy.

    Raises:
        DataError: no such set or size, a copy of another content, or no copy and no network.
    """
    if name not in FLAT_SETS:
        raise DataError(unknown_choice_line("2-D MedMNIST set", name, FLAT_SETS))
    if size not in SIZES:
        raise DataError(f"medmnist:{name} has no size '{size}'; valid: {', '.join(SIZES)}")
    suffix = "" if size == "28" else f"_{size}"
    for folder in folders():
        path = folder / f"{name}{suffix}.npz"
        if path.is_file():
            return _verified(path, str(_table()[name][f"MD5{suffix}"]))
    return download(name, int(size), suffix)


def _verified(path: Path, md5: str) -> Path:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if digest != md5:
        raise DataError(
            f"{path}: its MD5 is {digest}, MedMNIST's file has {md5}: delete it, or give the path as --data to "
            "use it as it is"
        )
    return path


def download(name: str, size: int, suffix: str) -> Path:
    """Let the medmnist package download the file of a set, whose name ends in `suffix`; DataError if it can't."""
    folder = folders()[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(io.StringIO()):  # its progress bar goes to stderr
            import medmnist

            dataset = getattr(medmnist, medmnist.INFO[name]["python_class"])
            dataset(split="val", download=True, size=size, root=str(folder))
    except (OSError, RuntimeError) as error:
        targets = " or ".join(map(str, folders()))
        reason = f" ({error})" if isinstance(error, OSError) else ""
        raise DataError(
            f"medmnist:{name} is not on this machine and can't be downloaded{reason}: put {name}{suffix}.npz "
            f"into {targets}, or use --data phantom"
        ) from None
    return _verified(folder / f"{name}{suffix}.npz", str(_table()[name][f"MD5{suffix}"]))
