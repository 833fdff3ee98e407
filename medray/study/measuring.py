"""The steps that measure a model and show what was searched."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medray.study.folder import StudyFolder

if TYPE_CHECKING:
    import pandas as pd

    from medray.evaluate.external.run_external import ExternalEvaluation
    from medray.evaluate.run_evaluation import Evaluation


class MeasuringSteps(StudyFolder):
    """The steps that measure the ensemble, and the tables and the report of it."""

    def evaluate(self, *, again: bool = False, seed: int | None = None) -> "Evaluation":
        """Read the test split, once, and measure every model on it; a later call answers from what was stored.

        Args:
            again: read the test split once more; each reading is counted.
            seed: seed of the bootstrap; 0 where it is not given.

        Raises:
            MedrayError: something that you can mend is wrong.
            RunError: the split was read for another ensemble, and `again` is not given.

        Example:
            >>> study.evaluate().stored, study.evaluate().stored
            (False, True)
        """
        from medray.evaluate.run_evaluation import EvaluateOptions, run_evaluate

        options = EvaluateOptions(self.location, again=again, data=self.data, seed=seed, track=self.track)
        return run_evaluate(options, self._console())

    def evaluate_external(
        self,
        source: str | Path,
        *,
        class_map: Mapping[str, str | None] | None = None,
        again: bool = False,
        seed: int | None = None,
    ) -> "ExternalEvaluation":
        """Measure the ensemble as it is on another hospital's images: a reading that is counted apart.

        It does not read the test split; the figures stand beside its last read, if there is one. A later call for
        the same images answers from what was stored.

        Args:
            source: the other images, as `data` of a study.
            class_map: the study's class by theirs, None for one to leave out; classes that it does not name have
                the names of the study's.
            again: read the images once more; each reading is counted.
            seed: seed of the recalibration's random part; 0 where it is not given.

        Raises:
            MedrayError: something that you can mend is wrong.
            DataError: a class is neither the study's nor in `class_map`.

        Example:
            >>> elsewhere = study.evaluate_external("phantom?images=200&seed=1", class_map={"spleen": None})
            >>> elsewhere.scores.figures.missing_classes, elsewhere.by_run
            (('spleen',), 1)
        """
        from medray.evaluate.external.class_map import map_texts
        from medray.evaluate.external.run_external import ExternalOptions, run_external

        options = ExternalOptions(
            self.location, str(source), map_texts(class_map or {}), again=again, data=self.data, seed=seed
        )
        return run_external(options, self._console())

    def report(self, *, out: str | Path | None = None, images: bool = True) -> str:
        """Write the report, one HTML file, and return where it lies.

        Args:
            out: another file than the run's report/index.html.
            images: show images of the study in it.

        Raises:
            MedrayError: there is no run, it is damaged, or the file can't be written.

        Example:
            >>> study.report().endswith("report/index.html")
            True
        """
        from medray.report.write_report import ReportOptions, write_report

        options = ReportOptions(
            self.location, data=self.data, no_images=not images, out=None if out is None else str(out)
        )
        return write_report(options, self._console()).path

    def export(self, *, out: str | Path | None = None) -> str:
        """Write the ensemble as one ONNX file that answers without medray, with a model card; return the folder.

        Args:
            out: another folder than the run's export/.

        Raises:
            RunError: there is no ensemble, it can't be converted, or the folder can't be written.

        Example:
            >>> study.export().endswith("runs/x/export")
            True
        """
        from medray.export.run_export import ExportOptions, run_export

        options = ExportOptions(self.location, out=None if out is None else str(out), data=self.data)
        return run_export(options, self._console()).folder

    def trials(self) -> "pd.DataFrame":
        """Return one row a trial: state, objective, validation metrics at the best epoch, time, and all settings.

        Raises:
            RunError: there is no run yet.
        """
        from medray import analyze

        return analyze.trials(self.location)

    def folds(self) -> "pd.DataFrame":
        """Return one row a fold of a cross-validated trial: metrics on the images that it holds out.

        Raises:
            RunError: there is no run yet.
        """
        from medray import analyze

        return analyze.folds(self.location)
