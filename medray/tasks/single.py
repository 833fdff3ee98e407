"""One of several classes, in no order."""

from medray.stats.score_names import PLAIN
from medray.tasks.task import Task

SINGLE = Task(
    name="single",
    metrics=PLAIN,
    losses=("cross_entropy",),
    set_methods=("lac", "raps"),
    shown=("auc", "accuracy", "balanced_accuracy", "f1_macro", "log_loss"),
)
