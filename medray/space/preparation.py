"""Preparation: how images become a data set; `images`, `labels` and `splits` of a search space."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from medray.errors import ConfigError, unknown_choice_line

ASPECTS = STRETCHED, PADDED, LESION = ("stretch", "pad", "lesion")
FAIL, DROP, FIRST = "fail", "drop", "first"
LARGEST = 4096  # pixels of a side


@dataclass(frozen=True)
class Images:
    """What is done to the images; `unreadable` and `missing` are of files.

    `image_size` is (height, width); without it all images must have one size. `aspect` is stretch, pad,
    or lesion: cut to the dark spot of a photograph of skin, then padded. `channels` are 1 or 3; without it grey
    images stay grey, and one image of colours makes all of them coloured.
    `unreadable` files and `missing` ones, which a table names, are fail or drop.
    """

    image_size: tuple[int, int] | None = None
    aspect: str = STRETCHED
    channels: int | None = None
    unreadable: str = FAIL
    missing: str = FAIL


@dataclass(frozen=True)
class Labels:
    """What becomes of `blank` labels (fail or drop), of `multiple` ones (fail, drop or first) and of rare classes.

    A class of fewer than `min_count` images is left out. Before all that, the classes in each list of `merge`
    become one, of the name that the list has.
    """

    blank: str = FAIL
    multiple: str = FAIL
    min_count: int = 1
    merge: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Shares:
    """The shares of the images that become val and test where the source does not say which do."""

    val: float = 0.15
    test: float = 0.15


@dataclass(frozen=True)
class Preparation:
    """All three sections."""

    images: Images = Images()
    labels: Labels = Labels()
    splits: Shares = Shares()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preparation":
        """Build from the sections of a search space, of which each may be missing.

        Raises:
            ConfigError: a key or value is not allowed; the line begins with the key.
        """
        images, labels, splits = (
            _known(name, values.get(name, {}), kind)
            for name, kind in (("images", Images), ("labels", Labels), ("splits", Shares))
        )
        if "image_size" in images:
            images["image_size"] = _size(images["image_size"])
        _among("images.aspect", images, ASPECTS)
        if images.get("aspect") == LESION and "image_size" not in images:
            raise ConfigError(
                "images.aspect: lesion leaves images of all sizes: say by image_size which one they get"
            )
        _among("images.channels", images, (None, 1, 3))
        for key in ("images.unreadable", "images.missing"):
            _among(key, images, (FAIL, DROP))
        _among("labels.blank", labels, (FAIL, DROP))
        _among("labels.multiple", labels, (FAIL, DROP, FIRST))
        least = labels.get("min_count", 1)
        if type(least) is not int or least < 1:
            raise ConfigError(f"labels.min_count: {least!r} is not a whole number of 1 or more")
        if "merge" in labels:
            labels["merge"] = _merge(labels["merge"])
        for key, share in splits.items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
                raise ConfigError(f"splits.{key}: {share!r} is not a share above 0 and below 1")
        if sum(asdict(Shares(**splits)).values()) >= 1:
            raise ConfigError("splits: val and test together leave nothing to train on")
        return cls(Images(**images), Labels(**labels), Shares(**splits))


def _known(name: str, section: object, kind: type) -> dict[str, Any]:
    if not isinstance(section, Mapping):
        raise ConfigError(f"{name}: {section!r} is not a section of keys and values")
    names = [own.name for own in fields(kind)]
    for key in section:
        if key not in names:
            raise ConfigError(f"{name}.{key}: {unknown_choice_line('key', str(key), names)}")
    return dict(section)


def _merge(section: object) -> dict[str, tuple[str, ...]]:
    """A name for each list of classes; none of these in two lists."""
    if not isinstance(section, Mapping):
        raise ConfigError(f"labels.merge: {section!r} is not a section of names, each with a list of classes")
    taken: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for key, parts in section.items():
        name = _class(f"labels.merge.{key}", key)
        if name in lists:
            raise ConfigError(f"labels.merge.{name}: the name is there twice")
        if not isinstance(parts, list | tuple) or not parts:
            raise ConfigError(f"labels.merge.{name}: {parts!r} is not a list of classes, such as [a, b]")
        lists[name] = tuple(_class(f"labels.merge.{name}", part) for part in parts)
        for part in lists[name]:
            if part in taken:
                twice = f"merged into '{taken[part]}' too" if taken[part] != name else "there twice"
                raise ConfigError(f"labels.merge.{name}: class '{part}' is {twice}")
            taken[part] = name
    return lists


def _class(key: str, value: object) -> str:
    """The name of a class: words, or a whole number."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if type(value) is int:
        return str(value)
    raise ConfigError(f"{key}: YAML reads {value!r}, which is no name of a class; write it in quotes")


def _size(value: object) -> tuple[int, int] | None:
    """One number for both sides, or [height, width]."""
    if value is None:
        return None
    sides = [value, value] if type(value) is int else value
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise ConfigError(f"images.image_size: {value!r} is neither a number of pixels nor [height, width]")
    if not all(type(side) is int and 1 <= side <= LARGEST for side in sides):
        raise ConfigError(f"images.image_size: {value!r}; a side has 1 to {LARGEST} pixels")
    height, width = sides
    return height, width


def _among(key: str, section: Mapping[str, Any], allowed: tuple[Any, ...]) -> None:
    name = key.partition(".")[2]
    if name in section and (section[name] not in allowed or isinstance(section[name], bool)):
        words = ["null" if value is None else str(value) for value in allowed]
        raise ConfigError(f"{key}: {unknown_choice_line('value', str(section[name]), words)}")
