"""A report's figures beside our own: of the same baselines, worked out from what the run has stored."""

import dataclasses
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from sklearn import metrics as sklearn_metrics

from medray.ensemble.manifest import read_manifest
from medray.evaluate import measure_models
from medray.evaluate.evaluated_models import predict_members
from medray.evaluate.print_published import print_published
from medray.evaluate.published_scores import PublishedComparison
from medray.evaluate.same_data import same_data
from medray.runs.crossval_documents import CrossvalSummary, FoldSummary
from medray.runs.finished_search import open_finished_search
from medray.runs.run_facts import DataFacts, SplitFacts
from medray.runs.rundir import RunDir
from medray.runs.trial_record import FAILED, TrialRecord
from medray.space.published import Published
from medray.stats.scores import Predictions
from tests.evaluate.conftest import FEW, answer, ask, content, stored_read_names

REASON = "pretrained: the weights of resnet50 can't be had: " + "no folder and no network, " * 8
PUBLISHED = """\
  fast: {learning_rate: 0.004, backbone: resnet8_small}
  failing: {learning_rate: 0.01, backbone: lenet5}
  never: {learning_rate: 0.02, backbone: lenet5}
published:
  report: Lee et al. 2024
  data: three corners in 12×12
  positive: "1"
  note: read with care
  figures:
    plain:
      val: {accuracy: 0.5, f1_weighted: 0.25}
      test: {accuracy: 0.75, precision_weighted: 0.625, recall_weighted: 0.75, f1_weighted: 0.7, f1_positive: 0.125}
      folds: {f1_positive: {mean: 0.9734, sd: 0.029}}
    failing: {test: {accuracy: 0.875}}
    never: {test: {accuracy: 0.9}}
    mean: {average_of: [plain, fast], train: {accuracy: 0.97, auc: 0.98}, val: {log_loss: 0.3}, test: {accuracy: 0.95, auc: 0.99}}
    broken: {average_of: [plain, failing], test: {accuracy: 0.96}}
"""


