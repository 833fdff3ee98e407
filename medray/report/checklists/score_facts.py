"""What an evaluation has stored of the test split: scores with intervals, classes, calibration, subgroups."""

from collections.abc import Callable

from medray.console_tables import interval, metric_title
from medray.evaluate.scores_document import ReadScores
from medray.report.checklists.items import Answer, Fact, Given, NotYet, fact
from medray.report.evidence import Evidence
from medray.stats.rates import Rates
from medray.tasks import TASKS
from medray.text import first_names, plural

EVALUATE = "evaluate"
NO_COLUMN = "figures by subgroup: the data name no column of one"
ReadOfScores = Callable[[Evidence, ReadScores], Answer]


def score_fact(anchor: str, summary: str) -> Callable[[ReadOfScores], Fact]:
    """Return the decorator that makes a fact of a function of the evidence and its scores, once there are some."""

    def decorate(read: ReadOfScores) -> Fact:
        def answer(evidence: Evidence) -> Answer:
            return NotYet(EVALUATE) if evidence.scores is None else read(evidence, evidence.scores)

        return Fact(summary, anchor, answer)

    return decorate


@score_fact("models", "the test split's images, and how often it was read")
def internal_test(evidence: Evidence, scores: ReadScores) -> Answer:
    """Return on how many images of the test split the scores are."""
    cases = "" if scores.cases is None else f", {plural(scores.answered, 'case')} ({scores.cases.rule.text}),"
    return Given(
        f"{plural(scores.images, 'image')}{cases} kept aside from the start. {evidence.read_count.sentence}"
    )


@score_fact("models", "the metrics and curves")
def measures(evidence: Evidence, scores: ReadScores) -> Answer:
    """Return the names of what was measured."""
    metrics = ", ".join(map(metric_title, evidence.task.table_metrics(evidence.metric, calibration=True)))
    others = f"; beside {plural(len(scores.models) - 1, 'other model')}" if len(scores.models) > 1 else ""
    return Given(
        f"{metrics}; by {evidence.task.noun} sensitivity, specificity, calibration slope and curve{others}"
    )


@score_fact("models", "95 % intervals, tests and their correction")
def statistics(evidence: Evidence, scores: ReadScores) -> Answer:
    """Return how uncertainty was measured, and the number of comparisons."""
    tests = list(dict.fromkeys(comparison.test for comparison in scores.comparisons))
    tested = f"; {plural(len(scores.comparisons), 'comparison')} ({', '.join(tests)}; Holm)" if tests else ""
    return Given(f"95 % intervals by {scores.resampled}{tested}")


@score_fact("models", "the test split's scores with intervals, also by subgroup where the data name a column")
def performance(evidence: Evidence, scores: ReadScores) -> Answer:
    """Return the ensemble's main scores."""
    ensemble = scores.models[0].scores
    metrics = dict.fromkeys([evidence.metric, evidence.task.share])
    figures = ", ".join(f"{metric_title(metric)} {interval(ensemble[metric])}" for metric in metrics)
    text = f"{figures} on {scores.sample}"
    left = [
        f"no interval of {metric_title(metric)}: {reason}"
        for metric in metrics
        if (reason := ensemble[metric].reason)
    ]
    if not scores.subgroups:
        return Given(text, "; ".join([*left, NO_COLUMN]))
    return Given(f"{text}; also by {', '.join(scores.subgroups)}", "; ".join(left))


@score_fact(
    "classes", "sensitivity and specificity of each class, or at the operating points, with intervals; ROC"
)
def accuracy_by_class(evidence: Evidence, scores: ReadScores) -> Answer:
    """Return sensitivity and specificity at the first operating point, or of the first class or label."""
    nouns = TASKS[scores.task].nouns
    if scores.operating_points:
        point = scores.operating_points[0]
        anchor = None if evidence.test_predictions is None else "decisions"
        return Given(
            f"{point.positive}, {point.name}: {_rates(point.test)}; all {nouns} in the table", anchor=anchor
        )
    rows = [
        f"{row.name}: sensitivity {interval(row.recall)}, specificity {interval(row.specificity)}"
        for row in scores.per_class
    ]
    return Given(f"{first_names(rows, 1)} in the table; ROC curves")


@fact("subgroups", "accuracy, AUC and the points' rates of each subgroup of the columns that the data name")
def subgroups(evidence: Evidence) -> Answer:
    """Return the columns of subgroups; None where the data name none."""
    if not evidence.data.subgroups:
        return None
    if evidence.scores is None:
        return NotYet(EVALUATE)
    columns = [f"{name} ({len(rows)})" for name, rows in evidence.scores.subgroups.items()]
    rates = ", sensitivity and specificity with gaps" if evidence.scores.subgroup_rates else ""
    share = metric_title(evidence.task.share)
    return Given(f"{share} and AUC{rates} by {first_names(columns)}, with intervals where there are enough cases")


def _rates(rates: Rates) -> str:
    return f"sensitivity {interval(rates.sensitivity)}, specificity {interval(rates.specificity)}"
