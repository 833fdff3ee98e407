"""Print how a model in use does."""

from rich.console import Console

from medray.console import say
from medray.console_tables import print_table
from medray.monitor.measure_use import ModelInUse, MonitoredRate
from medray.stats.sequential import ALPHA
from medray.text import plural

DAYS = 14  # that are shown


def print_use(use: ModelInUse, console: Console) -> None:
    """Print the answers by day, the rates against outcomes, and what is alarmed about."""
    version = "none" if use.version is None else use.version[:12]
    say(console, f"Model {version}: {plural(use.answers, 'answer')}, {plural(use.outcomes, 'outcome')} known")
    if use.days:
        _print_days(use, console)
    if use.rates:
        columns = [
            ("of", [f"{rate.count} of {rate.total}" for rate in use.rates]),
            ("share", [_share(rate) for rate in use.rates]),
            ("should be", [_expected(rate) for rate in use.rates]),
            ("evidence against", ["–" if rate.evidence is None else f"{rate.evidence:.3g}" for rate in use.rates]),
            ("", ["ALARM" if rate.alarm else "" for rate in use.rates]),
        ]
        print_table(
            console, "Rates, with confidence sequences of 95 %", [rate.name for rate in use.rates], columns
        )
    if use.calibration is not None:
        alarm = "  ALARM" if use.calibration_alarm else ""
        say(console, f"Calibration: evidence against it {use.calibration:.3g}{alarm}")
    say(console, "An alarm says that a rate is beyond what it should be. All alarms together are false with a")
    say(
        console,
        f"probability of at most {ALPHA:.0%}, however often one looks; images of a patient count as independent.",
    )
    for line in use.notes:
        say(console, f"note: {line}")
    if use.alarmed:
        say(console, f"ALARM: {', '.join(use.alarmed)}")


def _print_days(use: ModelInUse, console: Console) -> None:
    days = use.days[-DAYS:]
    names = sorted({name for day in use.days for name in day.shares})
    columns = [
        ("answers", [str(day.answers) for day in days]),
        *((name, [f"{day.shares.get(name, 0.0):.0%}" for day in days]) for name in names),
        ("mean probability", [f"{day.confidence:.3f}" for day in days]),
        ("out of distribution", [str(day.out_of_distribution) for day in days]),
        ("outcomes", [str(day.outcomes) for day in days]),
    ]
    title = "By day (UTC)" if len(days) == len(use.days) else f"By day (UTC), the last {DAYS} of {len(use.days)}"
    print_table(console, title, [day.day for day in days], columns)


def _share(rate: MonitoredRate) -> str:
    return "–" if rate.value is None else f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]"


def _expected(rate: MonitoredRate) -> str:
    if rate.expected is None:
        return "nothing promised"
    return f"{'at most' if rate.name == 'out of distribution' else 'at least'} {rate.expected:.3f}"
