"""Columns of a table of predictions: each a name and a template, or all those of a usual form."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from medray.errors import ConfigError, printable, unknown_choice_line
from medray.predict.find_images import ImageFile

FIELDS = {
    "path": "the file's path as it was given",
    "file": "its name",
    "stem": "its name without the suffix",
    "name": "the cell that names it in a table, else its name",
    "id": "the cell that names it in a table, else its name without the suffix",
    "label": "the likeliest class; of several labels those that are called, joined by '|'",
    "index": "the number of that class among the labels, or else its position, from 0; not of several labels",
    "p": "probabilities by class: {p[melanoma]:.4f}",
    "decision": "1 or 0: the operating point's; of several labels whether one is called: {decision[Mass]}",
    "set": "the conformal set, several classes joined by ' or '; of several labels 'Mass; not sure: Nodule'",
    "flags": "out_of_distribution where it is unlike the training images, then what was done to it, joined by ' '",
}
_OF_FILE = ("path", "file", "stem", "name", "id")
#: Fields of a row that is a case's.
CASE_FIELDS = {
    "case": "the case: a column's value, a folder, or what a pattern matches",
    "images": "the number of its images",
    "weighed_most": "the path of the image that weighed most in the label's probability",
    "weight": "how much it weighed there, of 1",
    **{name: text for name, text in FIELDS.items() if name not in _OF_FILE},
}
FULL, PREDICTED, PROBABILITIES, INDICES = FORMS = ("full", "predicted", "probabilities", "indices")
_IMAGE = {FULL: "{path}", PREDICTED: "{name}", PROBABILITIES: "{id}", INDICES: "{id}"}  # how a row is named


@dataclass(frozen=True)
class Column:
    """A column: its heading and the template of its cells.

    With `of`, a class, `{p}` is that class's probability: no template can name every class, such as `a[b]`.
    """

    name: str
    template: str
    of: str | None = None

    def cell(self, values: Mapping[str, Any]) -> str:
        """Return the cell of an image: the template filled with its `values`.

        Raises:
            ConfigError: the template names an unknown field or class, or its format does not fit the value.
        """
        by_class = {name: ByClass(value) for name, value in values.items() if isinstance(value, dict)}
        if self.of is not None:
            by_class["p"] = by_class["p"][self.of]
        try:
            return self.template.format_map({**values, **by_class})
        except KeyError as error:
            name = str(error.args[0])
            kind, valid = ("field", FIELDS) if name in _fields(self.template) else ("class", values.get("p", {}))
            raise ConfigError(f"--column {self.name}: {unknown_choice_line(kind, name, valid)}") from None
        except (ValueError, IndexError, AttributeError, TypeError) as error:
            raise ConfigError(f"--column {self.name}: '{self.template}': {error}") from None


class ByClass(dict[str, Any]):
    """Values by class, where a template's `{p[0]}`, a number to Python, is the class of that name."""

    def __missing__(self, name: object) -> Any:
        named = [key for key in self if key.isdecimal() and int(key) == name]
        if len(named) != 1:
            raise KeyError(name)
        return self[named[0]]

    def __format__(self, spec: str) -> str:
        raise ValueError(f"each class has its own; name it behind the field, as in [{next(iter(self), 'CLASS')}]")


def _fields(template: str) -> set[str]:
    return {str(name).split("[")[0] for _, name, _, _ in Formatter().parse(template) if name is not None}


def parse_column(text: str, valid: Mapping[str, str] = FIELDS) -> Column:
    """Read NAME=TEMPLATE, whose template may name the `valid` fields.

    Raises:
        ConfigError: it has another form.
    """
    name, equals, template = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--column '{text}' is not NAME=TEMPLATE, as in 'image={{stem}}'")
    try:
        fields = _fields(template)
    except ValueError as error:
        raise ConfigError(f"--column {name}: '{template}': {error}") from None
    for field in fields:
        if field not in valid:
            raise ConfigError(f"--column {name}: {unknown_choice_line('field', field, valid)}")
    return Column(name, template)


def form(name: str, class_names: Sequence[str], *, label_sets: bool, by_case: bool = False) -> list[Column]:
    """Return the columns of one of FORMS.

    They are everything; file and label; stem and probabilities, as Kaggle and Codabench often want them; or stem
    and the class's number. Files of a table are named by its cells, except among everything. Of several labels an
    image (`label_sets`) the label says all that is decided, and there are no numbers. Rows of cases (`by_case`)
    are named by these, and everything has the number of images and the one that weighed most.

    Raises:
        ConfigError: the form needs one class an image, which label sets don't have.
    """
    if label_sets and name == INDICES:
        raise ConfigError(
            f"--form {INDICES} needs one class an image, and this ensemble says several labels; "
            f"--form {PREDICTED} names those that are called, --form {PROBABILITIES} gives each probability"
        )
    probabilities = [Column(c, "{p:.6f}", of=c) for c in class_names]
    decision = [] if label_sets else [Column("decision", "{decision}")]
    if by_case:
        names = [Column("case", "{case}")]
        count = [Column("images", "{images}")] if name == FULL else []
        most = [Column("weighed_most", "{weighed_most}"), Column("weight", "{weight:.4f}")]
    else:
        names, count, most = [Column("file" if name == FULL else "image", _IMAGE[name])], [], []
    return {
        FULL: [
            *names, *count, Column("label", "{label}"), *probabilities, *decision, Column("set", "{set}"), *most,
            Column("flags", "{flags}"),
        ],
        PREDICTED: [*names, Column("label", "{label}")],
        PROBABILITIES: [*names, *probabilities],
        INDICES: [*names, Column("label", "{index}")],
    }[name]  # fmt: skip


def uses(columns: Iterable[Column], field: str) -> bool:
    """Return whether a template names the field."""
    return any(field in _fields(column.template) for column in columns)


def check_row_names(name: str, files: Iterable[ImageFile]) -> None:
    """Check that no two files have the same row name in one of FORMS; a file that is given twice is one file.

    Raises:
        ConfigError: two files would have the same name in it.
    """
    path_of: dict[str, Path] = {}
    for file in files:
        path, row = file.path, _IMAGE[name].format_map(file.fields())
        first = path_of.setdefault(row, path)
        if first != path and first.resolve() != path.resolve():
            both = f"'{printable(str(first))}' and '{printable(str(path))}' would both be '{printable(row)}'"
            hint = f"--form {FULL} names them by their paths, as does --column 'image={{path}}'"
            raise ConfigError(f"--form {name}: {both}; {hint}")
