"""`medray evaluate --external`: what it measures and beside what, what it counts, and that nothing else changes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medray._types import Array
from medray.data.dataset import ImageDataset
from tests.evaluate.conftest import answer, ask, content, refused, stored_read_names
from tests.evaluate.external.conftest import answer_external, write_images

pytestmark = pytest.mark.component
Images = tuple[Array, list[str]]
FACTS = ("from_store", "times_read", "times_read_by_run", "read", "time", "uuid", "source", "notes", "copies")


def without_facts(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in FACTS}


def test_the_own_test_split_has_the_internal_figures_and_no_difference(run: Path, own_test: str) -> None:
    internal = answer(run)
    document = answer_external(run, own_test)
    beside = document["internal"]
    assert {name: row["value"] for name, row in document["figures"]["scores"].items()} == pytest.approx(
        {name: row["value"] for name, row in internal["models"][0]["scores"].items()}, abs=1e-9
    )
    assert document["figures"]["confusion_matrix"] == internal["confusion_matrix"]
    rows = [row for part in ("scores", "class_auc", "class_recall", "sensitivity", "specificity", "coverage")
            for row in beside[part].values()]  # fmt: skip
    assert len(rows) > 20
    for row in rows:
        assert row["external"]["value"] == pytest.approx(row["internal"]["value"], abs=1e-9)
        assert row["difference"]["value"] in (None, pytest.approx(0, abs=1e-9))
        if row["difference"]["low"] is not None:
            assert row["difference"]["low"] < 0 < row["difference"]["high"]
    assert beside["scores"]["accuracy"]["difference"]["low"] is not None
    assert document["copies"]["in_test"] == 24
    shown = ask(run, "--external", own_test).stdout
    assert "24 in its test split" in shown
    assert "Reading copies of test images is reading the test split" in shown


def test_it_is_counted_apart_and_the_test_split_is_not_read(run: Path, other: str) -> None:
    before = content(run, "evaluation")
    first = answer_external(run, other)
    assert (first["from_store"], first["times_read"], first["internal"]) == (False, 1, None)
    assert stored_read_names(run) == ["external"]
    assert "first: medray evaluate" in ask(run, "--external", other).stdout
    assert content(run, "evaluation") == before
    internal = answer(run)
    assert (internal["times_read"], internal["from_store"]) == (1, False)
    again = answer_external(run, other)
    assert (again["from_store"], again["times_read"]) == (True, 1)
    assert again["internal"]["read"] == 1, "a stored reading stands beside a read that came later"
    assert again["figures"] == first["figures"]
    assert answer_external(run, other, "--again")["times_read"] == 2
    assert answer(run)["times_read"] == 1


def test_another_run_of_this_machine_is_counted_too(run: Path, other: str, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "elsewhere" / "run"))
    answer_external(run, other)
    document = answer_external(copied, other)
    assert (document["times_read"], document["times_read_by_run"]) == (2, 1)


def test_the_order_of_the_rows_changes_nothing(run: Path, other_images: Images, tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(len(other_images[1])).tolist()
    first = answer_external(run, write_images(tmp_path / "a", *other_images))
    second = answer_external(run, write_images(tmp_path / "b", *other_images, order=order), "--again")
    assert without_facts(first) == without_facts(second)
    assert first["recalibration"]["methods"], "what is fitted on a random part is the same too"
    assert second["times_read"] == 2, "the same images in another order are the same images"


def test_classes_are_mapped_several_to_one_or_left_out(run: Path, other_images: Images, tmp_path: Path) -> None:
    images, labels = other_images
    theirs = {"0": "healthy", "1": "a=b", "2": "2"}
    words = [theirs[label] for label in labels]
    words[5], words[8], words[0] = "late", "late", "artefact"  # 5 and 8 are of class 2, 0 of class 0
    maps = ["--map", "healthy=0", "--map", "a=b=1", "--map", "late=2", "--map", "artefact="]
    document = answer_external(run, write_images(tmp_path / "words", images, words), *maps)
    plain = answer_external(run, write_images(tmp_path / "plain", images[1:], labels[1:]))
    assert document["figures"] == plain["figures"]
    assert document["test"] == plain["test"]
    assert [(row["theirs"], row["ours"], row["images"]) for row in document["classes"]] == [
        ("2", "2", 38), ("a=b", "1", 40), ("artefact", None, 1), ("healthy", "0", 39), ("late", "2", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "classes that the run does not have: no (40), yes (40); --map 'no=OURS' takes it for one of '0', '1', '2'"),
        (["--map", "yes"], "--map 'yes' is not THEIRS=OURS"),
        (["--map", "=1"], "--map '=1' is not THEIRS=OURS"),
        (["--map", "yes=3"], "--map yes=3: unknown class '3'"),
        (["--map", "yes=1", "--map", "yes=2"], "--map yes=2: 'yes' is mapped twice"),
        (["--map", "yse=1"], "unknown class 'yse' (did you mean 'yes'?)"),
        (["--map", "yes=", "--map", "no=", "--map", "2="], "0 classes of the run left (none); at least two"),
        (["--map", "yes=2", "--map", "no="], "1 class of the run left (2); at least two are needed"),
        (["--prevalence", "0.1"], "--prevalence is of the test split"),
    ],
)  # fmt: skip
def test_a_wrong_map_is_one_line(
    run: Path, other_images: Images, tmp_path: Path, arguments: list[str], line: str
) -> None:
    words = [{"0": "yes", "1": "no", "2": "2"}[label] for label in other_images[1]]
    source = write_images(tmp_path / "words", other_images[0], words)
    assert line in refused(ask(run, "--external", source, *arguments))
    assert stored_read_names(run) == []


def test_a_map_without_other_images_is_refused(run: Path) -> None:
    assert "give that too" in refused(ask(run, "--map", "a=b"))


def test_a_class_that_is_missing_is_named_and_what_needs_it_has_no_value(
    run: Path, other_images: Images, tmp_path: Path
) -> None:
    kept = [i for i, label in enumerate(other_images[1]) if label != "1"]
    source = write_images(tmp_path / "two", other_images[0][kept], [other_images[1][i] for i in kept])
    document = answer_external(run, source)
    figures = document["figures"]
    assert figures["missing_classes"] == ["1"]
    assert figures["scores"]["auc"] == {"value": None, "low": None, "high": None, "reason": "no image of 1"}
    assert figures["scores"]["accuracy"]["low"] is not None
    assert [row["auc"]["value"] is None for row in figures["per_class"]] == [False, True, False]
    assert "No image there is of 1:" in ask(run, "--external", source).stdout


def test_patients_make_the_intervals_and_stay_on_one_side(run: Path, other_images: Images, tmp_path: Path) -> None:
    patients = [f"p{i // 3}" for i in range(120)]
    document = answer_external(run, write_images(tmp_path / "patients", *other_images, patients=patients))
    assert document["figures"]["patients"] == 40
    assert document["recalibration"]["fitted"] % 3 == 0
    unknown = write_images(tmp_path / "unknown", *other_images, patients=["", *patients[1:]])
    assert "1 of 120 images have no patient" in refused(ask(run, "--external", unknown))


def test_copies_of_training_images_are_counted_and_figures_are_without_them(
    run: Path, other_images: Images, hard: ImageDataset, tmp_path: Path
) -> None:
    images, labels = other_images
    seen, of_seen = hard.split("train").take(np.arange(12))
    mixed = write_images(
        tmp_path / "mixed", np.concatenate([images, seen]), [*labels, *(str(label) for label in of_seen)]
    )
    document = answer_external(run, mixed)
    copies = document["copies"]
    assert copies["seen"] >= 12
    assert copies["images"] == 132 - copies["left_out"] == copies["figures"]["images"]
    assert "line" in copies["examples"][0]
    shown = ask(run, "--external", mixed).stdout
    assert "COPIES: of 132 images" in shown
    assert "Without copies of the run's images" in shown


def test_shifts_say_how_both_sets_differ(run: Path, other: str) -> None:
    shifts = answer_external(run, other)["shifts"]
    assert shifts["images"] == 72, "train and val; the test split is left alone"
    assert [row["external"]["value"] for row in shifts["classes"]] == pytest.approx([1 / 3] * 3)
    assert (shifts["run_size"], shifts["external_size"]) == ([12, 12], [12, 12])
    assert {row["name"] for row in shifts["looks"]} == {"brightness", "contrast", "sharpness"}
    assert shifts["out_of_distribution"]["total"] == 120


def test_without_the_runs_own_data_it_is_measured_and_the_gap_is_named(run: Path, other: str) -> None:
    facts = json.loads((run / "run.json").read_text())
    facts["options"]["data"] = "gone.npz"
    (run / "run.json").write_text(json.dumps(facts))
    document = answer_external(run, other)
    assert (document["copies"], document["shifts"]) == (None, None)
    assert "gone.npz" in document["problem"]
    assert "NOT COMPARED with the run's images" in ask(run, "--external", other).stdout
    assert "gone2.npz" in refused(ask(run, "--external", other, "--again", "--data", "gone2.npz"))


def test_arrays_of_another_size_are_brought_to_the_networks_size(
    run: Path, other_images: Images, tmp_path: Path
) -> None:
    images, labels = other_images[0].repeat(2, axis=1).repeat(2, axis=2), np.array(other_images[1], dtype=int)
    path, ends = tmp_path / "large.npz", (0, 40, 80, 120)
    arrays = {}
    for split, low, high in zip(("train", "val", "test"), ends, ends[1:], strict=False):
        arrays |= {f"{split}_images": images[low:high], f"{split}_labels": labels[low:high]}
    np.savez(path, **arrays)
    document = answer_external(run, str(path))
    assert document["figures"]["images"] == 120, "all images of the source are external, whatever their split"
    assert document["shifts"]["external_size"] == [24, 24]


def test_tables_fit_on_80_columns(run: Path, other: str) -> None:
    import io

    from rich.console import Console

    from medray.evaluate.external.print_external import print_external
    from medray.evaluate.external.run_external import ExternalOptions, run_external

    answer(run)
    console = Console(file=io.StringIO(), width=80)
    print_external(run_external(ExternalOptions(str(run), other), console), console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    tables = [line for line in shown.splitlines() if "[" in line and line.startswith(" ")]
    assert len(tables) > 20
    assert max(map(len, tables)) <= 80
    header = next(line for line in shown.splitlines() if "external" in line and "difference" in line)
    assert "internal" in header
    assert "Nothing was promised of this point" in shown, "the run has no calibration split"
    assert "Nothing was promised of their coverage" in shown
    assert "have been read once; this does not count as a read of the test split" in shown
