"""Which class of the run each class of other images is: of the same name, or as `--map THEIRS=OURS` says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medray.errors import ConfigError, DataError, unknown_choice_line
from medray.json_document import JsonDocument
from medray.text import first_names, natural_order, plural

MOST_NAMED = 6


@dataclass(frozen=True)
class MappedClass(JsonDocument):
    """A class of the other images, how many are of it, and the run's class that it is; None if left out."""

    theirs: str
    ours: str | None
    images: int


def parse_map(texts: Sequence[str], class_names: Sequence[str]) -> dict[str, str | None]:
    """Return the run's class by that of the other images, None for a class to leave out, of THEIRS=OURS texts.

    Where a name holds a "=" itself, the right side is the one that is a class of the run.

    Raises:
        ConfigError: a text has another form, names no class of the run, or gives a class of theirs twice.
    """
    class_map: dict[str, str | None] = {}
    for text in texts:
        parts = text.split("=")
        pairs = [("=".join(parts[:at]).strip(), "=".join(parts[at:]).strip()) for at in range(1, len(parts))]
        fitting = [pair for pair in pairs if pair[1] in class_names] or pairs[-1:]
        if not fitting or not fitting[0][0]:
            raise ConfigError(f"--map '{text}' is not THEIRS=OURS, as in 'cancer={class_names[-1]}'")
        theirs, ours = fitting[0]
        if ours and ours not in class_names:
            raise ConfigError(f"--map {text}: {unknown_choice_line('class', ours, class_names)}")
        if theirs in class_map:
            raise ConfigError(f"--map {text}: '{theirs}' is mapped twice; give each class of theirs once")
        class_map[theirs] = ours or None
    return class_map


def map_texts(class_map: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the THEIRS=OURS texts that `parse_map` reads as this map."""
    return tuple(f"{theirs}={ours or ''}" for theirs, ours in class_map.items())


def map_classes(
    counts: Mapping[str, int],
    class_map: Mapping[str, str | None],
    class_names: Sequence[str],
    source: str,
    hint: str = "",
    none: str | None = None,
) -> tuple[MappedClass, ...]:
    """Return what becomes of each class in `counts` (images by their class), in natural order.

    A class that `class_map` does not name keeps its name where the run has it. `hint` ends the line of one that is
    not there. Where images may have several labels, `none` is what one without any is called.

    Raises:
        DataError: `class_map` names a class that is not there, a class is neither the run's nor mapped, or
            fewer than two of the run's are left; of several labels, none.
    """
    for theirs in class_map:
        if theirs not in counts:
            raise DataError(f"{source}: --map: {unknown_choice_line('class', theirs, counts)}{hint}")
    mapped = {name: class_map.get(name, name) for name in natural_order(counts)}
    word, words = ("class", "classes") if none is None else ("label", "labels")
    valid = (*class_names, *([] if none is None else [none]))
    strangers = [theirs for theirs, ours in mapped.items() if ours is not None and ours not in valid]
    if strangers:
        listed = first_names([f"{name} ({counts[name]:,})" for name in strangers], MOST_NAMED)
        first, ours = strangers[0], ", ".join(f"'{name}'" for name in valid)
        raise DataError(
            f"{source}: {words} that the run does not have: {listed}; --map '{first}=OURS' takes it for one of "
            f"{ours}, --map '{first}=' leaves it out"
        )
    left = natural_order({ours for ours in mapped.values() if ours is not None} - {none})
    if len(left) < (2 if none is None else 1):
        raise DataError(
            f"{source}: {plural(len(left), word, words)} of the run left ({', '.join(left) or 'none'}); at least "
            f"{'two are' if none is None else 'one is'} needed"
        )
    return tuple(MappedClass(theirs, ours, counts[theirs]) for theirs, ours in mapped.items())
