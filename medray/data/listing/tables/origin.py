"""Name the columns that say where, when or how an image was taken: site, scanner, view, date."""

import re

from medray.data.listing.tables.columns import Columns
from medray.data.listing.tables.table_text import Table

#: How a word begins that names a source, of the words in a column's name.
_BEGINNINGS = (
    "hospital", "institut", "clinic", "scanner", "camera", "manufact", "vendor", "device", "machine", "station",
    "equipment", "modalit", "projection", "acquisition", "protocol", "kvp", "magnif", "countr",
)  # fmt: skip
_WORDS = frozenset({
    "site", "center", "centre", "department", "ward", "source", "origin", "dataset", "database", "collection",
    "cohort", "batch", "view", "position", "date", "year", "spacing", "city", "location", "folder", "operator",
    "scan", "lab", "laboratory", "model", "stain", "license", "attribution",
})  # fmt: skip
#: Words with which the same column is of the person or the body, or is an id.
_OTHERS = frozenset({
    "birth", "born", "death", "body", "anatom", "anatomic", "anatomical", "lesion", "tumor", "tumour", "clinical",
    "id", "uid", "label", "diagnosis", "path", "file",
})  # fmt: skip


def origin_columns(table: Table, columns: Columns) -> tuple[str, ...]:
    """Return the columns without a use whose names say that they hold a site, device, view, date or the like."""
    used = {columns.image, columns.label, columns.split, columns.fold, columns.patient, *columns.subgroups}
    return tuple(name for name in table.columns if name not in used | {*columns.one_hot} and says_origin(name))


def says_origin(name: str) -> bool:
    """Return whether the name of a column says that it holds where, when or how an image was taken."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = {word.removesuffix("s") for word in re.findall(r"[^\W\d_]+", spaced.lower())}
    if words & _OTHERS:
        return False
    return bool(words & _WORDS) or any(word.startswith(_BEGINNINGS) for word in words)
