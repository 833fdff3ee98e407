"""Frames: stable columns, and the files' own numbers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import medray.analyze
from medray.analyze.frame_columns import EPOCHS, FOLDS, PREDICTIONS, TRIALS, Column
from medray.errors import RunError
from medray.stats.score_names import METRICS
from tests.analyze.conftest import edit, probabilities_of

FRAMES = {
    "trials": (medray.analyze.trials, TRIALS),
    "epochs": (medray.analyze.epochs, EPOCHS),
    "folds": (medray.analyze.folds, FOLDS),
    "predictions": (medray.analyze.predictions, PREDICTIONS),
}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", FRAMES)
def test_columns_and_dtypes_are_those_that_are_documented(analysed: Path, name: str) -> None:
    make, columns = FRAMES[name]
    frame = make(str(analysed))
    own = [c for c in frame.columns if not c.startswith("p[")]
    assert {c: str(frame[c].dtype) for c in own} == {c.name: c.dtype for c in columns}
    assert own == [c.name for c in columns]
    assert len(frame)
    assert frame.attrs["notes"] == []


def documented(column: Column) -> str:
    if column.name in METRICS:
        return f"| metrics | {column.dtype} | {column.text} |"
    if column.text == "setting":
        return f"`{column.name}`"
    return f"| `{column.name}` | {column.dtype} | {column.text} |"


@pytest.mark.parametrize("name", FRAMES)
def test_the_docs_list_every_column(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs/analysis.md").read_text()
    section = text[text.index(f"### {name}:") :].split("\n### ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `") or line.startswith("| metrics")]
    wanted = [documented(c) for c in FRAMES[name][1] if c.text != "setting"]
    assert [row for row in rows if not row.startswith(("| `p[CLASS]`", "| `has[LABEL]`"))] == list(
        dict.fromkeys(wanted)
    )
    settings = " ".join(text[text.index("Settings are those of") :].split())
    kinds = {
        kind: settings.split(f"{kind}: ")[1].split(";")[0] for kind in ("string", "boolean", "float64", "Int64")
    }
    for column in FRAMES[name][1]:
        if column.text == "setting":
            assert documented(column) in kinds[column.dtype]
    assert all(metric in text for metric in METRICS)


def test_trials_are_what_their_records_say(analysed: Path) -> None:
    frame = medray.analyze.trials(str(analysed))
    assert frame["trial"].tolist() == [0, 1, 2, 3]
    for row in frame.to_dict("records"):
        record = json.loads((analysed / f"trials/{row['trial']:04d}/trial.json").read_text())
        for name in ("state", "objective", "best_epoch", "epochs", "seconds", "parameters", "ended_by"):
            assert row[name] == record[name], name
        assert {name: row[name] for name in record["metrics"]} == record["metrics"]
        assert row["max_epochs"] == record["settings"]["epochs"]
        assert row["learning_rate"] == record["settings"]["learning_rate"]
    assert frame["baseline"].isna().tolist() == [False, True, True, True]
    best = frame.sort_values(["objective", "trial"], ascending=[False, True])
    assert best["rank"].tolist() == [1, 2, 3, 4]


def test_epochs_are_the_lines_of_their_files(analysed: Path) -> None:
    frame = medray.analyze.epochs(str(analysed))
    told = [(n, line) for n in range(4) for line in lines(analysed / f"trials/{n:04d}/epochs.jsonl")]
    assert len(frame) == len(told)
    for row, (number, line) in zip(frame.to_dict("records"), told, strict=True):
        assert (row["trial"], row["epoch"], row["train_loss"]) == (number, line["epoch"], line["train_loss"])
        assert {name: row[name] for name in line["metrics"]} == line["metrics"]


def test_folds_are_what_scores_csv_says(analysed: Path) -> None:
    scores = pd.read_csv(analysed / "crossval/scores.csv")
    scores = scores[~scores["fold"].isin(["mean", "std"])].assign(fold=lambda f: f["fold"].astype(int))
    scores = scores.sort_values(["trial", "fold"])
    frame = medray.analyze.folds(str(analysed))
    for name in ("trial", "fold", "best_epoch", "auc", "accuracy", "log_loss"):
        np.testing.assert_allclose(frame[name].to_numpy(float), scores[name].to_numpy(float))


def test_predictions_are_the_arrays_of_their_files_and_never_the_test_splits(analysed: Path) -> None:
    frame = medray.analyze.predictions(str(analysed))
    splits = json.loads((analysed / "splits.json").read_text())
    classes = json.loads((analysed / "data.json").read_text())["class_names"]
    columns = [f"p[{name}]" for name in classes]
    own = frame[(frame["trial"] == 1) & frame["fold"].isna()]
    probabilities, labels = probabilities_of(analysed / "trials/0001")
    np.testing.assert_array_equal(own[columns].to_numpy(np.float32), probabilities)
    assert own["label"].tolist() == [classes[label] for label in labels]
    assert own["position"].tolist() == splits["val"]
    assert not set(frame["position"]) & set(splits["test"])
    folded = frame[frame["source"] == "out-of-fold"]
    for _, part in folded.groupby("trial"):
        assert sorted(part["position"]) == sorted(splits["train"] + splits["val"])
    number = int(folded["trial"].iloc[0])
    with np.load(analysed / f"crossval/{number:04d}/out_of_fold.npz") as file:
        joined = folded[folded["trial"] == number].set_index("position")[columns].loc[file["positions"]]
        np.testing.assert_allclose(joined.to_numpy(float), file["probabilities"], atol=1e-7)


def test_several_runs_stand_below_each_other_under_their_names(analysed: Path, run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    frame = medray.analyze.trials(str(run), str(other))
    assert frame.columns[0] == "run"
    assert frame["run"].tolist() == ["found"] * 4 + ["other"] * 4
    alike = medray.analyze.trials(str(run), str(analysed))["run"].unique().tolist()
    assert alike == [f"{run.parent.name}/found", f"{analysed.parent.name}/found"]
    with pytest.raises(RunError, match="named twice"):
        medray.analyze.trials(str(run), str(run))


def test_a_uri_tells_the_same_as_the_folder(analysed: Path) -> None:
    pd.testing.assert_frame_equal(medray.analyze.trials(analysed.as_uri()), medray.analyze.trials(str(analysed)))


def test_a_running_trial_is_told_as_far_as_it_has_come(run: Path) -> None:
    (run / "trials/0000/trial.json").unlink()
    (run / "trials/0002/trial.json").unlink()
    epochs = run / "trials/0002/epochs.jsonl"
    first, rest = epochs.read_bytes().split(b"\n", 1)
    epochs.write_bytes(first + b"\n" + rest[:40])  # torn in the second line
    frame = medray.analyze.trials(str(run)).set_index("trial")
    assert frame.loc[2, "state"] == "running"
    assert frame.loc[2, "epochs"] == 1
    assert frame.loc[2, "auc"] == json.loads(first)["metrics"]["auc"]
    assert frame.loc[2, "backbone"] == "lenet5"
    assert pd.isna(frame.loc[2, "rank"])
    assert frame.loc[0, "baseline"] == "plain"  # by the journal
    (note,) = frame.attrs["notes"]
    assert "trials/0002/epochs.jsonl: line 2 is torn" in note
    assert len(medray.analyze.epochs(str(run)).query("trial == 2")) == 1


def test_images_of_the_test_split_are_refused(run: Path) -> None:
    splits = json.loads((run / "splits.json").read_text())
    edit(run / "splits.json", test=splits["val"][:2])
    with pytest.raises(RunError, match="images of the test split"):
        medray.analyze.predictions(str(run))


def test_predictions_of_another_epoch_are_left_out_and_named(run: Path) -> None:
    edit(run / "trials/0001/trial.json", best_epoch=7)
    frame = medray.analyze.predictions(str(run))
    assert 1 not in set(frame[frame["fold"].isna()]["trial"])
    assert "the trial's best is 7" in " ".join(frame.attrs["notes"])


def test_a_setting_of_the_wrong_kind_is_left_out_and_named(run: Path) -> None:
    settings = json.loads((run / "trials/0001/trial.json").read_text())["settings"]
    edit(run / "trials/0001/trial.json", settings=settings | {"batch_size": "many", "droput": 0.1})
    frame = medray.analyze.trials(str(run))
    assert pd.isna(frame["batch_size"][1])
    assert "batch_size is left out" in frame.attrs["notes"][0]
    assert "did you mean 'dropout'?" in frame.attrs["notes"][1]
