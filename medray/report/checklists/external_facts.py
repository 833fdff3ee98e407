"""What a run has stored of other hospitals' images: the external test, its differences, a recalibration."""

from collections.abc import Callable

from medray.console_tables import interval, metric_title, number
from medray.errors import MedrayError
from medray.evaluate.external.run_external import ExternalEvaluation
from medray.report.checklists import data_facts, score_facts
from medray.report.checklists.items import Answer, Fact, Given, NotApplicable, NotYet, fact
from medray.report.evidence import Evidence
from medray.stats.case_rule import unit_of
from medray.tasks import TASKS
from medray.text import plural

ANCHOR = "external"
NOT_UPDATED = "the model is evaluated as it is, not updated"


@fact(ANCHOR, "the scores on each set of other images that was read, with intervals, copies, and how often")
def external_test(evidence: Evidence) -> Answer:
    """Return the scores on other images; None where none were read."""
    readings = evidence.external_evaluations
    return Given("; ".join(_test_line(reading) for reading in readings)) if readings else None


@fact(ANCHOR, "how a recalibration on a part of other images was tried, where any were read")
def updating_method(evidence: Evidence) -> Answer:
    """Return on how many images a recalibration was fitted; not applicable where none was."""
    lines = [
        f"{reading.scores.source}: temperature, and intercepts, on {local.fitted} random "
        f"{unit_of(reading.scores.rule)}s, measured on the "
        f"other {local.measured}"
        for reading in evidence.external_evaluations
        if (local := reading.scores.recalibration).methods
    ]
    return Given(f"{'; '.join(lines)}; the ensemble stays as it is") if lines else NotApplicable(NOT_UPDATED)


@fact(ANCHOR, "what that recalibration would give, with intervals")
def updating_results(evidence: Evidence) -> Answer:
    """Return the log loss before and after a recalibration; not applicable where none was tried."""
    lines = []
    for reading in evidence.external_evaluations:
        methods = reading.scores.recalibration.methods
        losses = [f"{interval(method.scores['log_loss'])} ({method.name})" for method in methods]
        lines += [f"{reading.scores.source}: log loss {', '.join(losses)}"] if losses else []
    return Given("; ".join(lines)) if lines else NotApplicable(NOT_UPDATED)


def with_external(base: Fact, summary: str, line: Callable[[ExternalEvaluation], str]) -> Fact:
    """Return a fact of the run's own data, and behind it a `line` of each set of other images.

    Where the run itself can't give the fact, these lines are all of it. A line that is "" is left out. Where the
    readings are damaged, the fact is without them: their own item says so.
    """

    def read(evidence: Evidence) -> Answer:
        answer = base.read(evidence)
        if isinstance(answer, NotYet):
            return answer
        try:
            lines = [text for reading in evidence.external_evaluations if (text := line(reading))]
        except (MedrayError, OSError):
            lines = []
        if answer is None:
            return Given("; ".join(lines), anchor=ANCHOR) if lines else None
        assert isinstance(answer, Given)
        return Given("; ".join([answer.text, *lines]), answer.left, answer.anchor)

    return Fact(f"{base.summary}; {summary}", base.anchor, read)


def _test_line(reading: ExternalEvaluation) -> str:
    """Return the scores on other images, how many are copies, and how often they were read."""
    scores = reading.scores
    figures = scores.figures
    metrics = dict.fromkeys([scores.metric, TASKS[scores.task].share])
    shown = ", ".join(f"{metric_title(metric)} {interval(figures.scores[metric])}" for metric in metrics)
    if scores.copies is None:
        copies = "copies of the run's images not looked for"
    else:
        copies = f"{plural(scores.copies.left_out, 'image')} with a copy among the run's"
    read = plural(reading.by_run + reading.by_others, "time")
    return f"{scores.source}: {shown} on {scores.sample}; {copies}; read {read}"


def _difference_line(reading: ExternalEvaluation) -> str:
    """Return how far the run's metric lies from that on its own test split; "" where that was not read."""
    scores, comparison = reading.scores, reading.comparison
    if comparison is None or scores.metric not in comparison.scores:
        return ""
    gap = comparison.scores[scores.metric].difference
    return f"{metric_title(scores.metric)} on {scores.source} less that on test: {interval(gap, sign=True)}"


def _shift_line(reading: ExternalEvaluation) -> str:
    """Return the largest difference of a class's share, and the share out of distribution; "" where unknown."""
    shifts = reading.scores.shifts
    if shifts is None:
        return ""
    largest = max(shifts.classes, key=lambda row: abs(row.difference.value or 0.0))
    line = f"{reading.scores.source}: {largest.name} {interval(largest.difference, sign=True)} in share"
    if shifts.out_of_distribution is None:
        return line
    return (
        f"{line}; out of distribution {interval(shifts.out_of_distribution)}, {number(shifts.expected)} expected"
    )


performance = with_external(score_facts.performance, "those on other images", _test_line)
clusters = with_external(
    score_facts.subgroups, "the difference between other images and the test split", _difference_line
)
shares = with_external(data_facts.shares, "those of other images, and what is out of distribution", _shift_line)
