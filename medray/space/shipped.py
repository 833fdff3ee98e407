"""The search spaces that ship with medray: inside the wheel, or beside the package in a checkout."""

from pathlib import Path

from medray.errors import ConfigError, not_found_line, unknown_choice_line
from medray.files import file_exists


def shipped_folder() -> Path:
    """Return the folder of the shipped search spaces."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def shipped_spaces() -> list[str]:
    """Return the names of the search spaces that ship with medray."""
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def find_space(name_or_path: str) -> Path:
    """Return the file of a search space, by name or path.

    Raises:
        ConfigError: there is none.
    """
    if name_or_path in shipped_spaces():
        return shipped_folder() / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if file_exists(path):
            return path
        raise ConfigError(not_found_line("file", path))
    message = unknown_choice_line("search space", name_or_path, shipped_spaces())
    raise ConfigError(f"{message}; or give the path of a .yaml file")
