"""What is printed: nothing cut off at any width, no name read as markup, no figure twice or lost."""

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from medray.data.dataset import ImageDataset
from medray.decisions.conformal import calibrate
from medray.decisions.thresholds import Rule, set_point
from medray.evaluate.evaluated_models import ENSEMBLE, EvaluatedModel
from medray.evaluate.measure_models import measure_models
from medray.evaluate.print_evaluation import print_result, to_json
from medray.evaluate.read_count import ReadCount
from medray.evaluate.reviewed_scores import review
from medray.evaluate.run_evaluation import Evaluation
from medray.evaluate.scores_document import ReadScores
from medray.evaluate.test_reads import TestRead as Read
from medray.runs.rundir import RunDir
from medray.stats.likelihood_ratios import predictive_values
from medray.stats.scores import Predictions

BREAST = ("malignant", "normal, benign")
ORGANS = (
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver", "lung-left",
    "lung-right", "pancreas", "spleen",
)  # fmt: skip
MODELS = (ENSEMBLE, "best single (trial 6)", "greedy of trials", "baseline early_stopping (trial 1)")


def made_up(names: tuple[str, ...], metric: str = "auc", images: int = 60, **more: Any) -> ReadScores:
    rng = np.random.default_rng(0)
    classes, labels = len(names), np.arange(images) % len(names)
    predictions = {}
    for model in MODELS:
        scores = rng.random((images, classes)) + np.eye(classes)[labels]
        predictions[model] = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    shape = np.zeros((images, 1, 1, 1), np.uint8)
    dataset = ImageDataset(shape, labels, names, {"test": np.arange(images)}, "made up", **more)
    own = predictions[ENSEMBLE]
    point = set_point(Rule("sensitivity", 0.95), own, labels, names, names[1], "out-of-fold")
    models = [EvaluatedModel(model, (((0, None), 0.5), ((1, None), 0.5))) for model in MODELS]
    scores = measure_models(
        dataset, np.arange(images), predictions, models, "single", metric, 0,
        points=[point], conformal=[calibrate(own, labels, coverage, "lac") for coverage in (0.9, 0.95)],
    )  # fmt: skip
    reviewed = review(Predictions(own, labels, len(names)), names, [(point, point.rates)], None, 0)
    facts = (1, "2026-01-02T03:04:05+00:00", "", "", "", "", "")
    return ReadScores(*facts, **vars(scores), leaks=(), reviewed=reviewed, without_copies=None)


def printed(
    scores: ReadScores, width: int, *, stored: bool = False, count: int = 1, prevalences: tuple[float, ...] = (),
    location: str = "/runs/x",
) -> str:  # fmt: skip
    stream, run = io.StringIO(), RunDir(location)
    result = Evaluation(
        run, scores, Read(count, run.evaluation.child(f"read_{count:04d}")), stored, ReadCount(location, count)
    )
    print_result(result, Console(file=stream, width=width), prevalences)
    assert len(to_json(result, prevalences)["at_prevalences"]) == len(prevalences) * len(scores.operating_points)
    return stream.getvalue()


def tables(text: str) -> list[str]:
    """The lines of tables: those that begin with a space."""
    return [line for line in text.splitlines() if line.startswith(" ")]


@pytest.mark.parametrize("width", [60, 80, 100, 140, 160])
@pytest.mark.parametrize("names", [BREAST, ORGANS], ids=["breast", "organs"])
def test_nothing_is_cut_off(names: tuple[str, ...], width: int) -> None:
    scores = made_up(names, images=132)
    text = printed(scores, width)
    assert "…" not in text
    assert max(map(cell_len, tables(text))) <= width
    for name in names:
        assert name in text
    squeezed = re.sub(r"\s+", " ", text)
    for model in scores.models:
        for metric in ("auc", "accuracy", "balanced_accuracy", "f1_macro", "log_loss"):
            score = model.scores[metric]
            assert f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]" in squeezed
        assert f"{model.scores['calibration_error'].value:.3f}" in squeezed
    for row in scores.per_class:
        for figure in (row.precision, row.recall, row.specificity, row.auc):
            assert f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]" in squeezed
    for counts in scores.confusion_matrix:
        assert re.search(r"\s+".join(map(str, counts)), squeezed)


@pytest.mark.parametrize("width", [100, 140])
def test_names_of_models_are_whole_and_beside_every_part_of_a_table(width: int) -> None:
    squeezed = re.sub(r"\s+", " ", printed(made_up(BREAST), width))
    assert squeezed.count("greedy of trials (2 networks)") == 2  # the models' table, in two parts
    assert squeezed.count("ensemble (2 networks)") == 2


