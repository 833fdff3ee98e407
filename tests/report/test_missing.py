"""Runs that are not whole: what is not there says which command makes it, what is damaged is named."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import medray
from medray.audit.findings import Finding
from medray.data.similarity.duplicates import LOOKED_FOR
from medray.report.image_album import LEFT_OUT
from tests.report.conftest import ISSUES, ask, draw, read

Edit = Callable[..., None]


def test_a_search_alone_says_which_commands_are_left(finished_run: Path) -> None:
    page, printed = draw(finished_run, "--no-images")
    for command in ("evaluate", "crossval", "ensemble"):
        assert f"medray {command} {finished_run}" in page.text
    assert "This run has not read the test split." in page.text
    assert "trial" in page.text
    assert "learning-metric" in page.data
    assert "confusion-val" in page.data
    assert not any(anchor.endswith("-test") for anchor in page.data)
    assert "splits.json can't be read" in printed  # an older search has none


def test_a_run_of_which_no_trial_has_ended_has_a_report(finished_run: Path) -> None:
    shutil.rmtree(finished_run / "trials")
    page, _ = draw(finished_run, "--no-images")
    assert "No trial has ended yet." in page.text
    assert not page.specs


def test_a_damaged_file_takes_no_other_part_along(run: Path) -> None:
    scores = run / "evaluation/read_0001/scores.json"
    scores.write_text(json.dumps(read(scores) | {"models": [{}], "confusion_matrix": [[math.nan]]}))
    (run / "crossval/folds.json").write_text("{")
    page, printed = draw(run, "--no-images")
    assert "This can't be shown" in page.text
    assert str(run / "crossval/folds.json") in printed
    assert f"{scores}: models[0]: damaged: it has no 'name'" in printed
    assert {"learning-metric", "progress"} <= set(page.data)
    assert "confusion-test" not in page.data
    assert page.table("Images by class and split")


def test_a_reading_that_broke_off_and_one_of_another_ensemble_say_so(run: Path) -> None:
    shutil.copytree(run / "evaluation/read_0001", run / "evaluation/read_0002")
    (run / "evaluation/read_0002/scores.json").unlink()
    page, _ = draw(run, "--no-images")
    assert "has been read 2 times" in page.text
    assert "the less its scores are worth" in page.text
    manifest = run / "ensemble/manifest.json"
    manifest.write_text(json.dumps(read(manifest) | {"medray": "0.0.1"}))
    page, _ = draw(run, "--no-images")
    assert "of another ensemble" in page.text
    shutil.rmtree(run / "evaluation/read_0001")
    page, _ = draw(run, "--no-images")
    assert "No read by this run was finished." in page.text
    assert "evaluate" in page.text
    assert "test-scores" not in page.data


def test_reads_by_other_runs_and_copies_of_test_images_are_said(run: Path, edit: Edit) -> None:
    other = shutil.copytree(run, run.with_name("other"))
    edit(other / "evaluation/read_0001/begun.json", uuid="another", time="2026-11-02T00:00:00+00:00")
    score = {"value": 0.75, "low": 0.5, "high": 1.0, "reason": None}
    without = {"images": 20, "copies": 4, "scores": {"accuracy": score}}
    edit(run / "evaluation/read_0001/scores.json", without_copies=without)
    page, _ = draw(run, "--no-images")
    assert f"has been read 2 times, 1 of them by this run (others: {other} on 2026-11-02)." in page.text
    assert "the less its scores are worth" in page.text
    assert "4 test images have a copy, or the same patient, in another split" in page.text
    assert "on 20 images: accuracy 0.750 [0.500, 1.000]." in page.text


def test_a_run_that_was_ranked_by_f1_says_twice_what_f1_is(run: Path, edit: Edit) -> None:
    assert "ignores true negatives" not in draw(run, "--no-images")[0].text
    edit(run / "run.json", metric="f1_macro")
    assert draw(run, "--no-images")[0].text.count("ignores true negatives") == 2  # in two sections


def test_leaks_stand_at_the_top_and_without_any_it_says_what_was_looked_for(run: Path, edit: Edit) -> None:
    assert f"No leak was found. Looked for in two splits: {LOOKED_FOR}" in draw(run, "--no-images")[0].text
    leak = Finding("patients_across_splits", "leak", "7 patients in several splits", 7).to_dict()
    edit(run / "data.json", leaks=[leak])
    page, _ = draw(run, "--no-images")
    assert page.text.index("LEAK in the data: 7 patients") < page.text.index("How good is it?")


def test_images_that_are_gone_leave_the_rest(run: Path, edit: Edit) -> None:
    options = read(run / "run.json")["options"]
    edit(run / "run.json", options=options | {"data": str(run / "gone.npz")})
    (run / "crossval/label_issues.csv").write_text(ISSUES + "1,7,train,0,1,0.1,0.9,0.8\n")
    page, _ = draw(run)
    assert page.table("Labels that the folds doubt")[1] == [
        "image 7 (train)",
        "labelled 0 (0.10)",
        "looks like 1 (0.90)",
    ]
    assert "The images can't be shown: " in page.text
    assert "gone.npz" in page.text
    assert not page.attributes("src")
    assert LEFT_OUT in draw(run, "--no-images")[0].text


def test_no_image_of_the_test_split_is_ever_shown(run: Path) -> None:
    position = read(run / "splits.json")["test"][0]
    (run / "crossval/label_issues.csv").write_text(ISSUES + f"1,{position},train,0,1,0.1,0.9,0.8\n")
    page, printed = draw(run)
    assert "images of the test split are among those to be shown" in printed
    assert not page.attributes("src")


def test_nothing_but_the_report_is_written(run: Path) -> None:
    def content() -> dict[str, bytes]:
        files = [path for path in run.rglob("*") if path.is_file() and path.parent.name != "report"]
        return {str(path): path.read_bytes() for path in files}

    before = content()
    draw(run)
    assert content() == before


def test_json_and_another_file(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "new" / "page.html"
    result = ask(run, "--no-images", "--out", elsewhere, "--json")
    told = json.loads(result.stdout)
    assert told == {"path": str(elsewhere), "size": elsewhere.stat().st_size, "problems": []}
    assert not (run / "report").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "is no run of medray"),
        (["{run}", "--data", "gone.npz"], "gone.npz"),
        (["{run}", "--dat", "gone.npz"], "did you mean '--data'?"),
        (["{run}", "--no-images", "--out", "{run}/run.json/page.html"], "can't be written"),
    ],
)
def test_a_mistake_is_one_line(run: Path, arguments: list[str], words: str) -> None:
    result = ask(*(argument.format(run=run) for argument in arguments))
    assert result.exit_code == 2
    lines = [line for line in result.stderr.splitlines() if not line.endswith(" ...")]
    assert len(lines) == 1
    assert lines[0].startswith("medray: ")
    assert words in lines[0]
    assert not (run / "report").exists()


def test_a_nested_cross_validation_and_a_gain_over_baselines_are_shown(run: Path) -> None:
    page, _ = draw(run, "--no-images")
    assert f"medray crossval {run} --nested" in page.text
    study = medray.Study.open(run, runner="local", quiet=True)
    study.crossval(resume=True, baselines=True)
    study.nested_crossval(folds=2)
    page, _ = draw(run, "--no-images")
    assert f"medray crossval {run} --nested" not in page.text
    assert "Over the best baseline (plain) the best setting" in page.text
    table = page.table("Mean ± standard deviation over 2 of 2 outer folds")
    assert [row[0] for row in table[-3:]] == ["ensemble, held out", "ensemble, on val", "best trial, held out"]
    (run / "crossval/nested/fold_1/fold.json").write_text("{}")
    page, printed = draw(run, "--no-images")
    assert "fold_1/fold.json" in printed
    assert "The whole procedure" in page.text
