"""Study: a whole study from Python, step by step; each step is what the command of its name does.

    import medray

    study = medray.Study("organs", data="phantom?images=300", out="runs/x", runner="local")
    study.search(trials=8, max_epochs=6)
    study.crossval(top=3, folds=5)
    study.ensemble(sensitivity=0.95, positive="liver")
    study.predict(images).names
    study.evaluate()                 # reads the test split, once
    study.report()

`runner="local"` trains in this process and never imports Ray; `runner="ray"` starts Ray, or joins the cluster at
`address`. Both leave the same files, so what one began the other may go on with, and so may the command line: a
study is its run's folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from medray._types import Array
    from medray.crossval.nested.run_nested import NestedResult
    from medray.crossval.run_crossval import CrossvalResult
    from medray.ensemble.build_ensemble import EnsembleResult
    from medray.ensemble.ensemble import Ensemble
    from medray.ensemble.prediction import Prediction
    from medray.evaluate.run_evaluation import Evaluation
    from medray.search.run_search import SearchResult


class Study:
    """A search space, its data and the run's folder that all steps write to.

    Args:
        space: a search space that ships with medray, by its name, or a YAML file, by its path.
        data: the source of the images, where it is not the space's own: `folder:PATH`, `csv:PATH`, `dicom:PATH`,
            `medmnist:NAME`, `phantom`, or an .npz file.
        out: the run's folder, a path or a URI; `runs/NAME` of the space where it is not given.
        runner: "ray" runs trials and folds on Ray, "local" in this process, one after another.
        address: the Ray cluster to join, e.g. "auto"; where it is not given, Ray starts in this process.
        quiet: print no progress.

    Raises:
        ConfigError: there is no such runner, `address` is given to the local one, or, where `out` is not given,
            there is no such space.

    Example:
        >>> import medray
        >>> study = medray.Study("organs", data="phantom?images=300", out="runs/x", runner="local", quiet=True)
        >>> study.location.endswith("runs/x")
        True
    """

    def __init__(
        self,
        space: str | Path,
        *,
        data: str | Path | None = None,
        out: str | Path | None = None,
        runner: str = "ray",
        address: str | None = None,
        quiet: bool = False,
    ) -> None:
        from medray.cluster.runners import check_runner
        from medray.runs.folder import locate
        from medray.space.loading import load_space

        check_runner(runner, address, None, None)
        self.space = str(space)
        self.data = None if data is None else str(data)
        self.location = locate(f"runs/{load_space(self.space).name}" if out is None else str(out))
        self.runner, self.address, self.quiet = runner, address, quiet

    @classmethod
    def open(
        cls,
        run: str | Path,
        *,
        data: str | Path | None = None,
        runner: str = "ray",
        address: str | None = None,
        quiet: bool = False,
    ) -> "Study":
        """Open the study in a run's folder, to go on with it or to ask its ensemble.

        Args:
            run: the run's folder, a path or a URI.
            data: where the images lie now, where that is not where the search found them.
            runner, address, quiet: as for `Study`.

        Raises:
            RunError: there is no run.

        Example:
            >>> medray.Study.open("runs/x").trials()["state"].tolist()
            ['finished', 'finished']
        """
        from medray.runs.finished_search import find_run

        folder = find_run(str(run))
        space = folder.path(folder.SPACE)
        return cls(space, data=data, out=folder.location, runner=runner, address=address, quiet=quiet)

    def search(
        self,
        *,
        trials: int | None = None,
        max_epochs: int | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        concurrency: int | None = None,
        baselines_only: bool = False,
        allow_leaks: bool = False,
        resume: bool = False,
    ) -> "SearchResult":
        """Search the hyperparameters; leave a leaderboard and the averaged top-k ensemble in the run's folder.

        Args:
            trials: trials in all, baselines among them; the space's budget where it is not given.
            max_epochs: most epochs of a trial; the space's budget where it is not given.
            top_k: members of the ensemble; 4 where it is not given.
            seed: seed of the draws and of the weights; 0 where it is not given.
            concurrency: most trials side by side on Ray.
            baselines_only: run the space's baselines and nothing else.
            allow_leaks: start though splits share images or patients.
            resume: go on with the run in the folder, after an interruption or beyond its number of trials.

        Raises:
            MedrayError: something that you can mend is wrong; nothing that was done is lost.

        Example:
            >>> study.search(trials=2, max_epochs=1).records[0].state
            'finished'
        """
        from medray.search.run_search import run_search
        from medray.search.search_options import SearchOptions

        options = SearchOptions(
            space=self.space, data=self.data, trials=trials, max_epochs=max_epochs, top_k=top_k, seed=seed,
            concurrency=concurrency, out=self.location, resume=resume, baselines_only=baselines_only,
            allow_leaks=allow_leaks, address=self.address, runner=self.runner,
        )  # fmt: skip
        return run_search(options, self._console())

    def crossval(
        self,
        *,
        top: int | None = None,
        folds: int | None = None,
        trials: Sequence[int] = (),
        baselines: bool = False,
        seed: int | None = None,
        concurrency: int | None = None,
        resume: bool = False,
    ) -> "CrossvalResult":
        """Train the best settings of the search on every fold; leave out-of-fold predictions and doubtful labels.

        Args:
            top: how many of the best settings; 3 where it is not given.
            folds: number of folds; 5, or those that the data set brings along, where it is not given.
            trials: the settings of these trials instead of the best.
            baselines: the search's baselines too; the result's `gain` compares with them.
            seed: seed of the folds and of the weights; 0 where it is not given.
            concurrency: most folds side by side on Ray.
            resume: go on with the cross-validation in the folder, or add settings to it.

        Raises:
            MedrayError: something that you can mend is wrong; nothing that was done is lost.

        Example:
            >>> len(study.crossval(top=1, folds=2).trials[0].records)
            2
        """
        from medray.crossval.plan import CrossvalOptions
        from medray.crossval.run_crossval import run_crossval

        options = CrossvalOptions(
            run=self.location, top=top, folds=folds, trials=tuple(trials), baselines=baselines, seed=seed,
            data=self.data, concurrency=concurrency, resume=resume, address=self.address, runner=self.runner,
        )  # fmt: skip
        return run_crossval(options, self._console())

    def nested_crossval(
        self,
        *,
        folds: int | None = None,
        seed: int | None = None,
        concurrency: int | None = None,
        resume: bool = False,
    ) -> "NestedResult":
        """Run the whole search again inside each fold, and measure its ensemble on what the fold holds out.

        Its scores are those of the procedure, which no selection flatters. It takes as long as so many searches.

        Args:
            folds: number of outer folds; 5, or those that the data set brings along, where it is not given.
            seed: seed of the folds and of the searches; 0 where it is not given.
            concurrency: most trials side by side on Ray.
            resume: go on with the nested cross-validation in the folder.

        Raises:
            MedrayError: something that you can mend is wrong; nothing that was done is lost.

        Example:
            >>> len(study.nested_crossval(folds=2).scores.ended)
            2
        """
        from medray.crossval.nested.plan_nested import NestedOptions
        from medray.crossval.nested.run_nested import run_nested

        options = NestedOptions(
            run=self.location, folds=folds, seed=seed, data=self.data, concurrency=concurrency, resume=resume,
            address=self.address, runner=self.runner,
        )  # fmt: skip
        return run_nested(options, self._console())

    def ensemble(
        self,
        *,
        strategy: str | None = None,
        source: str | None = None,
        top_k: int | None = None,
        sensitivity: float | Sequence[float] = (),
        youden: bool = False,
        cost_ratio: float | Sequence[float] = (),
        positive: str | None = None,
        coverages: Sequence[float] = (),
    ) -> "EnsembleResult":
        """Choose the members of the ensemble, calibrate it, and set its operating points.

        Members are selected on validation or out-of-fold predictions, all else is set on the calibration split
        where there is one; the test split is not read.

        Args:
            strategy: "top-k", "greedy" or "folds" (all folds of the best setting); "top-k" where it is not given.
            source: candidates are "trials" or "folds"; folds where there are any.
            top_k: trials, or settings, in the top-k average; 4 where it is not given.
            sensitivity: set an operating point at this sensitivity, 0 to 1; or at each of several.
            youden: set an operating point by Youden's index.
            cost_ratio: set an operating point where a miss costs so many false alarms; or several.
            positive: the class that operating points call.
            coverages: calibrate conformal sets for these coverages, 0 to 1; 0.9 and 0.95 where none is given.

        Raises:
            MedrayError: something that you can mend is wrong; an ensemble that was there stays as it was.

        Example:
            >>> study.ensemble(sensitivity=0.9, positive="liver").manifest.operating_points[0].name
            'sensitivity 0.9'
        """
        from medray.ensemble.build_ensemble import EnsembleOptions, make_rules, run_ensemble

        rules = make_rules(_several(sensitivity), youden, _several(cost_ratio))
        options = EnsembleOptions(
            run=self.location, strategy=strategy, source=source, top_k=top_k, rules=rules,
            positive=positive, coverages=tuple(coverages), data=self.data,
        )  # fmt: skip
        return run_ensemble(options, self._console())

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

        options = EvaluateOptions(self.location, again=again, data=self.data, seed=seed)
        return run_evaluate(options, self._console())

    def load_ensemble(self) -> "Ensemble":
        """Load the study's ensemble, onto the GPU where there is one.

        Raises:
            RunError: there is none, or it is damaged.
            WeightsError: a member's weights are missing or damaged.

        Example:
            >>> study.load_ensemble().class_names[0]
            'bladder'
        """
        from medray.predict.predict_files import open_ensemble

        return open_ensemble(self.location)

    def predict(self, images: "Array") -> "Prediction":
        """Ask the ensemble about images.

        Args:
            images: uint8 (N, H, W, C), of the height, width and channels that the networks were trained on.

        Returns:
            Calibrated probabilities float32 (N, classes), the likeliest classes, and what follows from them:
            decisions at operating points and conformal sets. Where images may have several labels, a
            `medray.ensemble.LabelSetPrediction`: the labels that are called, and the sets of each.

        Raises:
            DataError: the images have another shape or type.
            RunError: there is no ensemble, or it is damaged.

        Example:
            >>> import numpy as np
            >>> study.predict(np.zeros((3, 28, 28, 1), dtype=np.uint8)).probabilities.shape
            (3, 11)
        """
        return self.load_ensemble().predict(images)

    def predict_files(self, *paths: str | Path) -> "pd.DataFrame":
        """Ask the ensemble about image files, or all those of folders or tables; one row a file.

        It is what `medray predict` gives. The frame's `attrs["unreadable"]` names the files that could not be read
        and the rows of a table without a file, each with the reason; `attrs["notes"]` say what was guessed.

        Raises:
            DataError: a file or folder is not there, or a folder holds no images.
            RunError: there is no ensemble, or it is damaged.
        """
        import pandas as pd

        from medray.console import step
        from medray.predict.find_images import find_images
        from medray.predict.output_columns import FORMS, form
        from medray.predict.predict_files import predict_files
        from medray.text import plural

        ensemble = self.load_ensemble()
        columns = form(FORMS[0], ensemble.class_names, label_sets=ensemble.task.label_sets)
        found = find_images([str(path) for path in paths])
        with step(self._console(), f"Predicting {plural(len(found.files), 'image')}") as progress:
            predicted = predict_files(ensemble, found.files, columns, progress)
        frame = pd.DataFrame(predicted.rows, columns=[column.name for column in columns])
        frame.attrs["unreadable"] = [*found.missing, *predicted.unreadable]
        frame.attrs["notes"] = found.notes
        return frame.astype(dict.fromkeys(ensemble.class_names, float))

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

    def __repr__(self) -> str:
        return f"Study({self.space!r}, out={self.location!r}, runner={self.runner!r})"

    def _console(self) -> "Console":
        from medray.console import make_console

        if not self.quiet:
            return make_console()
        from rich.console import Console

        return Console(quiet=True)


def _several(values: float | Sequence[float]) -> Sequence[float]:
    return values if isinstance(values, Sequence) else (values,)
