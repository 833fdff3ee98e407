"""The table of a cross-validation on narrow terminals: nothing of it is cut."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from medray.crossval.print_crossval import print_crossval_result
from medray.runs.fold_results import CrossvalTrial
from medray.runs.rundir import RunDir
from medray.runs.trial_record import TrialRecord
from medray.tasks import SINGLE


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_score_is_there_at_any_width(width: int) -> None:
    records = tuple(
        TrialRecord(i, "finished", metrics={m: 0.5 + i / 10 + j / 100 for j, m in enumerate(SINGLE.shown)},
                    settings={"backbone": "efficientnet_b0"})
        for i in range(2)
    )  # fmt: skip
    trial = CrossvalTrial(17, records, np.arange(2), np.arange(2), np.eye(2))
    folds = type("TwoFolds", (), {"__len__": lambda _: 2, "held_out": np.arange(2)})()
    searched = SimpleNamespace(
        run=RunDir("/runs/x"), space=SimpleNamespace(metric="auc", task="single"), records=[]
    )
    result: Any = SimpleNamespace(
        searched=searched,
        folds=folds,
        trials=[trial],
        unfinished={},
        doubted=None,
        gain=None,
        left=0,
        resume_command="",
    )
    stream = io.StringIO()
    print_crossval_result(result, Console(file=stream, width=width))
    text = stream.getvalue()
    assert "trial" in text
    assert "17" in text
    assert "efficientnet_b0" in text
    for j, metric in enumerate(SINGLE.shown):
        assert metric in text
        assert f"{0.55 + j / 100:.4f} ± 0.0707" in text
