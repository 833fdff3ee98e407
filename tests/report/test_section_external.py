"""The report's part on other images: there where some were read, with the figures of the store."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from medray.evaluate.evaluate_command import evaluate
from medray.report.report_command import report
from tests.conftest import write_npz

pytestmark = pytest.mark.component


def test_other_images_that_were_read_have_a_part_of_their_own(finished_run: Path, tmp_path: Path) -> None:
    other = write_npz(tmp_path / "other.npz", seed=9, train=60, other=60)

    def page() -> str:
        result = CliRunner().invoke(report, [str(finished_run)])
        assert result.exit_code == 0, result.output
        return (finished_run / "report/index.html").read_text()

    from tests.evaluate.conftest import make_ensemble

    make_ensemble(finished_run, top_k=2)
    assert "External images" not in page()
    result = CliRunner().invoke(evaluate, [str(finished_run), "--external", str(other)])
    assert result.exit_code == 0, result.output
    shown = page()
    assert "External images: " in shown
    assert "What a recalibration on some of the external images would give" in shown
    assert "does not count as a read of the test split" in shown
    assert np.char.count(shown, "External images: ") == 1