@pytest.fixture(scope="session")
def told_run(made_ensemble: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a report, two baselines that ended, one that failed and one that was not run; evaluated."""
    folder = Path(shutil.copytree(made_ensemble, tmp_path_factory.mktemp("told") / "run"))
    run = RunDir(str(folder))
    run.write(run.SPACE, run.read(run.SPACE) + PUBLISHED.encode())
    for number, name in ((1, "fast"), (4, "failing")):
        record = run.trial(number).record() or TrialRecord(4, FAILED, reason=REASON)
        run.trial(number).write_record(dataclasses.replace(record, baseline=name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure_models, "RESAMPLES", FEW)
        answer(folder)
    return folder


@pytest.fixture
def told(told_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(told_run, tmp_path / "told"))


def table(document: dict[str, Any], split: str) -> dict[str, dict[str, Any]]:
    (compared,) = [table for table in document["published"]["tables"] if table["split"] == split]
    return {row["name"]: row for row in compared["models"]}


def here(row: dict[str, Any]) -> dict[str, float | None]:
    return {metric: own["here"] for metric, own in row["figures"].items()}


def predictions(run: Path, number: int) -> tuple[Any, Any]:
    with np.load(run / f"trials/{number:04d}/val_predictions.npz") as file:
        return file["probabilities"], file["labels"]


def test_test_figures_are_those_of_the_one_reading(told_run: Path) -> None:
    document = answer(told_run)
    models = {model["name"]: model["scores"] for model in document["models"]}
    row = table(document, "test")["plain"]
    scores = models["baseline plain (trial 0)"]
    wanted = {name: scores[name]["value"] for name in row["figures"] if name != "f1_positive"}
    with np.load(told_run / "evaluation/read_0001/test_predictions.npz") as stored:
        place = list(stored["models"]).index("baseline plain (trial 0)")
        called = stored[f"model_{place}"].argmax(axis=1)
        wanted["f1_positive"] = sklearn_metrics.f1_score(stored["labels"] == 1, called == 1)
    assert len(wanted) == 5
    assert here(row) == pytest.approx(wanted, abs=1e-9)
    published = {name: own["published"] for name, own in row["figures"].items()}
    assert (published["accuracy"], published["precision_weighted"], published["f1_positive"]) == (
        0.75,
        0.625,
        0.125,
    )
    assert row["note"] is None


def test_validation_figures_are_those_of_the_trials_record(told_run: Path) -> None:
    record = RunDir(str(told_run)).trial(0).record()
    assert record is not None
    row = table(answer(told_run), "val")["plain"]
    assert here(row) == pytest.approx({m: record.metrics[m] for m in ("accuracy", "f1_weighted")}, abs=1e-9)


def test_a_mean_of_baselines_is_of_their_probabilities(told_run: Path) -> None:
    (first, labels), (second, _) = predictions(told_run, 0), predictions(told_run, 1)
    mean = (first.astype(np.float64) + second) / 2
    row = table(answer(told_run), "val")["mean"]
    assert row["average_of"] == ["plain", "fast"]
    wanted = sklearn_metrics.log_loss(labels, mean / mean.sum(axis=1, keepdims=True))
    assert here(row) == pytest.approx({"log_loss": wanted}, abs=1e-6)
    assert set(here(table(answer(told_run), "test")["mean"])) == {"accuracy", "auc"}


def test_train_figures_are_those_of_the_networks_on_what_they_were_trained_on(told_run: Path) -> None:
    searched = open_finished_search(str(told_run))
    dataset = searched.load_data(None)
    images = dataset.split("train")
    own = predict_members(
        searched.run, read_manifest(searched.run.ensemble), dataset, images, [(0, None), (1, None)]
    )
    mean = np.mean([outputs.probabilities for outputs in own.values()], axis=0)
    both = Predictions(mean, images.own_labels, len(dataset.class_names)).scores()
    (row,) = table(answer(told_run), "train").values()
    assert row["average_of"] == ["plain", "fast"]
    assert here(row) == pytest.approx({name: both[name] for name in ("accuracy", "auc")}, abs=1e-6)
    shown = ask(told_run).output
    assert re.search(r"on the training split, which the networks\s+have seen", shown)


def test_what_failed_or_was_not_run_says_so_in_its_row(told_run: Path) -> None:
    rows = table(answer(told_run), "test")
    assert rows["failing"]["note"] == f"failed (trial 4): {REASON}"
    assert rows["never"]["note"].startswith("not run; --baselines-only")
    assert rows["broken"]["note"] == f"failing: failed (trial 4): {REASON}"
    for name in ("failing", "never", "broken"):
        assert here(rows[name]) == {"accuracy": None}
    shown = ask(told_run).stdout
    assert re.search(r"failing +failed \(trial 4\): pretrained: the weights of resnet50", shown)


def test_over_folds_it_is_mean_and_deviation(told: Path) -> None:
    assert "not cross-validated; medray crossval --trial 0" in table(answer(told), "folds")["plain"]["note"]
    _, labels = predictions(told, 0)
    run, values = RunDir(str(told)), []
    for fold, right in enumerate((24, 12)):  # the first fold calls all images rightly, the second half of them
        own = np.where(np.arange(24) < right, labels, (labels + 1) % 3)
        np.savez(told / "own.npz", probabilities=np.eye(3, dtype=np.float32)[own], labels=labels, epoch=7)
        run.fold(0, fold).write("val_predictions.npz", (told / "own.npz").read_bytes())
        values.append(sklearn_metrics.f1_score(labels == 1, own == 1))
    folds = tuple(FoldSummary(fold, 24, 7, 9, 1.0, {}, ()) for fold in range(2))
    summary = CrossvalSummary(0, folds, {}, {}, {}, 48, ("0", "1", "2"), ())
    run.crossval.trial(0).write_json("summary.json", summary.to_dict())
    row = table(answer(told), "folds")["plain"]
    assert (row["folds"], row["note"]) == (2, None)
    assert row["figures"]["f1_positive"] == pytest.approx(
        {"published": 0.9734, "published_sd": 0.029, "here": np.mean(values), "here_sd": np.std(values, ddof=1)}
    )
    assert f"0.973 ± 0.029  {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}  2 folds here" in ask(told).stdout


def test_it_is_worked_out_anew_and_reads_nothing_more(told: Path) -> None:
    data = Path(json.loads((told / "run.json").read_text())["options"]["data"])
    assert "published" not in json.loads((told / "evaluation/read_0001/scores.json").read_text())
    (told / "run.json").write_text((told / "run.json").read_text().replace(str(data), "/gone.npz"))
    before = content(told)
    space = (told / "space.yaml").read_text()
    (told / "space.yaml").write_text(space.replace("accuracy: 0.75,", "accuracy: 0.76,"))
    document = answer(told)
    assert table(document, "test")["plain"]["figures"]["accuracy"]["published"] == 0.76
    assert (document["from_store"], document["times_read"]) == (True, 1)
    (told / "space.yaml").write_text(space)
    assert content(told) == before
    assert stored_read_names(told) == ["read_0001"]


def test_a_run_without_a_report_has_no_table(run: Path) -> None:
    assert answer(run)["published"] is None
    assert "Published" not in ask(run).stdout


def test_a_damaged_file_takes_no_other_figure_along(told: Path) -> None:
    (told / "trials/0000/val_predictions.npz").write_bytes(b"no longer predictions")
    document = answer(told)
    assert "0000/val_predictions.npz can't be read" in table(document, "val")["plain"]["note"]
    assert table(document, "test")["plain"]["note"] is None


def test_a_class_that_is_not_there_is_named(told: Path) -> None:
    space = (told / "space.yaml").read_text()
    (told / "space.yaml").write_text(space.replace('positive: "1"', "positive: Abnormal"))
    row = table(answer(told), "test")["plain"]
    assert row["note"] == "no class 'Abnormal' here"
    assert here(row)["f1_positive"] is None
    assert here(row)["accuracy"] is not None


# -- whether the two can be compared


def report(source: str | None = None, **images: int) -> Published:
    return Published("a", "OrganSMNIST", source, images, None, None, ())


ORGANS = "medmnist:organsmnist"
PLACES = [
    (report(ORGANS), "phantom:organs", False, "NOT COMPARABLE: the images here are drawings (phantom:organs), the"),
    (report(ORGANS), "x.npz", False, "OTHER DATA: the published figures are of medmnist:organsmnist, those here of x.npz"),
    (report(ORGANS), "medmnist:organsmnist:64", False, "OTHER DATA: "),
    (report(ORGANS), "medmnist:organsmnist:28", True, None),
    (report(ORGANS), "/mnt/organsmnist.npz", True, None),
    (report(ORGANS), "/mnt/organsmnist_64.npz", False, "OTHER DATA: "),
    (report("/a/films.npz"), "/b/films.npz", False, "OTHER DATA: "),
    (report("folder:gone?x"), "csv:gone?x", False, "OTHER DATA: "),
    (report(ORGANS, val=300, test=1000), ORGANS, True, None),
    (report(ORGANS, val=300, test=1002), ORGANS, True, "NEARLY THE SAME DATA: the report had 300 val, 1002 test images, "
     "here are 300 val, 1000 test."),
    (report(val=300), "folder:films", True, None),
    (report(val=290), "folder:films", False, "OTHER DATA: the report had 290 val images, here are 300 val."),
    (report(train=290), "folder:films", False, "here are 0 train."),
    (report(), "folder:films", None, "can't be told from their source, folder:films."),
]  # fmt: skip


@pytest.mark.parametrize(("published", "source", "comparable", "sentence"), PLACES)
def test_other_data_are_told_of(
    published: Published, source: str, comparable: bool | None, sentence: str | None
) -> None:
    splits = {name: SplitFacts(images, (images,)) for name, images in (("val", 300), ("test", 1000))}
    data = DataFacts(source, (), "", 1300, (28, 28, 1), "crop", ("a",), None, (), None, splits, ())
    same, warning = same_data(published, data)
    assert same is comparable
    assert (warning is None) == (sentence is None)
    assert (sentence or "") in (warning or "")


def test_training_images_that_are_kept_aside_are_the_reports_too() -> None:
    counts = {"train": 80, "calibration": 20, "val": 300}
    splits = {name: SplitFacts(images, (images,)) for name, images in counts.items()}
    data = DataFacts("folder:x", (), "", 400, (28, 28, 1), "crop", ("a",), None, (), None, splits, ())
    same, sentence = same_data(report(train=100, val=300), data)
    assert same is True
    assert sentence == "20 training images are kept aside here to calibrate on; the report trained on them."


def test_a_phantoms_figures_are_printed_under_a_warning(told: Path) -> None:
    data = json.loads((told / "data.json").read_text())
    (told / "data.json").write_text(json.dumps({**data, "source": "phantom:organs"}))
    assert answer(told)["published"]["comparable"] is False
    lines = ask(told).stdout.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("Published: "))
    assert lines[place].endswith("Lee et al. 2024; its data: three corners in 12×12. Here: phantom:organs.")
    assert lines[place + 1].startswith("NOT COMPARABLE: the images here are drawings (phantom:organs)")
    assert lines[place + 2] == "Note: read with care."
    assert "Published figures and those here, on the test split; 24 images here" in lines


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_no_figure_is_cut_off_at_any_width(told_run: Path, width: int) -> None:
    document, stream = answer(told_run), io.StringIO()
    print_published(Console(file=stream, width=width), PublishedComparison.from_dict(document["published"]))
    text = stream.getvalue()
    assert max(cell_len(line) for line in text.splitlines() if line.startswith(" ")) <= width
    row = table(document, "test")["plain"]
    for figure in row["figures"].values():
        assert f"{figure['published']:.3f}" in text
        assert f"{figure['here']:.3f}" in text
    squeezed = re.sub(r"\s+", " ", text)
    for word in ("F1 of 1", "precision weighted", "never", "not run; --baselines-only", "mean of plain, fast"):
        assert word in squeezed
