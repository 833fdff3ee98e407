"""How a frame is looked at: which rows, in which order, and which of its columns."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medray.analyze.filtering import filter_rows
from medray.analyze.frame_columns import SETTING_COLUMNS
from medray.config import METRICS
from medray.errors import ConfigError, unknown_choice_line
from medray.files import write_file

if TYPE_CHECKING:
    import pandas as pd

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class View:
    """What is asked of a frame: `sort` is a column, with a minus before it for the other way round."""

    filter: str | None = None
    sort: str | None = None
    columns: str | None = None
    top: int | None = None

    def of(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Filter, sort, cut, and choose columns.

        Raises:
            ConfigError: a column is unknown, or the filter is none.
        """
        if self.filter:
            frame = filter_rows(frame, self.filter)
        if self.sort:
            frame = _sorted(frame, self.sort)
        if self.top is not None:
            frame = frame.head(self.top)
        return frame[self._chosen(frame)] if self.columns else frame

    def _chosen(self, frame: "pd.DataFrame") -> list[str]:
        wanted = [name.strip() for name in (self.columns or "").split(",") if name.strip()]
        if not wanted:
            raise ConfigError("--columns: name at least one column")
        for name in wanted:
            _check(frame, name, "--columns")
        return list(dict.fromkeys(wanted))


def varied(frame: "pd.DataFrame") -> list[str]:
    """The settings in which a frame's trials differ, but for their seeds."""
    names = [column.name for column in SETTING_COLUMNS if column.name != "seed"]
    return [name for name in names if frame[name].nunique(dropna=False) > 1]


def best_first(frame: "pd.DataFrame", *, worst_first: bool = False) -> "pd.DataFrame":
    """Rows by `objective`, best first; those without one, and failed trials, at the end.

    Runs of different metrics stand one after the other.
    """
    sign = frame["metric"].map({name: -1.0 if mode == "max" else 1.0 for name, mode in METRICS.items()})
    lost = frame["objective"].isna()
    if "state" in frame:
        lost |= frame["state"] == "failed"
    place = frame["objective"] * sign.astype("float64") * (-1 if worst_first else 1)
    keys = frame[["metric", "trial"]].assign(lost=lost.astype(bool), place=place)
    return frame.loc[keys.sort_values(["metric", "lost", "place", "trial"], kind="stable").index]


def _sorted(frame: "pd.DataFrame", sort: str) -> "pd.DataFrame":
    """Metrics best first, all others from small to large; missing values at the end either way."""
    name, minus = sort.removeprefix("-"), sort.startswith("-")
    _check(frame, name, "--sort")
    if name == "objective":
        return best_first(frame, worst_first=minus)
    rising = METRICS.get(name) != "max"
    return frame.sort_values(name, ascending=rising != minus, kind="stable", na_position="last")


def _check(frame: "pd.DataFrame", name: str, option: str) -> None:
    columns = list(map(str, frame.columns))
    if name not in columns:
        raise ConfigError(f"{option}: {unknown_choice_line('column', name, columns)}")


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
