"""The step of a study that makes its model: members, temperature, operating points and sets."""

from medray.ensemble.build_ensemble import EnsembleOptions, run_ensemble
from medray.ensemble.candidates import FOLDS
from medray.ensemble.manifest import read_manifest
from medray.ensemble.print_ensemble import print_result
from medray.runs.fold_results import read_crossval_trials
from medray.study.steps.study_step import StudyContext


class EnsembleStep:
    """The ensemble, of folds where there are any, with the operating points that were asked for."""

    name = "ensemble"

    def done(self, study: StudyContext) -> str | None:
        """Return members and points where the ensemble is of all there is and has the points asked for."""
        searched, run = study.searched(), study.run
        selections = None if searched is None else run.read_selections()
        if searched is None or selections is None or study.changed:
            return None
        folds = bool(read_crossval_trials(run, searched.data.cases))
        compared = any(selection.source == FOLDS for selection in selections.selections)
        manifest = read_manifest(run.ensemble)
        options, names = study.options, manifest.class_names
        points = {
            (point.rule, None if options.positive is None else names[point.event.class_index])
            for point in manifest.operating_points
        }
        asked = {(rule, options.positive) for rule in options.rules}
        return manifest.summary if folds == compared and points >= asked else None

    def plan(self, study: StudyContext) -> str:
        """Return what will be set on it."""
        points = ", ".join(rule.name for rule in study.options.rules) or "no operating point"
        return f"the best averaged and calibrated; {points}"

    def work(self, study: StudyContext) -> str:
        """Make the ensemble."""
        options = study.options
        given = EnsembleOptions(
            study.run.location, rules=options.rules, positive=options.positive, data=options.data
        )
        result = run_ensemble(given, study.console)
        print_result(result, study.console, hints=False)
        return result.manifest.summary
