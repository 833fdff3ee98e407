"""Print how a model in use does."""

from collections.abc import Sequence

from rich.console import Console

from medray.console import say
from medray.console_tables import interval, number, print_table
from medray.monitor.measure_drift import MonitoredDrift
from medray.monitor.measure_outcomes import MonitoredCalibration, MonitoredRate, Verification
from medray.monitor.measure_use import ModelInUse
from medray.stats.sequential import ALPHA
from medray.text import plural

DAYS = 14  # that are shown


def print_use(use: ModelInUse, console: Console) -> None:
    """Print the answers by day, drift, rates and calibration against outcomes, and what is alarmed about."""
    version = "none" if use.version is None else use.version[:12]
    unit = "" if use.unit == "image" else f" to {use.unit}s"
    say(
        console, f"Model {version}: {plural(use.answers, 'answer')}{unit}, {plural(use.outcomes, 'outcome')} known"
    )
    if use.days:
        _print_days(use, console)
    if use.drifts:
        _print_drifts(use.drifts, console)
    if any(one.outcomes for one in use.verification):
        _print_verification(use.verification, console)
        if use.rates:
            _print_rates(use.rates, console)
        _print_calibration(use.calibrations, console)
    console.print()
    say(console, f"Alarms are given from an evidence of {use.needed:,.0f} on. All together they are false with a")
    say(console, f"probability of at most {ALPHA:.0%}, however often one looks.")
    for line in use.notes:
        console.print(f"note: {line}", highlight=False, markup=False)
    if use.alarmed:
        say(console, f"ALARM: {'; '.join(use.alarmed)}")


def _print_days(use: ModelInUse, console: Console) -> None:
    days = use.days[-DAYS:]
    names = list(use.days[0].shares)
    columns = [
        ("answers", [str(day.answers) for day in days]),
        ("outcomes", [str(day.outcomes) for day in days]),
        *((name, [f"{day.shares[name]:.0%}" for day in days]) for name in names),
        ("mean\nprobability", [f"{day.confidence:.3f}" for day in days]),
        ("out of\ndistribution", [str(day.out_of_distribution) for day in days]),
    ]
    if any(day.looks for day in days):
        columns += [
            (look, [f"{day.looks[look]:.3g}" if look in day.looks else "–" for day in days])
            for look in max((day.looks for day in days), key=len)
        ]
        columns.append(("size as\nsent", ["–" if day.size is None else _size(day.size) for day in days]))
    title = "By day (UTC)" if len(days) == len(use.days) else f"By day (UTC), the last {DAYS} of {len(use.days)}"
    print_table(console, title, [day.day for day in days], columns)


def _size(size: tuple[float, float]) -> str:
    return f"{size[0]:.0f}×{size[1]:.0f}"


def _print_drifts(drifts: Sequence[MonitoredDrift], console: Console) -> None:
    columns = [
        ("patients", [str(one.patients) for one in drifts]),
        ("mean", [interval(one) for one in drifts]),
        ("should be", [_bounds(one) for one in drifts]),
        *_evidence(drifts),
    ]
    title = (
        "Drift: share of images out of distribution, and rank of images among the study's\n"
        "(0.5 where they are alike, 1 where each is above all of those)"
    )
    print_table(console, title, [one.name for one in drifts], columns)


def _bounds(drift: MonitoredDrift) -> str:
    if drift.least is None and drift.most is None:
        return "–"
    if drift.least is None:
        return f"at most {number(drift.most)}"
    return f"{number(drift.least)} to {number(drift.most)}"


def _print_verification(verification: Sequence[Verification], console: Console) -> None:
    verification = [one for one in verification if one.answers]
    labels = [one.name if one.called else f"not {one.name}" for one in verification]
    columns = [
        ("answers", [str(one.answers) for one in verification]),
        ("with outcome", [str(one.outcomes) for one in verification]),
        ("share", ["–" if one.share is None else f"{one.share:.0%}" for one in verification]),
    ]
    print_table(console, "Outcomes by answer", labels, columns)


def _print_rates(rates: Sequence[MonitoredRate], console: Console) -> None:
    columns = [
        ("patients", [str(rate.patients) for rate in rates]),
        ("mean over them", [interval(rate) for rate in rates]),
        ("at least", [number(rate.expected) for rate in rates]),
        *_evidence(rates),
    ]
    reasons = [rate.reason or "" for rate in rates]
    print_table(
        console, "Rates, with confidence sequences of 95 %", [rate.name for rate in rates], columns,
        notes=reasons if any(reasons) else (),
    )  # fmt: skip


def _print_calibration(calibrations: Sequence[MonitoredCalibration], console: Console) -> None:
    columns = [
        ("patients", [str(one.patients) for one in calibrations]),
        ("observed", [number(one.observed) for one in calibrations]),
        ("predicted", [number(one.predicted) for one in calibrations]),
        ("difference", [_difference(one) for one in calibrations]),
        *_evidence(calibrations),
    ]
    title = "Calibration: share of what was true, and what the probabilities said"
    print_table(console, title, [one.event for one in calibrations], columns)


def _difference(one: MonitoredCalibration) -> str:
    if one.observed is None or one.predicted is None:
        return "–"
    difference = number(one.observed - one.predicted, sign=True)
    return f"{difference} [{number(one.low, sign=True)}, {number(one.high, sign=True)}]"


def _evidence(
    measured: Sequence[MonitoredRate | MonitoredCalibration | MonitoredDrift],
) -> list[tuple[str, list[str]]]:
    cells = [
        "–" if one.evidence is None else f"{one.evidence:.3g}{' ALARM' if one.alarm else ''}" for one in measured
    ]
    return [("evidence\nagainst", cells)]
