"""The steps that make a model: search, cross-validation and ensemble."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medray.study.folder import StudyFolder

if TYPE_CHECKING:
    from medray.crossval.nested.run_nested import NestedResult
    from medray.crossval.run_crossval import CrossvalResult
    from medray.ensemble.build_ensemble import EnsembleResult
    from medray.search.run_search import SearchResult
    from medray.study.steps.run_study import StudyResult


class TrainingSteps(StudyFolder):
    """The steps that train networks, select those of the ensemble, and set its decisions."""

    def run(
        self,
        *,
        hours: float | None = None,
        trials: int | None = None,
        max_epochs: int | None = None,
        top: int | None = None,
        folds: int | None = None,
        sensitivity: float | Sequence[float] = (),
        youden: bool = False,
        cost_ratio: float | Sequence[float] = (),
        positive: str | None = None,
        seed: int | None = None,
        concurrency: int | None = None,
        allow_leaks: bool = False,
    ) -> "StudyResult":
        """Do all steps up to the report that the run's files do not have yet; the test split is not read.

        Args:
            hours: about how long all steps may take: half of it the search, then as many folds as fit.
            trials: trials of the search; the space's budget where neither this nor `hours` is given.
            max_epochs: most epochs of a trial; the space's budget where it is not given.
            top: settings that are trained on all folds; 3, or as many as there is time for.
            folds: number of folds; 5, or those that the data set brings along, where it is not given.
            sensitivity, youden, cost_ratio, positive: the operating points, as for `ensemble`.
            seed: seed of draws, weights and folds; 0 where it is not given.
            concurrency: most trainings side by side on Ray.
            allow_leaks: start though splits share images or patients.

        Raises:
            MedrayError: something that you can mend is wrong; nothing that was done is lost, and the same call
                goes on with it.

        Example:
            >>> study.run().interrupted is None
            True
        """
        from medray.ensemble.build_ensemble import make_rules
        from medray.study.steps.run_study import run_study
        from medray.study.steps.study_options import StudyOptions

        options = StudyOptions(
            name=self.space, data=self.data, hours=hours, trials=trials, max_epochs=max_epochs, top=top,
            folds=folds, rules=make_rules(_several(sensitivity), youden, _several(cost_ratio)), positive=positive,
            seed=seed, concurrency=concurrency, out=self.location, allow_leaks=allow_leaks, address=self.address,
            runner=self.runner, track=self.track,
        )  # fmt: skip
        return run_study(options, self._console())

    def search(
        self,
        *,
        trials: int | None = None,
        hours: float | None = None,
        stop_when_flat: bool | None = None,
        max_epochs: int | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        concurrency: int | None = None,
        baselines_only: bool = False,
        warm_start: Sequence[str] = (),
        allow_leaks: bool = False,
        resume: bool = False,
    ) -> "SearchResult":
        """Search the hyperparameters; leave a leaderboard and the averaged top-k ensemble in the run's folder.

        Args:
            trials: trials in all, baselines among them; the space's budget where neither this nor `hours` is
                given.
            hours: most wall time, of all calls for this run together; likewise.
            stop_when_flat: end where more trials are unlikely to help; the space's budget where it is not given.
            max_epochs: most epochs of a trial; the space's budget where it is not given.
            top_k: most members of the ensemble; 8 where it is not given.
            seed: seed of the draws and of the weights; 0 where it is not given.
            concurrency: most trials side by side on Ray.
            baselines_only: run the space's baselines and nothing else.
            warm_start: folders of earlier runs, whose best settings go first and whose trials inform the draws.
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
            space=self.space, data=self.data, trials=trials, hours=hours, stop_when_flat=stop_when_flat,
            max_epochs=max_epochs, top_k=top_k, seed=seed, concurrency=concurrency, out=self.location,
            resume=resume, baselines_only=baselines_only, warm_start=tuple(map(str, warm_start)),
            allow_leaks=allow_leaks, address=self.address, runner=self.runner, track=self.track,
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
            track=self.track,
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
            top_k: most trials, or settings, in the top-k average; 8 where it is not given.
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


def _several(values: float | Sequence[float]) -> Sequence[float]:
    return values if isinstance(values, Sequence) else (values,)
