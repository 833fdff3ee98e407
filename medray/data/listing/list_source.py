"""Sources of image files by one line of text -> Listing.

folder:PATH                                class folders, perhaps below folders of splits and of folds
folder:PATH?patients=folder                the folder below the class is the patient
folder:PATH?exclude=masks,TEST_SIMPLE      without the folders of these names, wherever they lie; DICOM too
csv:PATH                                   a table, CSV or TSV, one row for each image
csv:PATH?image=file&label=dx&subgroups=sex,scanner&pattern=img_{:04d}.png
dicom:PATH                                 DICOM files, in class folders or not

csv:PATH?none=nevus                        a column for each class, and a label for rows without a 1
csv:PATH?blank=unknown,NA                  words for a blank cell; without it NA, N/A, nan, null and none are such

A table's options are those in KEYS and `blank`; `split=` means that there is no such column. `%26` is an "&".
"""

from pathlib import Path

from medray.data.listing.dicom_folders import list_dicom
from medray.data.listing.exclude import EXCLUDE
from medray.data.listing.folders import list_folder
from medray.data.listing.listing import Listing
from medray.data.listing.scan import is_there
from medray.data.listing.source_options import read_options
from medray.data.listing.table import list_table
from medray.data.listing.table_blanks import BLANKS
from medray.data.listing.table_columns import KEYS
from medray.errors import DataError, nearest, shown, unknown
from medray.files import expanded

KINDS: dict[str, tuple[str, ...]] = {"folder": ("patients", EXCLUDE), "csv": (*KEYS, BLANKS), "dicom": (EXCLUDE,)}
PATIENTS = ("folder",)


def list_source(source: str) -> Listing:
    """List the image files that `source` names.

    Raises:
        DataError: it is no such source, an option is unknown, or what it names can't be listed.
    """
    try:
        return _list(source)
    except DataError as error:
        raise type(error)(shown(str(error))) from None  # a path may hold anything, also the end of a line


def _list(source: str) -> Listing:
    kind, path, options = read_source(source)
    if kind == "csv":
        return list_table(path, source, columns=options)
    if kind == "dicom":
        return list_dicom(path, source, without=options.get(EXCLUDE))
    patients = options.get("patients", "")
    if patients not in ("", *PATIENTS):
        raise DataError(f"{source}: {unknown('kind of patients', patients, PATIENTS)}")
    return list_folder(path, source, patients_by_folder=bool(patients), without=options.get(EXCLUDE))


def read_source(source: str) -> tuple[str, Path, dict[str, str]]:
    """Return the kind of a source of files, its path, and the options behind it.

    A path that is there may hold a question mark itself.

    Raises:
        DataError: it is no such source, or an option is unknown.
    """
    kind, _, rest = source.partition(":")
    if kind not in KINDS or not rest:
        hint = nearest(kind, KINDS) if kind not in KINDS else ""
        raise DataError(f"unknown source of files '{source}'{hint}; valid: folder:PATH, csv:PATH, dicom:PATH")
    whole = expanded(rest)
    name, mark, query = rest.rpartition("?")
    if not mark or is_there(whole):
        return kind, whole, {}
    return kind, expanded(name), read_options(source, query, KINDS[kind])
