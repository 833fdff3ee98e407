"""Decode the bytes of a table to text, and refuse what is no text, with the way out."""

import codecs
from pathlib import Path

from medray.errors import DataError, not_found_line
from medray.files import path_exists

SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
BINARIES = (".parquet", ".feather", ".arrow", ".pkl", ".pickle", ".rds", ".sav", ".dta", ".json", ".jsonl")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SPREADSHEET, _ARCHIVE = "a spreadsheet", "a compressed file"
#: The first bytes of files that are no tables of text, whatever their suffix says.
_HEADS = {
    b"PK\3\4": _SPREADSHEET,
    b"\xd0\xcf\x11\xe0": _SPREADSHEET,
    b"PAR1": "a Parquet file",
    b"ARROW1": "a Feather file",
    b"\x1f\x8b": _ARCHIVE,
    b"BZh": _ARCHIVE,
    b"\xfd7zXZ": _ARCHIVE,
}
_MOST_SAMPLED = 4096  # bytes, enough to see whether every other one is zero


def read_text(path: Path) -> tuple[str, list[str]]:
    """Return a table's text without its byte order mark, and a note if it is in UTF-16.

    UTF-8 and UTF-16 are read; UTF-16 without a mark is known by its zeros.

    Raises:
        DataError: there is no such file, or it is no text in one of these encodings.
    """
    if not path_exists(path):
        raise DataError(not_found_line("file", path))
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table; valid: a .csv or .tsv file")
    suffix = path.suffix.lower()
    if suffix in SPREADSHEETS:
        raise DataError(f"{path}: {_SPREADSHEET} is not read; save it as CSV in UTF-8")
    if suffix in BINARIES:
        raise DataError(f"{path}: a {suffix} file is not read; save the table as CSV in UTF-8")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from None
    for head, kind in _HEADS.items():
        if content.startswith(head):
            way_out = "unpack it first" if kind == _ARCHIVE else "save it as CSV in UTF-8"
            raise DataError(f"{path}: {kind} by its first bytes, which is not read; {way_out}")
    bom, encoding = next(((b, e) for b, e in _BOMS if content.startswith(b)), (b"", _guess_encoding(content)))
    try:
        text = content[len(bom) :].decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise DataError(f"{path}: is not whole UTF-16 text; save the table in UTF-8") from None
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line} is not UTF-8 (Latin-1, perhaps); save the table in UTF-8") from None
    if "\0" in text:
        raise DataError(f"{path}: holds NUL characters, so it is no table of text in UTF-8")
    if text.lstrip()[:9].lower().startswith(("<html", "<!doctype", "<?xml", "<table")):
        raise DataError(f"{path}: a page of HTML or XML, not a table; save it as CSV in UTF-8")
    return text, [] if encoding == "utf-8" else [f"the table is in {encoding.upper()[:6]}"]


def _guess_encoding(content: bytes) -> str:
    """Return UTF-16 if every other byte is zero in most of the first characters, as in Latin text, else UTF-8."""
    sample = content[:_MOST_SAMPLED]
    zeros = [sample[start::2].count(0) for start in (0, 1)]
    if len(content) % 2 == 0 and 2 * max(zeros) > len(sample) // 2 and min(zeros) == 0:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    return "utf-8"
