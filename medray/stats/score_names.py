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
#: Of several labels an image; means are over the labels (macro), or over all answers (micro).
LABEL_SETS: dict[str, str] = {
    "auc": "max",
    "auc_micro": "max",
    "average_precision": "max",
    "f1_macro": "max",
    "f1_micro": "max",
    "exact_match": "max",
    "log_loss": "min",
    "calibration_error": "min",
}
#: Every score of classes of which each image has one.
OF_CLASSES: dict[str, str] = {**PLAIN, **GRADED, "brier": "min"}
#: What a search can be judged by.
METRICS: dict[str, str] = {**PLAIN, **GRADED, **LABEL_SETS}
#: Every score: the metrics, and the Brier score.
MODES: dict[str, str] = {**METRICS, "brier": "min"}
