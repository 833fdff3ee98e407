"""A frame as a file: CSV or Parquet, whole or not at all."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from medray.cli.base import write_file

if TYPE_CHECKING:
    import pandas as pd


def write_csv(frame: "pd.DataFrame", path: str) -> None:
    """Write a frame as CSV, a missing value as nothing.

    Raises:
        RunError: it can't be written.
    """
    write_file(Path(path), frame.to_csv(index=False).encode())


def write_parquet(frame: "pd.DataFrame", path: str) -> None:
    """Write a frame as Parquet, with its dtypes; the notes are in its metadata.

    Raises:
        RunError: it can't be written.
    """
    stream = io.BytesIO()
    frame.to_parquet(stream, index=False)
    write_file(Path(path), stream.getvalue())
