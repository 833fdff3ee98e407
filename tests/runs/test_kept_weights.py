"""A search keeps the weights of its best trials and of its baselines, whatever the order in which they end."""

import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.runs.kept_weights import KeptWeights
from medray.runs.leaderboard import rank, usable
from medray.runs.rundir import RunDir, TrialDir
from medray.runs.trial_record import FAILED, FINISHED, STOPPED, TrialRecord

ends = st.lists(
    st.tuples(st.sampled_from((FINISHED, STOPPED, FAILED)), st.booleans(), st.integers(0, 4), st.booleans()),
    max_size=20,
)


@pytest.mark.parametrize("mode", ["max", "min"])
@settings(max_examples=12, deadline=None)
@given(ends, st.integers(0, 20), st.integers(1, 5))
def test_the_best_and_the_baselines_keep_them(
    mode: str, ends: list[tuple[str, bool, int, bool]], resumed_at: int, most: int
) -> None:
    records = [
        TrialRecord(
            number,
            state,
            "plain" if is_baseline else None,
            objective=value / 4,
            settings={"optimizer": "lbfgs" if is_head else "adam"},
        )
        for number, (state, is_baseline, value, is_head) in enumerate(ends)
    ]
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir(folder)
        kept = KeptWeights(run, mode, most=most)
        for number, record in enumerate(records):
            run.trial(number).write(TrialDir.WEIGHTS, b"weights")
            run.trial(number).write(TrialDir.PREDICTIONS, b"predictions")
            if number == resumed_at:
                kept = KeptWeights(run, mode, records[:number], most=most)
            kept.take(record)
        have = {number for number in run.trial_numbers() if run.trial(number).exists(TrialDir.WEIGHTS)}
        assert all(run.trial(number).exists(TrialDir.PREDICTIONS) for number in run.trial_numbers())
    searched = [record for record in records if record.baseline is None and record.features is None]
    best = {record.number for record in rank(usable(searched), mode)[:most]}
    assert have == best | {r.number for r in records if r.baseline or r.state == FAILED or r.features}
