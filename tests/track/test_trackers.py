"""A run's files in MLflow, TensorBoard and wandb: real stores, a search that is resumed, a tracker that fails."""

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import medray
from medray.cli.main import medray as command
from medray.errors import ConfigError
from medray.runs.rundir import RunDir
from medray.track.entry import FOLD, SEARCH, SETTING, TEST_READ, TRIAL
from medray.track.trackers import TRACKERS, check_trackers

pytestmark = [
    pytest.mark.component,
    pytest.mark.filterwarnings("ignore"),  # of the trackers' packages and what they import
]
SECRET = "pa55word-that-nobody-may-read"


def ask(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(command, list(words))
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def mlflow_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of MLflow in this folder, and the folder as the working one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def mlflow_runs(experiment: str = "found") -> dict[str, Any]:
    """The runs of an experiment by their part of the medray run; each part is there once."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert max(Counter(run.data.tags["medray.part"] for run in runs).values()) == 1
    return {run.data.tags["medray.part"]: run for run in runs}


def history(run: Any, metric: str) -> list[tuple[int, float]]:
    from mlflow.tracking import MlflowClient

    return [(m.step, m.value) for m in MlflowClient().get_metric_history(run.info.run_id, metric)]


def artifacts(run: Any) -> set[str]:
    from mlflow.tracking import MlflowClient

    return {file.path for file in MlflowClient().list_artifacts(run.info.run_id)}


def test_mlflow_has_all_of_a_run(mlflow_store: Path, folded_run: Path) -> None:
    run = RunDir(str(shutil.copytree(folded_run, mlflow_store / "found")))
    ask("ensemble", run.location)
    ask("evaluate", run.location, "--track", "mlflow")
    runs = mlflow_runs()
    kinds = Counter(found.data.tags["medray.kind"] for found in runs.values())
    assert kinds == {SEARCH: 1, TRIAL: 4, SETTING: 2, FOLD: 6, TEST_READ: 1}
    trial, epochs = runs["trials/0001"], run.trial(1).epochs()
    assert history(trial, "val_auc") == [(epoch.epoch, epoch.metrics["auc"]) for epoch in epochs]
    assert history(trial, "train_loss") == [(epoch.epoch, epoch.train_loss) for epoch in epochs]
    assert trial.data.params["backbone"] == "resnet8_small"
    assert trial.data.params["learning_rate"] == "0.004"
    assert trial.data.tags["medray.data"] == run.read_data().fingerprint
    assert trial.data.tags["medray.version"] == "0"
    assert trial.info.status == "FINISHED"
    # Folds lie under their setting, which lies under the search, as trials do.
    parents = {part: found.data.tags.get("mlflow.parentRunId") for part, found in runs.items()}
    setting = f"crossval/{run.crossval.read_plan().trials[0]:04d}"
    assert parents[f"{setting}/fold_2"] == runs[setting].info.run_id
    assert parents[setting] == parents["trials/0001"] == runs["search"].info.run_id
    assert parents["search"] is None
    summary = run.crossval.read_summary(int(setting[-4:]))
    assert runs[setting].data.metrics["mean_auc"] == summary.mean["auc"]
    assert artifacts(runs["search"]) == {"manifest.json", "space.yaml"}  # this run was made without a leaderboard
    # What is of the test split is in one place.
    assert [part for part, found in runs.items() if any("test" in name for name in found.data.metrics)] == [
        "evaluation/read_0001"
    ]
    scores = json.loads((Path(run.location) / "evaluation/read_0001/scores.json").read_text())
    assert runs["evaluation/read_0001"].data.metrics["test_auc"] == scores["models"][0]["scores"]["auc"]["value"]

    ask("track", run.location, "mlflow")
    assert {part: found.info.run_id for part, found in mlflow_runs().items()} == {
        part: found.info.run_id for part, found in runs.items()
    }
    assert len(history(mlflow_runs()["trials/0001"], "val_auc")) == len(epochs)


SPACE = """
name: small
data: phantom
objective: {metric: auc}
budget: {trials: 2, max_epochs: 2, grace_epochs: 2, reduction_factor: 2, patience: null}
resources: {cpu: 1, gpu: 0}
space: {learning_rate: {log: [0.001, 0.01]}}
fixed: {backbone: lenet5, batch_size: 16}
"""


@pytest.mark.usefixtures("ray_address")
def test_a_search_that_goes_on_by_another_runner_is_one_run_in_each_tracker(mlflow_store: Path, npz: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (mlflow_store / "small.yaml").write_text(SPACE)
    names = ["mlflow", "tensorboard", "wandb"]
    local, ray = (
        medray.Study("small.yaml", data=npz, out="run", runner=runner, track=names, quiet=True)
        for runner in ("local", "ray")
    )
    local.search(trials=1)
    before = mlflow_runs("small")
    ray.search(trials=3, resume=True)
    after, run = mlflow_runs("small"), RunDir("run")
    assert set(after) == {"search", "trials/0000", "trials/0001", "trials/0002"}
    assert {part: after[part].info.run_id for part in before} == {
        part: found.info.run_id for part, found in before.items()
    }
    assert {found.info.status for found in after.values()} == {"FINISHED"}
    assert history(after["search"], "trials") == [(1, 1.0), (3, 3.0)]
    assert artifacts(after["search"]) == {"leaderboard.csv", "manifest.json", "space.yaml"}
    for number in range(3):
        events = EventAccumulator(f"run/tracking/tensorboard/trials/{number:04d}").Reload()
        sent = [(event.step, event.value) for event in events.Scalars("val_auc")]
        expected = [
            (epoch.epoch, pytest.approx(epoch.metrics["auc"], abs=1e-6)) for epoch in run.trial(number).epochs()
        ]
        assert sent == expected
        assert len(list(Path("run/tracking/wandb").glob(f"offline-run-*-trials-{number:04d}"))) == 1
    assert (
        "leaderboard.csv/text_summary"
        in EventAccumulator("run/tracking/tensorboard/search").Reload().Tags()["tensors"]
    )


def test_what_a_killed_command_has_sent_is_not_sent_again(mlflow_store: Path, finished_run: Path) -> None:
    """A trial in its first epoch, of a command that has died, then all of it: each epoch is there once."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trial = RunDir(str(finished_run)).trial(1)
    record, epochs = trial.read(trial.RECORD), trial.epochs()
    trial.delete(trial.RECORD)
    trial.write_epochs(epochs[:1])
    ask("track", str(finished_run), "mlflow", "tensorboard", "wandb")
    begun = mlflow_runs()["trials/0001"]
    assert (begun.info.status, len(history(begun, "val_auc"))) == ("KILLED", 1)
    assert not list(finished_run.glob("tracking/wandb/offline-run-*-trials-0001"))
    trial.write(trial.RECORD, record)
    trial.write_epochs(epochs)
    ask("track", str(finished_run), "mlflow", "tensorboard", "wandb")
    ended = mlflow_runs()["trials/0001"]
    assert (ended.info.run_id, ended.info.status) == (begun.info.run_id, "FINISHED")
    assert [step for step, _ in history(ended, "val_auc")] == [1, 2]
    events = EventAccumulator(str(finished_run / "tracking/tensorboard/trials/0001")).Reload()
    assert [event.step for event in events.Scalars("val_auc")] == [1, 2]
    assert len(list(finished_run.glob("tracking/wandb/offline-run-*-trials-0001"))) == 1


def test_wandb_s_files_hold_the_epochs_and_nothing_secret(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    ask("track", str(finished_run), "wandb")
    folder = finished_run / "tracking/wandb"
    ended = sorted(path.name.partition("-trials-")[2] for path in folder.glob("offline-run-*-trials-*"))
    assert ended == ["0000", "0001", "0002", "0003"]
    (stored,) = folder.glob("offline-run-*-trials-0001/run-*.wandb")
    content = stored.read_bytes()
    assert b"val_auc" in content
    assert b"resnet8_small" in content
    # Under xdist it is "-c" alone, which is in any file.
    command_line = " ".join(["-m pytest" if argument == "-c" else argument for argument in sys.argv]).encode()
    for path in folder.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
            assert command_line not in path.read_bytes(), path
    ask("track", str(finished_run), "wandb")
    assert len(list(folder.glob("offline-run-*-trials-*"))) == 4


def test_a_tracker_that_fails_costs_one_line_and_no_secret(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is not there, whose address holds a password; then one that is, by the line's own command."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:{SECRET}@127.0.0.1:9/")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    ask("ensemble", str(finished_run))
    output = ask("evaluate", str(finished_run), "--track", "mlflow")
    lines = [line for line in output.splitlines() if line.startswith("mlflow")]
    assert len(lines) == 1
    assert lines[0].startswith("mlflow failed, and the command goes on: MlflowException: ")
    assert lines[0].endswith(f"what it lacks is sent by: medray track {finished_run} mlflow")
    assert SECRET not in output
    assert (finished_run / "evaluation/read_0001/scores.json").is_file()
    assert not [
        path for path in finished_run.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    ask("track", str(finished_run), "mlflow", code=1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    ask("track", str(finished_run), "mlflow")
    assert "evaluation/read_0001" in mlflow_runs()


def test_an_unknown_tracker_and_a_missing_package_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ask("search", "organs", "--track", "tensorbord", code=2)
    assert (
        line
        == "medray: --track: unknown tracker 'tensorbord' (did you mean 'tensorboard'?); valid: mlflow, tensorboard, wandb\n"
    )
    with pytest.raises(ConfigError, match="unknown tracker 'ml-flow'"):
        medray.Study("organs", track="ml-flow")
    # An environment without them, in which a folder happens to have the name.
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(
        ConfigError, match=r"^--track wandb: the package wandb is missing: pip install 'medray\[wandb\]'$"
    ):
        check_trackers(["wandb"])


def test_every_tracker_has_an_extra() -> None:
    import tomllib

    content = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert set(content["project"]["optional-dependencies"]) >= set(TRACKERS)
