"""Preparation: how images become a data set, from `images`, `labels`, `splits` and `cases` of a search space."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from medray.config import LARGEST_SIDE
from medray.errors import ConfigError, unknown_choice_line
from medray.space.cases_section import Cases, read_cases
from medray.tasks import ORDERED, SEVERAL, SINGLE

ASPECTS = STRETCHED, PADDED, LESION = ("stretch", "pad", "lesion")
FAIL, DROP, FIRST, KEEP, NONE = "fail", "drop", "first", "keep", "none"


@dataclass(frozen=True)
class Images:
    """What is done to the images; `unreadable`, `missing` and `two_valued` are about files.

    `image_size` is (height, width); without it all images must have one size. `aspect` is stretch, pad,
    or lesion: cropped to the dark spot of a photograph of skin, then padded. `channels` are 1 or 3; without it
    grey images stay grey, and one coloured image makes all of them coloured.
    `unreadable` files, and `missing` ones that a table names, are fail (an error) or drop (left out). `two_valued`
    images among others are masks: fail, drop or keep; images of one value are dropped with them, and drawings that
    are all two-valued are kept in any case.
    """

    image_size: tuple[int, int] | None = None
    aspect: str = STRETCHED
    channels: int | None = None
    unreadable: str = FAIL
    missing: str = FAIL
    two_valued: str = FAIL


@dataclass(frozen=True)
class Labels:
    """What is done to images with a `blank` label (fail or drop), with `multiple` ones (fail, drop or first).

    With `task: several` a `blank` label may be none, too, for an image without labels, and the label `none` means
    the same; `multiple` has no meaning there.

    A class of fewer than `min_count` images is left out, and so are those that `leave_out` names. Before all that,
    the classes in each list of `merge` become one class with the list's name. `order` names all classes that are
    grades, from the lowest on; empty where their names say it.
    """

    blank: str = FAIL
    multiple: str = FAIL
    min_count: int = 1
    merge: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    none: str | None = None
    leave_out: tuple[str, ...] = ()
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shares:
    """The shares of the images that become val and test where the source names no splits.

    `calibration` is the share of the training images that is kept aside to set temperature, thresholds and sets
    on: None for one by the number of images (`medray.data.calibration_split`), 0 for none.
    """

    val: float = 0.15
    test: float = 0.15
    calibration: float | None = None


#: key -> the values it may have, of keys with a few choices.
CHOICES: dict[str, tuple[Any, ...]] = {
    "images.aspect": ASPECTS,
    "images.channels": (None, 1, 3),
    "images.unreadable": (FAIL, DROP),
    "images.missing": (FAIL, DROP),
    "images.two_valued": (FAIL, DROP, KEEP),
    "labels.blank": (FAIL, DROP, NONE),
    "labels.multiple": (FAIL, DROP, FIRST),
}


@dataclass(frozen=True)
class Preparation:
    """All sections, and the `task` that the images are for, a name in `medray.tasks.TASKS`.

    `cases` is None where each image is answered by itself. `longest` is the longer side, in pixels, that images
    have at most where `images` has no `image_size`: the largest that a training of the space sees; None for any.
    """

    images: Images = Images()
    labels: Labels = Labels()
    splits: Shares = Shares()
    task: str = SINGLE.name
    cases: Cases | None = None
    longest: int | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], task: str = SINGLE.name) -> "Preparation":
        """Build from the sections of a search space, each of which may be missing.

        Raises:
            ConfigError: a key or value is not allowed; the key is named.
        """
        sections = {
            name: _with_known_keys(name, values.get(name, {}), kind)
            for name, kind in (("images", Images), ("labels", Labels), ("splits", Shares))
        }
        images, labels, splits = sections.values()
        for key, allowed in CHOICES.items():
            section, _, name = key.partition(".")
            value = sections[section].get(name, allowed[0])
            if value not in allowed or isinstance(value, bool):
                words = ["null" if choice is None else str(choice) for choice in allowed]
                raise ConfigError(unknown_choice_line("value", str(value), words), key=key)
        if "image_size" in images:
            images["image_size"] = _size(images["image_size"])
        elif images.get("aspect") == LESION:
            raise ConfigError(
                "lesion leaves images of all sizes: say by image_size which one they get", key="images.aspect"
            )
        min_count = labels.get("min_count", 1)
        if type(min_count) is not int or min_count < 1:
            raise ConfigError(f"{min_count!r} is not a whole number of 1 or more", key="labels.min_count")
        if "merge" in labels:
            labels["merge"] = _merge(labels["merge"])
        if labels.get("none") is not None:
            labels["none"] = _class_name("labels.none", labels["none"])
        for key, example in (("order", "[none, mild, severe]"), ("leave_out", "[unknown]")):
            if key in labels:
                labels[key] = _class_names(f"labels.{key}", labels[key], example)
        for name, share in splits.items():
            is_number = isinstance(share, int | float) and not isinstance(share, bool)
            if name == "calibration" and (share is None or (is_number and share == 0)):
                continue
            if not is_number or not 0 < share < 1:
                raise ConfigError(f"{share!r} is not a share above 0 and below 1", key=f"splits.{name}")
        shares = Shares(**splits)
        if shares.val + shares.test >= 1:
            raise ConfigError("val and test together leave nothing to train on", key="splits")
        for key, value, needed in (
            ("order", labels.get("order"), ORDERED.name),
            ("none", labels.get("none"), SEVERAL.name),
            ("blank", labels.get("blank") == NONE, SEVERAL.name),
        ):
            if value and task != needed:
                raise ConfigError(f"is of `task: {needed}`", key=f"labels.{key}")
        if task == SEVERAL.name and "multiple" in labels:
            raise ConfigError("`task: several` takes all labels of an image", key="labels.multiple")
        cases = read_cases(values["cases"], task) if "cases" in values else None
        return cls(Images(**images), Labels(**labels), shares, task, cases)


def _with_known_keys(name: str, section: object, kind: type) -> dict[str, Any]:
    if not isinstance(section, Mapping):
        raise ConfigError(f"{section!r} is not a section of keys and values", key=name)
    names = [valid.name for valid in fields(kind)]
    for key in section:
        if key not in names:
            raise ConfigError(unknown_choice_line("key", str(key), names), key=f"{name}.{key}")
    return dict(section)


def _merge(section: object) -> dict[str, tuple[str, ...]]:
    """Return a name for each list of classes; no class is in two lists."""
    if not isinstance(section, Mapping):
        problem = f"{section!r} is not a section of names, each with a list of classes"
        raise ConfigError(problem, key="labels.merge")
    merged_into: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for given_name, parts in section.items():
        name = _class_name(f"labels.merge.{given_name}", given_name)
        key = f"labels.merge.{name}"
        if name in lists:
            raise ConfigError("the name is there twice", key=key)
        if not isinstance(parts, list | tuple) or not parts:
            raise ConfigError(f"{parts!r} is not a list of classes, such as [a, b]", key=key)
        lists[name] = tuple(_class_name(key, part) for part in parts)
        for part in lists[name]:
            if part in merged_into:
                other = merged_into[part]
                problem = "there twice" if other == name else f"merged into '{other}' too"
                raise ConfigError(f"class '{part}' is {problem}", key=key)
            merged_into[part] = name
    return lists


def _class_names(key: str, section: object, example: str) -> tuple[str, ...]:
    """Return a list of classes, each once."""
    if not isinstance(section, list | tuple) or not section:
        raise ConfigError(f"{section!r} is not a list of classes, such as {example}", key=key)
    names = tuple(_class_name(key, name) for name in section)
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"class '{name}' is there twice", key=key)
    return names


def _class_name(key: str, value: object) -> str:
    """Return the name of a class: text, or a whole number."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if type(value) is int:
        return str(value)
    raise ConfigError(f"YAML reads {value!r}, which is no name of a class; write it in quotes", key=key)


def _size(value: object) -> tuple[int, int] | None:
    """Return (height, width) of one number for both sides, or of [height, width]."""
    if value is None:
        return None
    sides = [value, value] if type(value) is int else value
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise ConfigError(f"{value!r} is neither a number of pixels nor [height, width]", key="images.image_size")
    if not all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in sides):
        raise ConfigError(f"{value!r}; a side has 1 to {LARGEST_SIDE} pixels", key="images.image_size")
    height, width = sides
    return height, width
