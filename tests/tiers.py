"""Three tiers of tests: unit (no Ray, no training), component (one Ray, small trainings, HTTP), slow and nightly.

`pytest -m unit` runs the first alone, `pytest` the first two. A test is of the component tier where it asks for a fixture
that trains or starts something, or where its file says `pytestmark = pytest.mark.component`.
"""

from collections import Counter

import pytest
from _pytest.reports import TestReport
from _pytest.terminal import TerminalReporter

#: Fixtures that train networks, or start Ray, a command or a browser.
COMPONENT = {"ray_address", "made_run", "finished_run", "folded_run", "command", "browser"}
LONGEST_SHOWN = 8
#: Each file is one process's work: none of these should be left alone at the end.
FIRST = (
    "test_service.py", "test_crashes.py", "test_two_nodes.py", "test_examples.py", "test_studies.py", "test_search.py",
    "test_crossval.py", "test_run_local.py", "test_onnx_ensemble.py", "test_organs.py", "test_serve_options.py",
    "test_load_data.py",
)  # fmt: skip


def mark_tiers(items: list[pytest.Item]) -> None:
    """Mark each test that names no tier with its own, and begin with the files that take longest."""
    for item in items:
        if not any(item.get_closest_marker(tier) for tier in ("component", "slow", "nightly")):
            trains = COMPONENT.intersection(getattr(item, "fixturenames", ()))
            item.add_marker(pytest.mark.component if trains else pytest.mark.unit)
    order = {name: index for index, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(FIRST)))


def longest_files(reporter: TerminalReporter) -> str:
    """One line: which files took longest, in seconds, setups among them."""
    seconds: Counter[str] = Counter()
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, TestReport):
                seconds[report.nodeid.partition("::")[0].removeprefix("tests/")] += round(report.duration, 3)
    return ", ".join(f"{name} {spent:.0f} s" for name, spent in seconds.most_common(LONGEST_SHOWN))
