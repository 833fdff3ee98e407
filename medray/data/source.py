"""Source: where a data set comes from, parsed once from what `--data` or a search space's `data` names.

phantom                    procedural images of the search space's own modality
phantom:covid?images=200&size=32&seed=1    the phantom of another space; fewer, smaller or other images
medmnist:organsmnist       a 2-D MedMNIST set, 28×28
medmnist:organsmnist:64    the same at 64, 128 or 224
path/to/images.npz         MedMNIST's form: {train,val,test}_{images,labels}, perhaps class_names
folder:PATH                class folders, perhaps below folders of splits, of folds or of subgroups
folder:PATH?patients=folder                the folder below the class is the patient; DICOM too, as all below
folder:PATH?patients=3                     the folder three levels below the class is
folder:PATH?patients=(case\\d+)_           what a pattern matches in the path below the class is
folder:PATH?patients=above                 the folders above those of the classes are patients
folder:PATH?subgroups=magnification        the folders above those of the classes are subgroups of this name
folder:PATH?subgroups=                     they are classes, whatever they look like
folder:PATH?exclude=masks,TEST_SIMPLE      without the folders of these names, at any depth; tables too
folder:PATH?exclude=*_mask*,img??.png      without the folders and files whose names these patterns fit; a table's
                                           rows of such files are left out
folder:PATH?exclude=train/*/masks          a path from PATH; ** is any number of folders
folder:PATH?side_cars=keep                 masks, overlays and the like beside their images are images too
csv:PATH                   a table, CSV or TSV, one row for each image
csv:PATH?image=file&label=dx&subgroups=sex,scanner&pattern=img_{:04d}.png
csv:PATH?label=MEL,NV      a column for each class: 1 and 0, yes and no, x and blank, ..
csv:PATH?none=nevus        a label for rows without a 1 in a column for each class
csv:PATH?uncertain=ignore  leaves out images with -1 or "?" for a class; negative and positive read it so
csv:PATH?separator=none    a cell is one label; any text, such as a bar, divides cells that name several
csv:PATH?blank=unknown,NA  words for a blank cell; by default NA, N/A, nan, null and none
csv:PATH?patients=(case\\d+)_  what a pattern matches in the path from the table's folder is the patient
csv:PATH?rows=majority     of an image's rows the label of most; or first, the first row's, or all labels
dicom:PATH                 DICOM files, in class folders or not

`split=` means that a table has no such column. In an option `%26` is an "&", `%25` a "%" and `%3F` a "?", which
may also stand as it is: the options begin behind the last "?" that is followed by the name of one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from medray.errors import DataError, nearest, printable
from medray.files import expanded, path_exists

FOLDER, CSV, DICOM = FILE_KINDS = ("folder", "csv", "dicom")
MEDMNIST, PHANTOM, NPZ = "medmnist", "phantom", "npz"
IMAGE, LABEL, SPLIT, FOLD, PATIENT = GUESSED_COLUMNS = ("image", "label", "split", "fold", "patient")
SUBGROUPS, PATTERN, NONE, BLANKS = "subgroups", "pattern", "none", "blank"
SEPARATOR, UNCERTAIN = "separator", "uncertain"
PATIENTS, EXCLUDE, SIDE_CARS, SIZE = "patients", "exclude", "side_cars", "size"
ROWS = "rows"

#: The options that each kind may have behind its question mark, or, MedMNIST's size, behind a colon.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    FOLDER: (PATIENTS, SUBGROUPS, EXCLUDE, SIDE_CARS),
    CSV: (
        *GUESSED_COLUMNS,
        *(PATIENTS, SUBGROUPS, PATTERN, NONE, BLANKS, SEPARATOR, UNCERTAIN, ROWS, EXCLUDE, SIDE_CARS),
    ),
    DICOM: (PATIENTS, SUBGROUPS, EXCLUDE, SIDE_CARS),
    MEDMNIST: (SIZE,),
    PHANTOM: ("seed", SIZE, "images"),
    NPZ: (),
}
_RESERVED = re.compile(r"[%&?\x00-\x1f\x7f]|^ | $")  # escaped in an option's value


@dataclass(frozen=True)
class Source:
    """One source of images.

    `name` is the path as written, for a MedMNIST set or a phantom its name; an empty phantom's name means the
    search space's own. `str()` gives the text that `parse_source` reads.

    Raises:
        DataError: an option is not among those of the kind.
    """

    kind: str
    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        valid = OPTIONS[self.kind]
        for option in self.options:
            if option not in valid:
                hint = nearest(option, valid)
                raise DataError(
                    f"unknown option '{printable(option)}'{hint}; valid: {', '.join(valid)}",
                    file=printable(str(self)),
                )

    def __str__(self) -> str:
        if self.kind == NPZ:
            return self.name
        text = f"{self.kind}:{self.name}" if self.name or self.kind != PHANTOM else PHANTOM
        if self.kind == MEDMNIST:
            return ":".join([text, *self.options.values()])
        query = "&".join(f"{name}={escaped(value)}" for name, value in self.options.items())
        return f"{text}?{query}" if query else text

    @property
    def is_listed(self) -> bool:
        """Whether it consists of image files, to be listed and decoded, and not of ready-made arrays."""
        return self.kind in FILE_KINDS

    @property
    def path(self) -> Path:
        """The path of a file or folder, with the home folder for a tilde."""
        return expanded(self.name)

    def absolute(self) -> "Source":
        """Return the same source with an absolute path, so that it can be opened from any folder."""
        return replace(self, name=str(self.path.absolute())) if self.is_listed or self.kind == NPZ else self


def escaped(value: str) -> str:
    """Return an option's value as it stands in a source, so that it is read as it was.

    >>> escaped(" & ")
    '%20%26%20'
    """
    return _RESERVED.sub(lambda match: f"%{ord(match[0]):02X}", value)


def parse_source(text: str) -> Source:
    """Parse a source. The path of an existing file or folder may itself hold a question mark.

    >>> parse_source("folder:scans?patients=folder")
    Source(kind='folder', name='scans', options={'patients': 'folder'})
    >>> str(parse_source("phantom:covid?size=32"))
    'phantom:covid?size=32'

    Raises:
        DataError: it is of no known kind, names no path, or an option is unknown, given twice or has no value.
    """
    kind, _, rest = text.partition(":")
    if kind in FILE_KINDS and rest:
        if "?" not in rest or path_exists(expanded(rest)):
            return Source(kind, rest)
        path, query = _split_options(kind, rest)
        return Source(kind, path, _parse_options(text, query))
    words, _, query = text.partition("?")
    if words.partition(":")[0] == PHANTOM:
        return Source(PHANTOM, words.partition(":")[2], _parse_options(text, query))
    if kind == MEDMNIST:
        name, _, size = rest.partition(":")
        return Source(MEDMNIST, name, {SIZE: size} if size else {})
    if text.endswith(".npz") and kind not in FILE_KINDS:
        return Source(NPZ, text)
    hint = nearest(words.partition(":")[0], [PHANTOM, MEDMNIST, *FILE_KINDS]) if kind not in FILE_KINDS else ""
    raise DataError(
        f"unknown data source '{printable(text)}'{hint}; valid: phantom, phantom:NAME, medmnist:NAME[:SIZE], "
        f"{', '.join(f'{name}:PATH' for name in FILE_KINDS)} or a path ending in .npz"
    )


def _split_options(kind: str, rest: str) -> tuple[str, str]:
    """Split a path from its options: at the last "?" before an option of the kind, before any, or at the last."""
    for name in ("|".join(OPTIONS[kind]), "[a-z_]+"):
        marks = [match.start() for match in re.finditer(rf"\?(?=(?:{name})=)", rest)]
        if marks:
            return rest[: marks[-1]], rest[marks[-1] + 1 :]
    path, _, query = rest.rpartition("?")
    return path, query


def _parse_options(text: str, query: str) -> dict[str, str]:
    """Parse options `NAME=VALUE` with `&` between them."""
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals or name in options:
            problem = "is given twice" if equals else "needs a value"
            raise DataError(f"{printable(text)}: option '{printable(name)}' {problem}")
        options[name] = unquote(value)
    return options