def test_wide_paper_has_one_table_of_models() -> None:
    text = printed(made_up(BREAST), 160)
    head = next(line for line in text.splitlines() if line.startswith(" model"))
    assert head.split() == [
        "model", "AUC", "accuracy", "balanced", "acc.", "F1", "macro", "log", "loss", "calibr.", "error",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [30, 45])
def test_a_very_narrow_terminal_still_has_every_figure(width: int) -> None:
    scores = made_up(BREAST)
    text = printed(scores, width)
    for model in scores.models:
        assert f"{model.scores['auc'].value:.3f}" in text


def test_names_are_not_read_as_markup() -> None:
    names = ("[bold]tumour[/bold]", "a [red] one")
    sites = {"site [1]": np.array(["[x]", "[/y]"] * 30)}
    text = printed(made_up(names, subgroups=sites), 140)
    for name in (*names, "site [1]", "[x]", "[/y]"):
        assert name in text


def test_many_classes_are_numbered_and_far_too_many_are_left_to_the_file() -> None:
    text = printed(made_up(ORGANS), 100)
    matrix = text[text.index("confusion matrix") :].splitlines()
    assert matrix[1].split() == [str(number) for number in range(11)]
    assert matrix[2].split()[:2] == ["0", "bladder"]
    names = tuple(f"class {number}" for number in range(60))
    text = printed(made_up(names, images=120), 100)
    assert "The confusion matrix of 60 classes is too wide to print; scores.json holds it." in text
    assert max(map(cell_len, tables(text))) <= 100


def test_the_runs_own_metric_comes_first_and_says_which_way_is_better() -> None:
    text = printed(made_up(BREAST, metric="recall_weighted"), 160)
    assert next(line for line in text.splitlines() if line.startswith(" model")).split()[1:3] == [
        "recall",
        "weighted",
    ]
    assert "recall weighted of the ensemble less that of each other model (more is better)" in text
    text = printed(made_up(BREAST, metric="log_loss"), 160)
    assert "log loss of the ensemble less that of each other model (less is better)" in text
    assert text.count("the ensemble is") == 2
    text = printed(made_up(BREAST, metric="accuracy"), 160)
    assert text.count("the ensemble is") == 1
    assert "ignores true negatives" not in text
    assert "ignores true negatives" in printed(made_up(BREAST, metric="f1_macro"), 160)


def test_values_at_a_prevalence_have_the_intervals_of_the_ratios() -> None:
    scores = made_up(BREAST)
    (point,), (row,) = scores.operating_points, scores.reviewed.likelihood_ratios
    values = predictive_values(point.test, row.ratios, 0.02)
    text = printed(scores, 100, prevalences=(0.02, 0.5))
    assert "Where a share of 0.02 are cases" in text
    assert "Where a share of 0.5 are cases" in text
    assert f"{values.ppv.value:.3f} [{values.ppv.low:.3f}, {values.ppv.high:.3f}]" in text
    assert f"{values.npv.value:.3f} [{values.npv.low:.3f}, {values.npv.high:.3f}]" in text


def test_differences_carry_a_sign_and_a_small_p_is_not_0() -> None:
    scores = made_up(BREAST)
    changed = {"difference": -0.0001, "low": -0.25, "high": 0.125, "p": 0.002, "adjusted_p": 1e-9}
    rows = list(scores.comparisons)
    rows[1] = dataclasses.replace(rows[1], **changed)
    scores = dataclasses.replace(scores, comparisons=tuple(rows))
    line = next(
        line for line in printed(scores, 140).splitlines() if "best single" in line and "<0.001" in line
    )  # fmt: skip
    assert "+0.000 [-0.250, +0.125]        0.002      <0.001" in line


