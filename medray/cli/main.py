"""The console script `medray`; a command is imported only when it is named."""

from importlib import import_module

import click

from medray.cli.base import MedrayGroup

#: name -> the module that the command lies in, and its line in `medray --help`.
COMMANDS = {
    "data": ("medray.audit.data_command", "Look at images before any training: profile them, find leaks."),
    "init": ("medray.init.init_command", "Begin a study: look at the data, write a search space for it."),
    "study": (
        "medray.study.study_command",
        "A whole study by one line: all of the steps below up to the report.",
    ),
    "search": ("medray.search.search_command", "Search hyperparameters; leave a leaderboard and an ensemble."),
    "crossval": (
        "medray.crossval.crossval_command",
        "Train the best settings on every fold; list doubtful labels.",
    ),
    "ensemble": ("medray.ensemble.ensemble_command", "Select the members, calibrate them, set operating points."),
    "evaluate": (
        "medray.evaluate.evaluate_command",
        "Measure the ensemble on the test split, which is read once.",
    ),
    "status": ("medray.study.status.status_command", "How far a run has come, wherever it works."),
    "analyze": (
        "medray.analyze.analyze_command",
        "Tables and frames of finished, running or interrupted searches.",
    ),
    "track": ("medray.study.track_command", "Send a run to MLflow, TensorBoard or Weights & Biases."),
    "report": ("medray.report.report_command", "One HTML file: how good the model is, and what was searched."),
    "export": ("medray.export.export_command", "One ONNX file that answers without medray, with a model card."),
    "predict": (
        "medray.predict.predict_command",
        "Predict image files with the ensemble; a table of predictions.",
    ),
    "monitor": ("medray.monitor.monitor_command", "How the ensemble does in use: drift, and outcomes once known."),
    "serve": ("medray.serving.serve_command", "Serve the ensemble over HTTP, with a page to try it on."),
}


class _Commands(MedrayGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return find_command(name) if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands)
@click.version_option(package_name="medray", message="medray %(version)s")
def medray() -> None:
    """Search, cross-validate, ensemble and serve medical image classifiers, on Ray.

    `medray search organs --data phantom --trials 8 --max-epochs 6` is a first thing to try; `medray COMMAND
    --help` has more examples.
    """


def find_command(name: str) -> click.Command:
    """Import a command."""
    command: click.Command = getattr(import_module(COMMANDS[name][0]), name)
    return command


def run(name: str) -> None:
    """Run one command with the arguments of this process: what `python -m medray.NAME` does."""
    find_command(name)(prog_name=f"medray {name}")


def main() -> None:
    """Run the console script."""
    medray(prog_name="medray")


if __name__ == "__main__":
    main()
