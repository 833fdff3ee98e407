"""The step of a study that writes its report."""

from medray.report.write_report import ReportOptions, write_report
from medray.study.steps.study_step import StudyContext


class ReportStep:
    """One HTML file of all that the run's files tell."""

    name = "report"

    def done(self, study: StudyContext) -> None:
        """Return None: a report is written anew each time, as it takes seconds."""

    def plan(self, study: StudyContext) -> str:
        """Return where it will lie."""
        return study.run.report.path(study.run.REPORT)

    def work(self, study: StudyContext) -> str:
        """Write it."""
        return write_report(ReportOptions(study.run.location, data=study.options.data), study.console).path
