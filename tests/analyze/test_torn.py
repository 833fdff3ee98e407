"""Whatever a crash leaves: frames or one clear line, never another exception."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medray.analyze
from medray.analyze.frames import epochs_frame, folds_frame, trials_frame
from medray.analyze.open_runs import open_runs
from medray.analyze.predictions_frame import predictions_frame
from medray.analyze.summary import summarise
from medray.errors import MedrayError
from medray.runs.run_facts import ResolvedOptions, RunFacts

SMALL = 200_000  # bytes; weights are not read here


@pytest.fixture(scope="module")
def torn(analysed: Path) -> Iterator[Path]:
    """A copy without weights that is torn and mended again and again."""
    with tempfile.TemporaryDirectory() as folder:
        ignored = shutil.ignore_patterns("*.safetensors")
        yield Path(shutil.copytree(analysed, Path(folder) / "found", ignore=ignored))


def look(run: Path) -> None:
    """All that is told of a run."""
    (seen,) = open_runs([str(run)])
    for frame in (trials_frame, epochs_frame, folds_frame, predictions_frame):
        frame([seen])
    summarise(seen, importance=False)
    assert all("\n" not in note for note in seen.notes)


@settings(max_examples=25)
@given(data=st.data())
def test_torn_files_give_frames_or_one_line(torn: Path, data: st.DataObject) -> None:
    names = sorted(str(p.relative_to(torn)) for p in torn.rglob("*") if p.is_file() and p.stat().st_size < SMALL)
    hurt = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    whole = {name: (torn / name).read_bytes() for name in hurt}
    try:
        for name, content in whole.items():
            end = data.draw(st.integers(0, len(content)), label=f"{name} is cut at")
            tail = data.draw(
                st.sampled_from([b"", b"\0" * 20, b"\xff{", b"\n", b"null\n", b"]" * 3]), label="then"
            )
            if data.draw(st.booleans(), label="gone"):
                (torn / name).unlink()
            else:
                (torn / name).write_bytes(content[:end] + tail)
        said = ""
        try:
            look(torn)
        except MedrayError as error:
            said = str(error)
        assert "\n" not in said
    finally:
        for name, content in whole.items():
            (torn / name).write_bytes(content)


@pytest.mark.parametrize("content", [b"null", b"[]", b"7", b'"x"', b"{}", b"", b"\xff\xfe", b'{"a": {}}'])
def test_files_that_hold_something_else(run: Path, content: bytes) -> None:
    for path in [p for p in run.rglob("*") if p.is_file() and p.name != "run.json" and p.stat().st_size < SMALL]:
        path.write_bytes(content)
    look(run)
    (run / "run.json").write_bytes(content)
    with pytest.raises(MedrayError, match=r"run\.json.* damaged"):
        look(run)


def test_the_least_that_is_a_run(tmp_path: Path) -> None:
    options = ResolvedOptions("x.npz", 4, 2, 1, 0, None, baselines_only=False)
    facts = RunFacts("0.1.0", "organs", "auc", options, "2026-01-02T03:04:05+00:00", "3.11", {})
    (tmp_path / "run.json").write_text(json.dumps(facts.to_dict()))
    assert medray.analyze.trials(str(tmp_path)).empty
    assert medray.analyze.predictions(str(tmp_path)).empty
    look(tmp_path)


def test_what_is_no_run(tmp_path: Path, made_run: Path) -> None:
    with pytest.raises(MedrayError, match=r"did you mean 'found'\?"):
        medray.analyze.trials(str(made_run.parent / "fuond"))
    with pytest.raises(MedrayError, match="unknown file system 'nowhere'"):
        medray.analyze.trials("nowhere://bucket/run")
