"""The columns of each frame: their names, pandas dtypes and meanings; docs/analysis.md shows the same table."""

from dataclasses import dataclass

from medray.config import SETTINGS
from medray.stats.score_names import METRICS

TEXT, WHOLE, COUNT, NUMBER, TRUTH = "string", "int64", "Int64", "float64", "boolean"
_DTYPES = {str: TEXT, int: COUNT, float: NUMBER, bool: TRUTH}


@dataclass(frozen=True)
class Column:
    """One column; whatever has no value is NA (`string`, `Int64`, `boolean`) or NaN (`float64`)."""

    name: str
    dtype: str
    text: str


RUN = Column("run", TEXT, "the run's name; only where several runs stand in one frame")
_TRIAL = Column("trial", WHOLE, "the trial's number, as its folder's and Optuna's")
_STATE = Column("state", TEXT, "finished, stopped (by ASHA or the time), failed, or running (no end is known)")
_FOLD = Column("fold", WHOLE, "the fold's number")
_METRIC = Column("metric", TEXT, "the run's metric, which `objective` is of")
_BEST = (
    Column("objective", NUMBER, "the run's metric at the best epoch"),
    Column("best_epoch", COUNT, "the epoch whose weights are kept"),
)
_SPENT = (
    Column("epochs", WHOLE, "how many were trained"),
    Column("seconds", NUMBER, "what these epochs took, with their validation; no waiting"),
)
_END = (
    Column("ended_by", TEXT, "epochs, patience, asha or time"),
    Column("reason", TEXT, "why it failed"),
)


def setting_column(name: str) -> str:
    """What a setting's column is called: `epochs` counts those that were trained, so its own is `max_epochs`."""
    return "max_epochs" if name == "epochs" else name


METRIC_COLUMNS = tuple(Column(name, NUMBER, "validation metric at the best epoch") for name in METRICS)
SETTING_COLUMNS = tuple(
    Column(setting_column(name), _DTYPES[setting.type], "setting") for name, setting in SETTINGS.items()
)

#: One row a trial.
TRIALS = (
    _TRIAL,
    Column("rank", COUNT, "place by `objective` among the run's ended trials; the earlier trial first"),
    _STATE,
    Column("baseline", TEXT, "the baseline's name, or NA for a searched trial"),
    _METRIC,
    *_BEST,
    *_SPENT,
    Column("parameters", COUNT, "the network's number of parameters"),
    *_END,
    *METRIC_COLUMNS,
    *SETTING_COLUMNS,
)

#: One row an epoch of a trial.
EPOCHS = (
    _TRIAL,
    Column("epoch", WHOLE, "from 1"),
    Column("metric", TEXT, _METRIC.text),
    Column("objective", NUMBER, "the run's metric at the best epoch so far"),
    Column("best_epoch", WHOLE, "the best epoch so far"),
    Column("train_loss", NUMBER, "mean over the training images"),
    Column("learning_rate", NUMBER, "at the epoch's begin"),
    Column("seconds", NUMBER, "what the epoch took, with its validation"),
    *(Column(name, NUMBER, "validation metric of this epoch") for name in METRICS),
)

#: One row a fold of a cross-validated trial.
FOLDS = (
    _TRIAL,
    _FOLD,
    _STATE,
    _METRIC,
    *_BEST,
    *_SPENT,
    *_END,
    *(Column(name, NUMBER, "metric on the images that the fold holds out") for name in METRICS),
)

#: One row an image and model; a column of each class's probability, `p[CLASS]`, follows, and of several labels an
#: image one that says whether it has the label, `has[LABEL]`.
PREDICTIONS = (
    _TRIAL,
    Column("fold", COUNT, "the fold whose network it is; NA for the trial's own"),
    Column("source", TEXT, "val, or out-of-fold: by a network that was not trained on the image"),
    Column("position", COUNT, "the image's place in the data set"),
    Column("epoch", WHOLE, "the epoch of the network's weights"),
    Column("label", TEXT, "the true class; of `task: several` its labels, joined by a bar"),
    Column("predicted", TEXT, "the likeliest class; of `task: several` the labels of one half or more"),
)
