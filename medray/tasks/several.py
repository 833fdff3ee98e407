"""Any of several labels an image, or none: the findings of a chest film.

Each label is a question of its own with the answers yes and no, and is measured and decided as such; figures of
all labels are their mean (macro) or of all answers together (micro).
"""

from dataclasses import dataclass

from medray._types import Array
from medray.stats.score_names import LABEL_SETS
from medray.tasks.task import Task


@dataclass(frozen=True)
class LabelSetTask(Task):
    """The task of images with several labels: labels are (N, classes), and probabilities don't sum to 1."""

    def measure(self, probabilities: Array, labels: Array) -> dict[str, float]:
        """Return all metrics by name, NaN where undefined; probabilities and labels are (N, classes)."""
        from medray.stats.label_sets import label_set_metrics

        return label_set_metrics(probabilities, labels)

    def measure_defined(self, probabilities: Array, labels: Array) -> dict[str, float]:
        """Return the metrics that are defined of probabilities (N, classes), and their Brier score."""
        from medray.stats.label_sets import brier_score_of_sets
        from medray.stats.metrics import defined_metrics

        metrics = defined_metrics(self.measure(probabilities, labels))
        return {**metrics, "brier": brier_score_of_sets(probabilities, labels)}


SEVERAL = LabelSetTask(
    name="several",
    metrics=LABEL_SETS,
    losses=("cross_entropy",),
    set_methods=("lac", "lac"),
    shown=("auc", "average_precision", "f1_macro", "auc_micro", "exact_match", "log_loss"),
    averaging="weighted mean of the members' sigmoids; then the sigmoid of each label's log-odds / temperature",
    share="exact_match",
    label_sets=True,
    noun="label",
    nouns="labels",
)