def test_it_says_how_often_the_split_was_read_and_what_of() -> None:
    scores = made_up(BREAST)
    assert "has been read once. Figures: /runs/x/evaluation/read_0001" in printed(scores, 100)
    text = printed(scores, 100, stored=True, count=3)
    assert "From the store: the test split was read on 2026-01-02T03:04:05+00:00, and is not read again." in text
    assert "has been read 3 times, all by this run." in text
    assert "60 test images; 95 % intervals by image" in text
    patients = printed(made_up(BREAST, groups=np.arange(60) // 3), 100)
    assert "60 test images of 20 patients; 95 % intervals by patient" in patients


def test_a_report_from_before_a_read_is_told_of(tmp_path: Path) -> None:
    scores, location = made_up(BREAST), str(tmp_path)
    assert "medray report" not in printed(scores, 100, location=location)
    RunDir(location).report.write(RunDir.REPORT, b"<html>")
    assert f"with these figures: medray report {location}" in printed(scores, 100, location=location)
    assert "medray report" not in printed(scores, 100, location=location, stored=True)


def test_it_says_why_a_figure_has_no_interval() -> None:
    text = " ".join(printed(made_up(ORGANS), 140).split())
    assert "No interval of AUC, balanced acc., F1 macro: 5 images of a class: too few." in text
    few = {"sex": np.repeat(["f", "m"], [8, 52])}
    text = " ".join(printed(made_up(BREAST, groups=np.arange(60) // 8, subgroups=few), 140).split())
    assert "No interval of accuracy, log loss: 8 patients: too few." in text
    assert "too few to tell (1 patient of a class: too few)" in text


def test_the_comparison_that_was_named_beforehand_is_marked_and_the_others_are_a_family() -> None:
    scores = made_up(BREAST)
    text = " ".join(printed(scores, 140).split())
    assert "The verdicts on 6 comparisons are by p adjusted for all of them (Holm)." in text
    first = dataclasses.replace(scores.comparisons[0], primary=True)
    scores = dataclasses.replace(scores, comparisons=(first, *scores.comparisons[1:]))
    text = " ".join(printed(scores, 140).split())
    assert "The verdicts on 5 comparisons are by p adjusted for all of them (Holm)." in text
    assert "That with best single (trial 6) by AUC (*) was named beforehand and stands alone." in text


def of_sites(images: int = 600, **more: Any) -> ReadScores:
    """Scores with two columns of subgroups, of which one site has few images, at an operating point."""
    rng = np.random.default_rng(1)
    columns = {
        "sex": rng.choice(["f", "m"], images),
        "site": rng.choice(["Hospital of St. Mary", "B", "C", "D"], images, p=[0.35, 0.35, 0.28, 0.02]),
    }
    return made_up(BREAST, images=images, subgroups=columns, **more)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_rates_of_subgroups_are_printed_with_their_gaps(width: int) -> None:
    scores = of_sites()
    text = printed(scores, width)
    assert max(map(cell_len, tables(text))) <= width
    squeezed = re.sub(r"\s+", " ", text)
    assert len(scores.subgroup_rates) == 2
    for table in scores.subgroup_rates:
        for name in ("Sensitivity", "Specificity"):
            assert f"{name} by {table.column} at sensitivity 0.95 ('normal, benign')" in squeezed
        for group in table.groups:
            for rate in group.rates.values():
                if rate.gap.low is None:
                    assert re.search(rf" {group.value} .*{rate.gap.reason}", text)
                    continue
                assert f"{rate.rate.value:.3f} [{rate.rate.low:.3f}, {rate.rate.high:.3f}]" in squeezed
                assert f"[{rate.gap.low:+.3f}, {rate.gap.high:+.3f}]" in squeezed
    assert "8 gaps looked at, with p adjusted for all of them (Holm). None is shown." in squeezed
    assert "A gap that is not shown may still be there: its interval says how large it may be." in squeezed


def test_a_gap_that_is_shown_has_a_star_and_a_sentence() -> None:
    scores = of_sites()
    sex, site = scores.subgroup_rates
    rate = site.groups[1].sensitivity
    gap = dataclasses.replace(rate.gap, value=-0.25, low=-0.4, high=-0.1, adjusted_p=0.0004)
    group = dataclasses.replace(site.groups[1], sensitivity=dataclasses.replace(rate, gap=gap))
    site = dataclasses.replace(site, groups=(site.groups[0], group, *site.groups[2:]))
    text = printed(dataclasses.replace(scores, subgroup_rates=(sex, site)), 80)
    assert text.count("*") == 2  # beside the gap and in the sentence
    squeezed = re.sub(r"\s+", " ", text)
    assert "-0.250 [-0.400, -0.100] *" in squeezed
    assert (
        "8 gaps looked at, with p adjusted for all of them (Holm). Shown (*): sensitivity of site C at sensitivity "
        "0.95 -0.250 (p adjusted <0.001)." in squeezed
    )
    assert "may still be there" not in squeezed


def test_patients_in_several_groups_are_told_and_without_a_point_there_are_no_gaps() -> None:
    text = re.sub(r"\s+", " ", printed(of_sites(groups=np.arange(600) // 3), 80))
    assert re.search(r"\d+ patients with images in several groups of sex", text)
    scores = dataclasses.replace(of_sites(), operating_points=(), subgroup_rates=())
    text = printed(scores, 80)
    assert "The ensemble by sex" in text
    assert "gap" not in text
