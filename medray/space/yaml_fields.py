"""YAML read with each key once, and checks that all sections of a search space share.

An error names the key that the check knows; `at` puts the keys of the sections around it in front.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from medray.config import SETTINGS, Setting
from medray.errors import ConfigError, unknown_choice_line
from medray.files import expanded


class UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice; YAML itself would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys are scalars, each written once."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


@contextlib.contextmanager
def at(key: object) -> Iterator[None]:
    """Put `key` in front of the key of a ConfigError that is raised inside; `[2]` for an item of a list."""
    try:
        yield
    except ConfigError as error:
        raise error.within(key=str(key)) from None


def load_yaml(text: str) -> dict[str, Any]:
    """Return the mapping that a YAML text holds.

    Raises:
        ConfigError: it is no YAML, or no mapping.
    """
    try:
        return mapping(yaml.load(text, Loader=UniqueKeys))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{position}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date or number
        raise ConfigError("not YAML: " + " ".join(str(error).split())) from None


def mapping(value: object) -> dict[str, Any]:
    """Return `value` if it is a mapping."""
    if not isinstance(value, dict):
        raise ConfigError(f"must be a table of `key: value`, not {value!r}")
    return value


@contextlib.contextmanager
def subsection(section: Mapping[str, Any], key: str, *, needed: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the mapping at `key`, in front of whose keys errors inside name `key`; {} for none if not `needed`."""
    with at(key):
        yield {} if section.get(key) is None and not needed else mapping(section[key])


def check_keys(
    section: Mapping[Any, Any], valid: Sequence[str] | Mapping[str, Any], needed: Sequence[str] = ()
) -> None:
    """Check that a section has only `valid` keys, and all that are `needed`."""
    for key in section:
        if key not in valid:
            raise ConfigError(unknown_choice_line("key", key, valid), key=str(key))
    for key in needed:
        if key not in section:
            raise ConfigError(f"lacks '{key}'")


def check_fields(section: Mapping[str, Any], fields: Mapping[str, Setting], needed: Sequence[str] = ()) -> Any:
    """Return a section whose keys are `fields`, each value checked."""
    check_keys(section, fields, needed)
    return {key: check_field(key, fields[key], value) for key, value in section.items()}


def check_field(key: str, setting: Setting, value: object) -> Any:
    """Return `value` as the setting's type."""
    with at(key):
        return setting.check(value)


def check_setting_name(name: object) -> None:
    """Check that `name` is a setting of TrainConfig."""
    if name not in SETTINGS:
        raise ConfigError(unknown_choice_line("setting", name, SETTINGS))
    if name == "task":
        raise ConfigError("the task is one of the whole file: write it at the top, as `task: ordered`")


def check_value(name: str, value: object, transforms: Mapping[str, Any]) -> Any:
    """Return a value of the setting `name`; `transforms` are the pipelines by name."""
    value = SETTINGS[name].check(value)
    if name == "transforms" and value not in transforms:
        raise ConfigError(unknown_choice_line("pipeline", value, transforms))
    if name == "weights" and value is not None:
        return str(expanded(str(value)).absolute())  # workers have a working directory of their own
    return value
