"""The commands that the pages and the help show, and a folder in which each of them has what it needs."""

import contextlib
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import numpy as np
from PIL import Image

from medray.cli.main import COMMANDS
from medray.data.load_data import load_data
from tests.conftest import CLASSES
from tests.data.recipe_page import lay_out, read_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = re.compile(r"(?:^|\s)(?:python -m medray\.|medray )(?=[a-z])")
CLASS_NAMES = ("liver", "malignant", "melanoma")  # that the examples speak of
assert len(CLASS_NAMES) == CLASSES


@dataclass(frozen=True)
class Example:
    """One command of ours as a page or a help text shows it, without the word `medray`."""

    where: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return f"{self.where}: medray {shlex.join(self.words)}"


def command_of(words: tuple[str, ...]) -> tuple[click.Command, list[str]]:
    """The command that is named, and its arguments."""
    command: click.Command = getattr(import_module(COMMANDS[words[0]][0]), words[0])
    rest = list(words[1:])
    while rest and isinstance(command, click.Group):
        default = command.commands.get("start")  # of `medray serve RUN`
        command = default if default and rest[0] not in command.commands else command.commands[rest.pop(0)]
    return command, rest


def on_pages() -> Iterator[Example]:
    for page in PAGES:
        if page.name == "commands.md":
            continue  # the help, whose examples come by themselves
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL):
            yield from _read(page.name, block)


def in_help() -> Iterator[Example]:
    for command in _commands(*(command_of((name,))[0] for name in COMMANDS)):
        yield from _read(f"{command.name} --help", command.epilog or "")


def _commands(*found: click.Command) -> Iterator[click.Command]:
    for command in found:
        yield command
        if isinstance(command, click.Group):
            yield from _commands(*command.commands.values())


def _read(where: str, text: str) -> Iterator[Example]:
    for line in re.sub(r" *\\\n *", " ", text).splitlines():
        if match := OURS.search(line):
            yield Example(where, tuple(shlex.split(line[match.end() :], comments=True)))


def furnish(home: Path, npz: Path) -> None:
    """Lay out the images and tables that the examples name; `npz` has the classes of `CLASS_NAMES`."""
    with np.load(npz) as arrays:
        images, labels = arrays["train_images"], arrays["train_labels"][:, 0]
    for folder in ("films", "scans", "data/films", "data/covid", "test"):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            kind = home / folder / CLASS_NAMES[label]
            kind.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).resize((24, 24)).save(kind / f"{number}.png")
    for folder in ("cells", "data/bloodcells"):
        (home / folder).mkdir(parents=True)
        rows = ["file,dx"]
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image).save(home / folder / f"{number}.png")
            rows.append(f"{number}.png,{CLASS_NAMES[label]}")
        (home / folder / "labels.csv").write_text("\n".join(rows))
    elsewhere = [f"cells/{number}.png,{CLASS_NAMES[label]}" for number, label in enumerate(labels)]
    (home / "other.csv").write_text("\n".join(["file,dx", *elsewhere]))  # of another hospital
    for name in ("images", "breastmnist", "organs"):
        shutil.copy(npz, home / f"{name}.npz")
    for name in ("lesion.jpg", "image.png", "a.png"):
        Image.fromarray(images[0]).save(home / name)
    for section in read_page().values():  # of recipes.md
        with contextlib.chdir(home):
            lay_out(section, home)
    for name, size in (("organsmnist", 28), ("organsmnist_64", 64)):
        write_organs(home / f"{name}.npz", size)


def write_organs(path: Path, size: int) -> None:
    """Write a file as the medmnist package leaves it."""
    drawn, arrays = load_data(f"phantom:organs?images=400&size={size}"), {}
    for name, positions in drawn.splits.items():
        arrays[f"{name}_images"] = drawn.images[positions, :, :, 0]
        arrays[f"{name}_labels"] = drawn.labels[positions, None]
    np.savez(path, **arrays)
