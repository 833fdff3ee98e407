"""What may stand behind the question mark of a source: `csv:labels.csv?image=file&label=dx`."""

from collections.abc import Sequence
from urllib.parse import unquote

from medray.errors import DataError, nearest


def read_options(source: str, query: str, valid: Sequence[str]) -> dict[str, str]:
    """Read the options of a source, each `NAME=VALUE`, with `&` between them; `%26` is an "&".

    Raises:
        DataError: one is not among the `valid` ones, is given twice or has no value; `source` is named.
    """
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        if key not in valid:
            words = ", ".join(valid) or "none"
            raise DataError(f"{source}: unknown option '{key}'{nearest(key, valid)}; valid: {words}")
        if not equals or key in options:
            raise DataError(f"{source}: option '{key}' {'is given twice' if equals else 'needs a value'}")
        options[key] = unquote(value)
    return options
