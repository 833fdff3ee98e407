"""The documents of a run: what they say of a data set, what comes back from a folder, and what is refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from medray.audit.findings import Finding
from medray.data.dataset import ImageDataset
from medray.errors import RunError
from medray.runs.crossval_documents import CrossvalPlan
from medray.runs.run_facts import DataFacts, ResolvedOptions, RunFacts, SplitFacts
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import SelectionComparison, SelectionFacts, WeightedMember

DATASET = ImageDataset(
    images=np.zeros((10, 4, 5, 1), dtype=np.uint8), labels=np.arange(10) % 2, class_names=("benign", "malignant"),
    splits={"train": np.arange(6), "val": np.arange(6, 8), "test": np.arange(8, 10)}, source="a-test",
    groups=np.repeat(np.array(["a", "b", "c", "d", "e"]), 2), notes=("a note",),
    subgroups={"sex": np.array(["f", "m"] * 5), "age": np.arange(10)},
)  # fmt: skip
LEAK = Finding("copies_across_splits", "leak", "one image is in two splits", 1, ("a", "b"))
DATA = DataFacts.of(DATASET, (LEAK,))
OPTIONS = ResolvedOptions("a-test", 4, 2, 2, 0, None, baselines_only=False)
RUN = RunFacts("1.0", "organs", "log_loss", OPTIONS, "2026-01-02T03:04:05+00:00", "3.11", {"torch": "2.9"})
SELECTION = SelectionFacts(
    "folds", "folds", "out-of-fold", 60, (1.5,), "calibration", (WeightedMember(7, 0, 0.5), WeightedMember(7, 1, 0.5)),
    {"auc": 0.9}, {"auc": 0.9},
)  # fmt: skip
COMPARISON = SelectionComparison("auc", 1, (dataclasses.replace(SELECTION, strategy="top-k"), SELECTION))


def test_data_facts_are_those_of_the_data_set() -> None:
    assert (DATA.source, DATA.notes, DATA.fingerprint) == ("a-test", ("a note",), DATASET.fingerprint)
    assert (DATA.images, DATA.shape, DATA.patients) == (10, (4, 5, 1), 5)
    assert DATA.class_names == ("benign", "malignant")
    assert DATA.splits["train"] == SplitFacts(6, (3, 3))
    assert DATA.subgroups == ("age", "sex")
    assert (DATA.folds, DataFacts.of(dataclasses.replace(DATASET, groups=None)).patients) == (None, None)


def test_documents_come_back_from_a_run(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    assert run.read_selections() is None
    for name, document in ((run.RUN, RUN), (run.DATA, DATA), (run.SELECTION, COMPARISON)):
        run.write_json(name, document.to_dict())
    assert run.read_facts() == RUN
    assert run.read_facts().mode == "min"
    assert run.read_data() == DATA
    assert run.read_selections() == COMPARISON
    assert COMPARISON.of_ensemble is SELECTION
    assert [selection.title for selection in COMPARISON.selections] == [
        "top-k of folds",
        "folds of the best setting",
    ]


@pytest.mark.parametrize(
    ("document", "key", "value", "message"),
    [
        (RUN, "metric", "acu", "unknown metric 'acu' (did you mean 'auc'?)"),
        (RUN, "options", {}, "options: damaged: it has no 'data'"),
        (DATA, "aspect", "strech", "unknown aspect 'strech' (did you mean 'stretch'?)"),
        (DATA, "shape", [4, 5, 2], "images of shape [4, 5, 2]"),
        (DATA, "class_names", ["benign"], "2 counts of split 'train', 1 classes"),
        (DATA, "leaks", [{"text": "no kind"}], "leaks[0]: damaged: it has no 'kind'"),
        (COMPARISON, "selected", 2, "selected is 2, of 2 selections"),
        (SELECTION, "members", [], "it has no members"),
        (SELECTION, "temperatures", [0], "the temperatures are [0.0]; they must be above 0"),
        (CrossvalPlan("auc", 3, 0, (7,), "", 8), "folds", None, "folds is null"),
    ],
)
def test_a_damaged_document_is_refused_in_one_line(
    document: RunFacts | DataFacts | SelectionComparison | SelectionFacts | CrossvalPlan,
    key: str,
    value: object,
    message: str,
) -> None:
    content = json.loads(json.dumps(document.to_dict()))
    assert type(document).from_dict(content) == document
    with pytest.raises(RunError) as caught:
        type(document).from_dict(content | {key: value}, "x.json")
    assert str(caught.value).startswith("x.json: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_splits_come_back_as_positions(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    run.write_json(run.SPLITS, {"train": [3, 1], "val": []})
    splits = run.read_splits()
    assert {name: positions.tolist() for name, positions in splits.items()} == {"train": [3, 1], "val": []}
    assert all(positions.dtype == np.int64 for positions in splits.values())


@pytest.mark.parametrize(
    "content", [[], {"val": 3}, {"val": [1.5]}, {"val": [-1]}, {"val": [[1]]}, {"val": ["a"]}]
)
def test_damaged_splits_are_refused_in_one_line(tmp_path: Path, content: object) -> None:
    run = RunDir(str(tmp_path))
    run.write_json(run.SPLITS, content)
    with pytest.raises(RunError, match=r"splits\.json is damaged: ") as caught:
        run.read_splits()
    assert "\n" not in str(caught.value)


def test_folds_that_have_a_folder_are_listed_in_order(tmp_path: Path) -> None:
    run = RunDir(str(tmp_path))
    for number, fold in ((7, 10), (7, 2), (3, 0)):
        run.fold(number, fold).write("config.json", b"{}")
    run.crossval.write("0007/fold_x/notes", b"")
    run.crossval.write("train/fold_1/notes", b"")
    assert list(run.crossval.trained_folds()) == [(3, 0), (7, 2), (7, 10)]


def test_label_counts_are_of_every_split_or_of_none() -> None:
    content = DATA.to_dict()
    counts = {name: [1, 2, 3] for name in content["splits"]}
    assert DataFacts.from_dict({**content, "label_counts": counts}).label_counts["train"] == (1, 2, 3)
    with pytest.raises(RunError, match=r"label_counts are of train, not of the splits"):
        DataFacts.from_dict({**content, "label_counts": {"train": [1, 2, 3]}})
