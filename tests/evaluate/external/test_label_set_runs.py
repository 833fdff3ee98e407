"""`medray evaluate --external` of a run of several labels: every figure by label, beside those of its test split."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import medray
from medray._types import Array
from medray.data.load_data import load_data
from medray.evaluate.external.print_external import print_external
from medray.evaluate.external.run_external import ExternalEvaluation, ExternalOptions, run_external
from tests.evaluate.external.conftest import write_images
from tests.label_set_images import LABELS, label_set_arrays
from tests.studied_runs import label_set_study

pytestmark = pytest.mark.component


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> medray.Study:
    study = label_set_study(tmp_path_factory.mktemp("several"))
    study.evaluate()
    return study


def cells(labels: Array) -> list[str]:
    """Each image's labels as a table has them; "clear" where it has none."""
    return ["|".join(np.array(LABELS)[row == 1]) or "clear" for row in labels]


def read(study: medray.Study, source: str, *maps: str) -> ExternalEvaluation:
    return run_external(ExternalOptions(study.location, source, maps), Console(file=io.StringIO()))


def printed(evaluation: ExternalEvaluation) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_external(evaluation, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="module")
def other() -> tuple[Array, Array]:
    return label_set_arrays(240, seed=21)


def test_the_own_test_split_has_the_internal_figures(study: medray.Study, tmp_path: Path) -> None:
    dataset = load_data(str(study.data))
    images, labels = dataset.split("test").take(np.arange(len(dataset.splits["test"])))
    evaluation = read(study, write_images(tmp_path / "own", images, cells(labels)), "clear=none")
    comparison, internal = evaluation.comparison, evaluation.internal
    assert comparison is not None
    assert internal is not None
    assert evaluation.scores.figures.confusion_matrix == internal.confusion_matrix
    assert set(comparison.scores) == set(internal.models[0].scores)
    rows = [*comparison.scores.values(), *comparison.class_auc.values(), *comparison.sensitivity.values(),
            *comparison.specificity.values(), *comparison.coverage.values()]  # fmt: skip
    assert len(rows) == 9 + 3 + 3 + 3 + 3
    for row in rows:
        assert row.external.value == pytest.approx(row.internal.value, abs=1e-6)
        assert row.difference.value == pytest.approx(0, abs=1e-6)
    copies = evaluation.scores.copies
    assert copies is not None
    assert copies.in_test == 90


def test_a_label_that_is_missing_there_is_named_and_means_over_labels_have_no_difference(
    study: medray.Study, other: tuple[Array, Array], tmp_path: Path
) -> None:
    images, labels = other
    theirs = [cell.replace("corner", "dots").replace("middle", "centre") for cell in cells(labels)]
    maps = ("dots=", "centre=middle", "clear=none")
    evaluation = read(study, write_images(tmp_path / "other", images, theirs), *maps)
    figures, comparison = evaluation.scores.figures, evaluation.comparison
    assert figures.missing_classes == ("corner",)
    assert figures.images == 240, "an image whose label is left out stays"
    counts = [sum(row) for row in figures.confusion_matrix]
    assert counts == [0, 240, 240]
    assert [sum(row[:2]) for row in figures.confusion_matrix[1:]] == labels.sum(axis=0).tolist()[1:]
    assert comparison is not None
    assert list(comparison.class_auc) == list(LABELS)
    assert comparison.class_auc["middle"].difference.low is not None
    assert comparison.scores["auc"].difference.value is None
    shifts = evaluation.scores.shifts
    assert shifts is not None
    assert [row.external.total for row in shifts.classes] == [0, 240, 240]
    assert shifts.classes[1].external.value == pytest.approx(labels[:, 1].mean())
    shown = printed(evaluation)
    assert "Unknown of every image there, so in no figure: corner." in shown
    flowed = " ".join(shown.split())
    assert "No difference of AUC" in flowed
    assert "it is over other labels than the internal one" in flowed
    assert "promised for images like those that set the threshold" in flowed
    assert "That recalibration by label" in shown
    assert max(len(line) for line in shown.splitlines() if "[" in line and line.startswith(" ")) <= 80
    order = np.random.default_rng(3).permutation(240).tolist()
    again = read(study, write_images(tmp_path / "moved", images, theirs, order=order), *maps)
    assert again.stored, "the same images in another order"
    assert again.scores.figures == figures


def test_the_order_of_the_rows_changes_nothing(
    study: medray.Study, other: tuple[Array, Array], tmp_path: Path
) -> None:
    images, labels = other
    order = np.random.default_rng(4).permutation(240).tolist()
    options = [
        ExternalOptions(study.location, write_images(tmp_path / name, images, cells(labels), order=rows), ("clear=none",),
                        again=True)
        for name, rows in (("a", None), ("b", order))
    ]  # fmt: skip
    first, second = (run_external(option, Console(file=io.StringIO())).scores for option in options)
    assert first.figures == second.figures
    assert first.recalibration == second.recalibration
    assert first.recalibration.methods
    assert first.shifts == second.shifts


def test_folders_of_one_label_each_say_nothing_of_the_others(
    study: medray.Study, other: tuple[Array, Array], tmp_path: Path
) -> None:
    images, labels = other
    kept = np.flatnonzero(labels.sum(axis=1) <= 1)
    for row in kept.tolist():
        folder = tmp_path / "folders" / cells(labels[[row]])[0]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row, :, :, 0]).save(folder / f"{row}.png")
    evaluation = read(study, f"folder:{tmp_path / 'folders'}", "clear=none")
    singles, clear = labels[kept].sum(axis=0).tolist(), int((labels[kept].sum(axis=1) == 0).sum())
    confusion = evaluation.scores.figures.confusion_matrix
    assert [(row[0] + row[1], row[2] + row[3]) for row in confusion] == [(count, clear) for count in singles]
    assert any("says nothing of others" in note for note in evaluation.scores.notes)


def test_arrays_of_several_labels_and_of_one_are_taken(
    study: medray.Study, other: tuple[Array, Array], tmp_path: Path
) -> None:
    images, labels = other
    ends, names = ((0, 80), (80, 160), (160, 240)), np.array(["middle", "corner", "spot"])
    columns = labels[:, [1, 0, 2]]
    for name, table in (("several", columns), ("one", columns.argmax(axis=1))):
        arrays = {"class_names": names}
        for split, (low, high) in zip(("train", "val", "test"), ends, strict=True):
            arrays |= {f"{split}_images": images[low:high], f"{split}_labels": table[low:high]}
        np.savez(tmp_path / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    several = read(study, str(tmp_path / "several.npz"), "spot=stripe").scores.figures
    assert [sum(row[:2]) for row in several.confusion_matrix] == labels.sum(axis=0).tolist()
    assert several.missing_classes == ()
    one = read(study, str(tmp_path / "one.npz"), "spot=").scores.figures
    assert one.missing_classes == ("stripe",)
    assert [sum(row[2:]) for row in one.confusion_matrix] == [0, 0, 0], (
        "a class alone says nothing of another label"
    )


def test_the_report_shows_it(study: medray.Study) -> None:
    page = Path(study.report(images=False)).read_text()
    assert "AUC of each label" in page
    assert "exact match" in page
