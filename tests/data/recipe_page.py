"""docs/recipes.md taken apart: what each section shows of a data set, and the folder in which its lines run."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.data.decoding.file_samples import noise
from tests.data.recipe_trees import TREES

PAGE = Path(__file__).resolve().parents[2] / "docs/recipes.md"
SOURCE = re.compile(r"(?:csv|folder|dicom):|\.npz$")


@dataclass(frozen=True)
class Section:
    """The blocks of a section in their order, each with its kind: text, python, bash or yaml."""

    name: str
    blocks: tuple[tuple[str, str], ...]

    def of_kind(self, kind: str) -> list[str]:
        return [text for block_kind, text in self.blocks if block_kind == kind]

    def files(self) -> Iterator[tuple[str, str]]:
        """The files of the tree, each with what the page says behind it."""
        for line in "".join(self.of_kind("text")).splitlines():
            path, _, rest = line.partition("  ")
            yield path, rest

    def sources(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The sources as a shell reads them, each with the YAML that stands below its block, once for each."""
        for position, (kind, text) in enumerate(self.blocks):
            if kind != "bash":
                continue
            below = []
            for later_kind, later in self.blocks[position + 1 :]:
                if later_kind != "yaml":
                    break
                below.append(yaml.safe_load(later))
            for line in text.splitlines():
                (source,) = (word for word in shlex.split(line) if SOURCE.search(word))
                yield from ((source, sections) for sections in below or [{}])


def read_page() -> dict[str, Section]:
    """The sections by their names."""
    sections = re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return {
        name: Section(name, tuple(re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)))
        for name, text in sections
    }


def lay_out(section: Section, home: Path) -> None:
    """Make the tree of a section in the current folder `home`, and run the page's lines of Python there."""
    TREES[section.name](home)
    for code in section.of_kind("python"):
        compiled = compile(code, f"docs/recipes.md, {section.name}", "exec")
        if "import h5py" not in code or importlib.util.find_spec("h5py"):
            exec(compiled, {})
        else:
            write_patches(home / "pcam/pcam.npz")


def write_patches(path: Path) -> None:
    """Write what the lines of PatchCamelyon make of its files, where h5py is not there to read them."""
    arrays: dict[str, Any] = {"class_names": ["normal", "tumor"]}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.stack([noise(96, 96, 3, seed=100 * len(split) + n) for n in range(12)])
        arrays[f"{split}_labels"] = np.arange(12, dtype=np.uint8) % 2
        arrays[f"{split}_groups"] = np.array([f"camelyon16_{split}_{n // 3:03d}" for n in range(12)])
    np.savez(path, **arrays)
