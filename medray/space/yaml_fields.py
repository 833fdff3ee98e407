"""Checks that name the file and the key: what every reader of a part of the file stands on."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from medray.config import SETTINGS, Setting
from medray.errors import ConfigError, unknown_choice_line
from medray.files import expanded

NOT_SEARCHED = ("seed", "epochs", "monitor")  # of the command, the budget and the objective


class UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, which YAML would silently let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys are words, each once."""
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


class Checks:
    """The text of one file as a tree of plain values, and checks of it."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.root = self._mapping("", self._yaml(text))

    def fail(self, key: str, what: str) -> ConfigError:
        """Make the error that names the file, the key and what is wrong with it."""
        return ConfigError(f"{self.path}: {key}: {what}" if key else f"{self.path}: {what}")

    def _yaml(self, text: str) -> object:
        try:
            return yaml.load(text, Loader=UniqueKeys)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            raise self.fail("", f"{where}{error.problem or error.context}") from None
        except (yaml.YAMLError, ValueError) as error:  # a ValueError of a date or a number that is none
            raise self.fail("", "not YAML: " + " ".join(str(error).split())) from None

    def _value(self, key: str, name: str, value: object, transforms: Mapping[str, Any]) -> Any:
        value = self._check(key, SETTINGS[name], value)
        if name == "transforms" and value not in transforms:
            raise self.fail(key, unknown_choice_line("pipeline", value, transforms))
        if name == "weights" and value is not None:
            return str(expanded(str(value)).absolute())  # workers have a folder of their own
        return value

    def _check(self, key: str, setting: Setting, value: object) -> Any:
        try:
            return setting.check(value)
        except ConfigError as error:
            raise self.fail(key, str(error)) from None

    def _known_setting(self, key: str, name: object) -> None:
        if name not in SETTINGS:
            raise self.fail(key, unknown_choice_line("setting", name, SETTINGS))

    def _known_keys(
        self, key: str, section: Mapping[Any, Any], valid: Sequence[str] | Mapping[str, Any],
        needed: Sequence[str] = (),
    ) -> None:  # fmt: skip
        for word in section:
            if word not in valid:
                raise self.fail(f"{key}.{word}" if key else str(word), unknown_choice_line("key", word, valid))
        for word in needed:
            if word not in section:
                raise self.fail(key, f"lacks '{word}'")

    def _section(self, key: str) -> dict[str, Any]:
        """A section that may be left out, or left empty."""
        value = self.root.get(key)
        return {} if value is None else self._mapping(key, value)

    def _mapping(self, key: str, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(key, f"must be a table of `key: value`, not {value!r}")
        return value
