"""The names of all scores, and which way each is better."""

#: Of probabilities for classes of any kind.
PLAIN: dict[str, str] = {
    "auc": "max",
    "accuracy": "max",
    "balanced_accuracy": "max",
    "f1_macro": "max",
    "f1_weighted": "max",
    "precision_macro": "max",
    "precision_weighted": "max",
    "recall_macro": "max",
    "recall_weighted": "max",
    "log_loss": "min",
    "calibration_error": "min",
}
#: Of classes that are grades, in their order.
GRADED: dict[str, str] = {"quadratic_kappa": "max", "within_one": "max", "grade_error": "min"}
#: What a search can be judged by.
METRICS: dict[str, str] = {**PLAIN, **GRADED}
#: Every score: the metrics, and the Brier score.
MODES: dict[str, str] = {**METRICS, "brier": "min"}
