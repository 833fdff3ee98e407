"""A test split is counted by its content: over this run, those beside it, and those that this machine knows of."""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from medray.data.dataset import LabelledImages
from medray.data.load_data import load_data
from medray.evaluate.read_count import ReadCount, count_reads
from medray.evaluate.read_registry import KnownRead, reads_beside, register, registered
from medray.evaluate.run_evaluation import EvaluateOptions, run_evaluate
from medray.evaluate.test_reads import new_read
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.space.preparation import Images, Preparation
from tests.cluster.object_store import object_store
from tests.evaluate.conftest import WithData, answer, ask, give_data, refused

SPLIT = "5" * 64


@pytest.fixture
def beside(run: Path) -> Path:
    """Another run on the same file, in the same folder."""
    return Path(shutil.copytree(run, run.with_name("another")))


@pytest.fixture
def elsewhere(run: Path, tmp_path: Path) -> Path:
    """Another run on the same file, in a folder of its own."""
    return Path(shutil.copytree(run, tmp_path / "elsewhere" / "third"))


def test_two_runs_beside_each_other_count_together(run: Path, beside: Path, no_other_reads: Path) -> None:
    time = answer(beside)["time"]
    shutil.rmtree(no_other_reads)  # as on another machine, which sees the same storage
    shown = ask(run)
    day = time[:10]
    assert (
        f"Other runs have read this test split once already ({beside} on {day}): the more often, " in shown.stdout
    )
    counted = f"The test split has been read 2 times, 1 of them by this run (others: {beside} on {day}). Figures: "
    assert counted in shown.stdout
    assert shown.stdout.index("Other runs have read") < shown.stdout.index("Measuring")
    document = answer(run)
    assert (document["times_read"], document["times_read_by_run"]) == (2, 1)
    assert [(read["run"], read["time"]) for read in document["other_reads"]] == [(str(beside), time)]
    assert answer(beside)["times_read"] == 2  # a stored evaluation tells of the later reads too


