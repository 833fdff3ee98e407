"""The Python face: a study from its search to its report, in this process, without Ray."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import medray
from medray.errors import ConfigError, RunError

pytestmark = pytest.mark.component


def test_the_examples_of_the_face_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stand in the docstrings, in the order of a study; each goes on where the last one ended."""
    import medray.study

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))  # with no reads of the same phantom by other tests
    names = {"medray": medray}
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    steps = (
        "search",
        "open",
        "crossval",
        "nested_crossval",
        "ensemble",
        "run",
        "evaluate",
        "evaluate_external",
        "load_ensemble",
        "predict",
        "report",
        "export",
    )
    for item in (medray.Study, *(getattr(medray.Study, step) for step in steps)):
        (test,) = finder.find(item, name=item.__name__, globs=names)
        assert test.examples, f"{item.__name__} has no example"
        runner.run(test, clear_globs=False)
        names = test.globs
    assert runner.summarize(verbose=False).failed == 0
    study = names["study"]
    assert re.fullmatch(
        r"<Evaluation of \S+/runs/x: test auc .+ on 42 images, read 1 time>", repr(study.evaluate())
    )
    assert re.fullmatch(
        r"<ExternalEvaluation of \S+/runs/x: auc .+ on \d+ images of \d+ patients of phantom\?images=200&seed=1, read 1 time>",
        repr(names["elsewhere"]),
    )
    assert set(study.folds()["fold"]) == {0, 1}
    assert (tmp_path / "runs/x/report/index.html").is_file()


NOTEBOOK = """
import asyncio, sys
import medray

async def cell():
    study = medray.Study("organs", data="phantom?images=300", out="runs/y", runner="local", quiet=True)
    study.search(trials=2, max_epochs=1)
    return study.crossval(top=1, folds=2)

result = asyncio.run(cell())
assert len(result.trials) == 1 and result.left == 0
print(result)
assert "ray" not in sys.modules
"""


def test_a_notebooks_running_event_loop_does_not_disturb_it_and_ray_is_never_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], cwd=tmp_path, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"<CrossvalResult of \S+/runs/y, 2 folds: trial \d with mean auc 0\.\d{4}; 0 folds left>\n", done.stdout
    )


def test_files_are_asked_about_as_the_command_does(finished_run: Path, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        Image.fromarray(np.zeros((12, 12), np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"no image")
    ensemble = medray.Study.open(finished_run)
    ensemble.ensemble()
    frame = ensemble.predict_files(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png")
    assert frame["file"].tolist() == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert frame[list(ensemble.load_ensemble().class_names)].sum(axis=1).to_numpy() == pytest.approx(
        [1, 1], abs=1e-5
    )
    assert len(frame.attrs["unreadable"]) == 1


def test_labelled_files_are_scored_as_the_command_does(finished_run: Path, tmp_path: Path) -> None:
    from PIL import Image

    study, rng = medray.Study.open(finished_run, quiet=True), np.random.default_rng(5)
    study.ensemble()
    names = study.load_ensemble().class_names
    rows = ["image,label"]
    for number in range(30):
        Image.fromarray(rng.integers(0, 200, (12, 12)).astype(np.uint8)).save(tmp_path / f"{number:02d}.png")
        rows.append(f"{number:02d},{('first', 'artefact', *names[1:])[number % (len(names) + 1)]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    files = sorted(tmp_path.glob("*.png"))
    scored = study.score_files(
        *files, labels=tmp_path / "labels.csv", class_map={"first": names[0], "artefact": None}
    )
    left_out = len(range(1, 30, len(names) + 1))
    assert scored.figures.images == 30 - left_out
    assert [(row.theirs, row.ours) for row in scored.classes if row.theirs in ("first", "artefact")] == [
        ("artefact", None), ("first", names[0])
    ]  # fmt: skip
    predicted = study.predict_files(*files)["label"].tolist()
    truth = [names[0] if row.endswith("first") else row.split(",")[1] for row in rows[1:]]
    kept = [pair for pair in zip(predicted, truth, strict=True) if pair[1] != "artefact"]
    right = sum(label == true for label, true in kept) / len(kept)
    assert scored.figures.scores["accuracy"].value == pytest.approx(right)
    with pytest.raises(ConfigError, match="unknown class 'lung'"):
        study.score_files(*files, labels=tmp_path / "labels.csv", class_map={"first": "lung"})


def test_what_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown runner 'locla'.*did you mean 'local'"):
        medray.Study("organs", out=tmp_path, runner="locla")
    with pytest.raises(RunError, match="is no run of medray"):
        medray.Study.open(tmp_path)


@pytest.mark.parametrize(
    ("step", "options", "line"),
    [
        ("search", {"trials": -2}, "trials: -2 is not a whole number of 1 or more"),
        ("search", {"max_epochs": 1.5}, "max_epochs: 1.5 is not a whole number of 1 or more"),
        ("crossval", {"top": 0}, "top: 0 is not a whole number of 1 or more"),
        ("crossval", {"folds": 1}, "folds: 1 is not a whole number of 2 or more"),
        ("ensemble", {"top_k": 0}, "top_k: 0 is not a whole number of 1 or more"),
        ("ensemble", {"positive": "b"}, "--positive says what an operating point calls"),
        (
            "ensemble",
            {"sensitivity": 95, "positive": "b"},
            "rule 'sensitivity' needs a number above 0 and at most 1",
        ),
    ],
)
def test_numbers_that_can_not_be_are_refused_before_anything_is_done(
    tmp_path: Path, step: str, options: dict[str, object], line: str
) -> None:
    study = medray.Study("organs", data="phantom", out=tmp_path / "run", runner="local", quiet=True)
    with pytest.raises(ConfigError) as caught:
        getattr(study, step)(**options)
    assert str(caught.value).startswith(line)
    assert not (tmp_path / "run").exists()


def test_dir_lists_the_face_and_nothing_else() -> None:
    assert dir(medray) == sorted(medray.__all__)
    for name in medray.__all__:
        assert getattr(medray, name) is not None
