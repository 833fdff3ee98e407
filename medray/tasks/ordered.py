"""Grades, such as those of retinopathy: one of several classes, in their order.

An answer is wrong by so many grades, and a decision is a cut: "grade 2 or more".
"""

from medray.stats.score_names import GRADED, PLAIN
from medray.tasks.task import Task

ORDERED = Task(
    name="ordered",
    metrics={"quadratic_kappa": GRADED["quadratic_kappa"], **PLAIN, **GRADED},
    losses=("cross_entropy", "cumulative", "corn"),
    set_methods=("interval", "interval"),
    shown=("quadratic_kappa", "accuracy", "within_one", "grade_error", "auc", "log_loss"),
    cuts=True,
)