def test_a_run_elsewhere_is_known_from_the_registry(run: Path, elsewhere: Path, no_other_reads: Path) -> None:
    first = answer(elsewhere)
    second = answer(elsewhere, "--again")
    assert (second["times_read"], second["times_read_by_run"], second["other_reads"]) == (2, 2, [])
    shutil.rmtree(elsewhere)  # its figures were seen all the same
    document = answer(run)
    assert (document["times_read"], document["times_read_by_run"]) == (3, 1)
    assert [read["run"] for read in document["other_reads"]] == [str(elsewhere)] * 2
    (folder,) = (no_other_reads / "reads").iterdir()
    assert folder.name == first["test"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert set(json.loads(file.read_text())) == {"test", "time", "run", "read"}


def test_a_stored_evaluation_is_no_read(run: Path, beside: Path, no_other_reads: Path) -> None:
    answer(run)
    files = sorted((no_other_reads / "reads").rglob("*.json"))
    again = ask(run)
    assert "has been read once." in again.stdout
    assert "Other runs" not in again.stdout
    assert sorted((no_other_reads / "reads").rglob("*.json")) == files
    assert answer(beside)["times_read"] == 2


def test_a_run_that_was_moved_or_copied_counts_once(run: Path, tmp_path: Path) -> None:
    answer(run)
    moved = Path(shutil.move(run, tmp_path / "new" / "run"))
    assert "has been read once." in ask(moved).stdout
    copied = Path(shutil.copytree(moved, moved.with_name("copy")))
    assert (answer(copied)["times_read"], answer(copied)["times_read_by_run"]) == (1, 1)
    after = answer(copied, "--again")
    assert (after["times_read"], after["times_read_by_run"]) == (2, 2)
    assert [read["run"] for read in answer(moved)["other_reads"]] == [str(copied)]


def test_reads_that_were_deleted_from_the_run_are_still_known(run: Path) -> None:
    day = answer(run)["time"][:10]
    shutil.rmtree(run / "evaluation")
    shown = ask(run).stdout
    assert f"2 times, 1 of them by this run (others: this folder, since deleted, on {day})" in shown


def test_a_damaged_read_of_the_run_counts_once(run: Path) -> None:
    answer(run)
    (run / "evaluation/read_0001/begun.json").write_text("{")
    document = answer(run, "--again")
    assert (document["times_read"], document["times_read_by_run"], document["other_reads"]) == (2, 2, [])


def test_another_test_split_is_counted_by_itself(run: Path, beside: Path, with_data: WithData) -> None:
    answer(beside)
    with np.load(json.loads((run / "run.json").read_text())["options"]["data"]) as file:
        labels, images = file["test_labels"].copy(), file["train_images"]
    labels[0] = (labels[0] + 1) % 3
    with_data(test_labels=labels)
    assert answer(run)["times_read"] == 1
    shutil.rmtree(run / "evaluation")
    with_data(train_images=images // 2)  # the same test split in another data set
    document = answer(run)
    assert (document["times_read"], document["other_reads"][0]["run"]) == (2, str(beside))


def test_runs_at_uris_know_of_each_other(run: Path, beside: Path, no_other_reads: Path) -> None:
    answer(beside)
    shutil.rmtree(no_other_reads)
    evaluation = run_evaluate(EvaluateOptions(f"file://{run}"), Console(file=io.StringIO()))
    assert (evaluation.reads.total, evaluation.reads.by_run) == (2, 1)
    assert [read.run for read in evaluation.reads.others] == [f"file://{beside}"]
    assert "read 2 times>" in repr(evaluation)


# -- what may go wrong


def test_a_damaged_registry_stops_nothing(run: Path, elsewhere: Path, no_other_reads: Path) -> None:
    test = answer(elsewhere)["test"]
    folder = no_other_reads / "reads" / test
    (good,) = folder.iterdir()
    (folder / "dir.json").mkdir()
    of_another = {**json.loads(good.read_text()), "test": "0"}
    damaged = (b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"test": 3}', json.dumps(of_another).encode())
    for number, content in enumerate(damaged):
        (folder / f"{number}.json").write_bytes(content)
    assert answer(run)["times_read"] == 2


def test_a_registry_that_cannot_be_written_stops_nothing(
    run: Path, beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "file"))
    shown = ask(run).stdout
    assert "Runs that do not lie beside this one will not know of this read: " in shown
    assert "has been read once." in shown
    assert answer(beside)["times_read"] == 2  # as it lies beside


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to a read-only folder all the same")
def test_a_read_only_cache_folder_stops_nothing(run: Path, no_other_reads: Path) -> None:
    no_other_reads.mkdir(mode=0o500)
    shown = ask(run).stdout
    assert f"{no_other_reads}/reads/" in shown
    assert "can't be written: Permission denied" in shown
    assert "has been read once." in shown


REGISTER = f"""
import sys
from medray.evaluate.read_registry import register
from medray.evaluate.scores_document import ReadFacts
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
for number in range(1, 101):
    facts = ReadFacts(number, "2026-01-02T03:04:05+00:00", "", "", "{SPLIT}", "", f"{{sys.argv[1]}}{{number:03d}}")
    register(facts, RunDir("/runs/" + sys.argv[1]))
"""


def test_two_processes_lose_no_read(no_other_reads: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", REGISTER, name]) for name in "ab"]
    partly = 0
    while any(process.poll() is None for process in processes):
        assert len(registered(SPLIT)) >= partly  # what is there while they write can be read
        partly = len(registered(SPLIT))
    assert [process.returncode for process in processes] == [0, 0]
    reads = registered(SPLIT)
    assert set(reads) == {f"{name}{number:03d}" for name in "ab" for number in range(1, 101)}
    assert {(read.run, read.read) for read in reads.values()} == {
        (f"/runs/{name}", number) for name in "ab" for number in range(1, 101)
    }
    assert len(list((no_other_reads / "reads" / SPLIT).iterdir())) == 200


def test_what_lies_beside_a_run_need_not_be_runs(tmp_path: Path) -> None:
    for name in ("read", "damaged"):
        new_read(RunDir(str(tmp_path / "runs" / name))).begin("", "", SPLIT)
    (tmp_path / "runs/damaged/evaluation/read_0001/begun.json").write_text("{")
    (tmp_path / "runs/evaluation").write_text("a file")
    (tmp_path / "runs/notes").mkdir()
    (tmp_path / "runs/notes/evaluation").write_text("a file")
    (tmp_path / "runs/link").symlink_to(tmp_path / "runs/read")
    run = RunDir(str(tmp_path / "runs/mine"))
    assert len(reads_beside(run, SPLIT)) == 1
    assert reads_beside(run, "other") == {}
    assert reads_beside(RunDir(str(tmp_path / "gone/mine")), SPLIT) == {}
    assert (count_reads(run, SPLIT).total, count_reads(run).total) == (1, 0)


@pytest.mark.component
def test_runs_beside_each_other_in_an_object_store_count_together() -> None:
    with object_store() as store:
        runs = [RunDir(f"{store.uri}/runs/{name}") for name in "ab"]
        for run in (*runs, runs[0]):
            new_read(run).begin("", "", SPLIT)
        (count, _) = map(count_reads, runs)
    assert (count.total, count.by_run) == (3, 2)
    (other,) = count.others
    assert other.run == runs[1].public_location


def test_no_secret_of_a_uri_is_kept(tmp_path: Path) -> None:
    facts = new_read(RunDir(str(tmp_path))).begin("", "", SPLIT)
    register(facts, RunDir("s3://key:secret@bucket/runs/a?secret_key=secret"))
    assert registered(SPLIT) == {facts.uuid: KnownRead(SPLIT, facts.time, "s3://bucket/runs/a", 1)}


def test_the_sentences_of_a_count() -> None:
    reads = [KnownRead(SPLIT, f"2026-11-0{day}T00:00:00+00:00", f"/runs/{day}", 1) for day in (2, 3, 4, 5)]
    assert ReadCount("/runs/x", 3).sentence == "The test split has been read 3 times, all by this run."
    assert ReadCount("/runs/x", 3).warning is None
    count = ReadCount("/runs/x", 2, tuple(reads))
    assert count.sentence == (
        "The test split has been read 6 times, 2 of them by this run (others: /runs/2 on 2026-11-02, "
        "/runs/3 on 2026-11-03, /runs/4 on 2026-11-04 and 1 more)."
    )
    escape = ReadCount("/runs/x", 1, (KnownRead(SPLIT, "\x1b[2J", "/runs/\x1b[31m", 1),))
    assert escape.sentence.isprintable()


# -- which test split it is


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_order_of_images_does_not_matter_and_everything_else_does(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(count, 3, 2, 1), dtype=np.uint8)
    labels = rng.integers(0, 3, size=count)
    every = np.arange(count)

    def fingerprint(images: np.ndarray, labels: np.ndarray, positions: np.ndarray) -> str:
        return LabelledImages(images, labels, positions, ("a", "b", "c")).fingerprint

    original = fingerprint(images, labels, every)
    order = rng.permutation(count)
    assert fingerprint(images[order], labels[order], every) == original
    assert fingerprint(images, labels, order) == original
    changed, image = images.copy(), int(rng.integers(count))
    changed[image, 2, 1] ^= 1
    relabelled = labels.copy()
    relabelled[image] = (labels[image] + 1) % 3
    others = [
        fingerprint(changed, labels, every),
        fingerprint(images, relabelled, every),
        fingerprint(images.reshape(count, 2, 3, 1), labels, every),
        fingerprint(images, labels, np.append(every, image)),
        fingerprint(images, labels, every[1:]),
    ]
    assert len({original, *others}) == 6


def test_a_run_on_resized_arrays_reads_the_same_split(run: Path, hard_npz: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.npz"
    with np.load(hard_npz) as file:
        np.savez(path, **{k: v.repeat(2, 1).repeat(2, 2) if "images" in k else v for k, v in file.items()})
    resized = load_data(str(path), preparation=Preparation(images=Images(image_size=(12, 12))))
    give_data(run, path)
    (run / "data.json").write_text(json.dumps(DataFacts.of(resized).to_dict()))
    with (run / "space.yaml").open("a") as space:
        space.write("images: {image_size: [12, 12]}\n")
    read = answer(run)["test"]
    assert read == load_data(str(path)).split("test").fingerprint
    assert read != resized.split("test").fingerprint


def test_a_refusal_before_the_read_is_not_registered(run: Path, no_other_reads: Path) -> None:
    (run / "trials/0000/weights.safetensors").unlink()
    refused(ask(run))
    assert not (no_other_reads / "reads").exists()
