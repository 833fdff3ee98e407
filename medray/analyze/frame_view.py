"""FrameView: which rows of a frame, in which order, and which of its columns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medray.analyze.filtering import filter_rows
from medray.analyze.frame_columns import SETTING_COLUMNS
from medray.errors import ConfigError, unknown_choice_line
from medray.runs.trial_record import FAILED
from medray.stats.score_names import METRICS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FrameView:
    """A condition, the column to sort by (`-column`: in reverse), columns such as `a,b`, and a limit of rows."""

    filter: str | None = None
    sort: str | None = None
    columns: str | None = None
    top: int | None = None

    def apply(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Return the frame filtered, sorted, limited, and with the columns that were asked for.

        Raises:
            ConfigError: a column does not exist, or the filter is no condition.
        """
        if self.filter:
            frame = filter_rows(frame, self.filter)
        if self.sort:
            name, reverse = self.sort.removeprefix("-"), self.sort.startswith("-")
            _check_column(frame, name, "--sort")
            frame = sort_frame(frame, name, reverse=reverse)
        if self.top is not None:
            frame = frame.head(self.top)
        if not self.columns:
            return frame
        names = [name.strip() for name in self.columns.split(",") if name.strip()]
        if not names:
            raise ConfigError("--columns: name at least one column")
        for name in names:
            _check_column(frame, name, "--columns")
        return frame[list(dict.fromkeys(names))]


def varied(frame: "pd.DataFrame") -> list[str]:
    """Return the settings, without seeds, in which a frame's trials differ."""
    names = [column.name for column in SETTING_COLUMNS if column.name != "seed"]
    return [name for name in names if frame[name].nunique(dropna=False) > 1]


def best_first(frame: "pd.DataFrame", *, worst_first: bool = False) -> "pd.DataFrame":
    """Return the rows by `objective`, best first; those without one, and failed trials, at the end.

    Runs of different metrics come one after the other.
    """
    sign = frame["metric"].map({name: -1.0 if mode == "max" else 1.0 for name, mode in METRICS.items()})
    last = frame["objective"].isna()
    if "state" in frame:
        last |= frame["state"] == FAILED
    key = frame["objective"] * sign.astype("float64") * (-1 if worst_first else 1)
    keys = frame[["metric", "trial"]].assign(last=last.astype(bool), key=key)
    return frame.loc[keys.sort_values(["metric", "last", "key", "trial"], kind="stable").index]


def sort_frame(frame: "pd.DataFrame", name: str, *, reverse: bool = False) -> "pd.DataFrame":
    """Sort by a column: metrics best first, others ascending; missing values at the end either way."""
    if name == "objective":
        return best_first(frame, worst_first=reverse)
    ascending = METRICS.get(name) != "max"
    return frame.sort_values(name, ascending=ascending != reverse, kind="stable", na_position="last")


def _check_column(frame: "pd.DataFrame", name: str, option: str) -> None:
    columns = list(map(str, frame.columns))
    if name not in columns:
        raise ConfigError(f"{option}: {unknown_choice_line('column', name, columns)}")
