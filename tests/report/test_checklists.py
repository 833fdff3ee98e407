"""Where the items of the checklists stand: nothing is called given that the report does not hold."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from medray.audit.findings import Finding
from medray.config import TrainConfig
from medray.console_tables import interval
from medray.evaluate.evaluate_command import evaluate
from medray.evaluate.external.documents import ExternalScores
from medray.evaluate.scores_document import ReadScores
from medray.report.checklists.claim import CLAIM
from medray.report.checklists.data_facts import normalisation
from medray.report.checklists.external_facts import NOT_UPDATED
from medray.report.checklists.items import (
    FROM_RUN,
    IN_PART,
    NOT_APPLICABLE,
    NOT_YET,
    STATUSES,
    TO_WRITE,
    UNREADABLE,
    Checklist,
    Item,
    count_line,
)
from medray.report.checklists.tripod_ai import TRIPOD_AI
from tests.conftest import write_npz
from tests.report.conftest import Page, draw, read

Drawn = tuple[Path, Page, str]
Edit = Callable[..., None]
BOTH = (TRIPOD_AI, CLAIM)
PARTS = {"3": "abc", "5": "ab", "6": "abc", "8": "abc", "9": "abc", "12": "abcdefg", "18": "abcdef", "20": "abc",
         "23": "ab", "27": "abc"}  # fmt: skip


def rows_of(page: Page, checklist: Checklist) -> dict[str, list[str]]:
    """The cells after the number, by number."""
    return {row[0]: row[1:] for row in page.table(f"{checklist.name}, item by item")[1:]}


def statuses_of(page: Page, checklist: Checklist) -> dict[str, str]:
    return {number: row[1] for number, row in rows_of(page, checklist).items()}


def test_every_item_is_there_once_in_order() -> None:
    numbers = [n + part for n in map(str, range(1, 28)) for part in PARTS.get(n, [""])]
    assert [item.number for item in TRIPOD_AI.items] == numbers
    assert len(numbers) == 52
    assert [item.number for item in CLAIM.items] == [str(n) for n in range(1, 45)]


def test_the_statistics_of_starting_weights_are_not_called_those_of_the_training_images() -> None:
    fresh, started = TrainConfig(), TrainConfig(backbone="resnet18", pretrained=True)
    assert normalisation([fresh]).endswith("deviation of the training images")
    assert "that their starting weights were trained on" in normalisation([started])
    for configs in ([fresh, started], []):
        assert "deviation of the training images; of networks that did not begin fresh, " in normalisation(configs)


def test_an_item_applies_or_says_why_not() -> None:
    for wrong in ({}, {"write": "something", "why_not": "something"}):
        with pytest.raises(ValueError, match="item 9"):
            Item("9", "topic", **wrong)


@pytest.mark.parametrize("checklist", BOTH, ids=lambda checklist: checklist.anchor)
def test_a_report_has_every_item_and_counts_them(drawn: Drawn, checklist: Checklist) -> None:
    _, page, _ = drawn
    rows = rows_of(page, checklist)
    assert list(rows) == [item.number for item in checklist.items]
    statuses = list(statuses_of(page, checklist).values())
    assert count_line(checklist.name, statuses) in page.text
    for _, status, text, left, shown in rows.values():
        assert (text != "") == (status != TO_WRITE)
        assert (left == "") == (status in (FROM_RUN, NOT_APPLICABLE))
        assert not shown or status in (FROM_RUN, IN_PART)
    assert any(shown for *_, shown in rows.values())
    assert "not a certificate" in page.text


@given(st.lists(st.sampled_from(STATUSES), min_size=1))
def test_the_counts_add_up_to_the_items(statuses: list[str]) -> None:
    total, *counts = map(int, re.findall(r"\d+", count_line("A", statuses)))
    assert total == len(statuses) == sum(counts)


@pytest.mark.parametrize("checklist", BOTH, ids=lambda checklist: checklist.anchor)
def test_no_item_stands_better_in_a_report_than_in_general(drawn: Drawn, checklist: Checklist) -> None:
    _, page, _ = drawn
    shown = statuses_of(page, checklist)
    better = [item.number for item in checklist.items if shown[item.number] == FROM_RUN != item.status]
    assert not better
    assert [n for n, status in shown.items() if status == NOT_YET] == []


def test_what_is_given_links_to_the_part_that_shows_it(drawn: Drawn) -> None:
    _, page, _ = drawn
    headings = {anchor for tag, own in page.elements if tag == "section" and (anchor := own.get("id"))}
    for checklist in BOTH:
        for item in checklist.items:
            assert item.fact is None or item.fact.anchor in {"", "subgroups", "external", *headings}, item.number
    assert rows_of(page, TRIPOD_AI)["23a"][4] == "The test split"
    assert rows_of(page, CLAIM)["20"][4] == "The data"


def test_facts_are_those_of_the_run(drawn: Drawn) -> None:
    run, page, _ = drawn
    scores = ReadScores.from_dict(read(run / "evaluation/read_0001/scores.json"))
    data, manifest = read(run / "data.json"), read(run / "ensemble/manifest.json")
    tripod, claim = rows_of(page, TRIPOD_AI), rows_of(page, CLAIM)
    assert f"AUC {interval(scores.models[0].scores['auc'])}" in tripod["23a"][2]
    assert f"{data['images']} images" in tripod["5a"][2]
    assert all(f"{name} {split['images']}" in tripod["21"][2] for name, split in data["splits"].items())
    point = manifest["operating_points"][0]
    assert f"{point['threshold']:.3g}" in tripod["15"][2]
    assert tripod["15"][4] == "Decisions"
    assert interval(scores.operating_points[0].test.sensitivity) in claim["38"][2]
    assert f"{len(manifest['members'])} networks" in claim["27"][2]
    assert f"temperature {manifest['temperatures'][0]:.3f}" in claim["27"][2]
    summary = read(run / f"crossval/{read(run / 'crossval/plan.json')['trials'][0]:04d}/summary.json")
    assert f"{len(summary['folds'])} folds" in claim["30"][2]


def test_a_search_alone_leaves_the_test_scores_open(finished_run: Path) -> None:
    page, _ = draw(finished_run, "--no-images")
    claim = rows_of(page, CLAIM)
    for number, command in (("27", "ensemble"), ("30", "crossval"), ("37", "evaluate")):
        assert claim[number][1:3] == [NOT_YET, f"made by medray {command}"]
    assert claim["20"][1] == IN_PART  # patients are not known: a person says what they share
    assert "share a patient" in claim["20"][3]
    ids = set(page.attributes("id"))
    assert {href[1:] for href in page.attributes("href") if href.startswith("#")} <= ids


def test_without_a_trial_there_is_still_a_table(finished_run: Path) -> None:
    shutil.rmtree(finished_run / "trials")
    page, _ = draw(finished_run, "--no-images")
    assert statuses_of(page, CLAIM)["39"] == NOT_YET


def test_known_patients_and_leaks_change_what_is_left(run: Path, edit: Edit) -> None:
    edit(run / "data.json", patients=31)
    page, _ = draw(run, "--no-images")
    assert statuses_of(page, CLAIM)["20"] == FROM_RUN
    assert "31 patients" in rows_of(page, TRIPOD_AI)["21"][2]
    leak = Finding("patients_across_splits", "leak", "7 patients in several splits", 7).to_dict()
    edit(run / "data.json", leaks=[leak])
    page, _ = draw(run, "--no-images")
    assert rows_of(page, CLAIM)["20"][1:3] == [IN_PART, "LEAK: 7 patients in several splits"]


def test_subgroups_are_given_only_where_the_data_name_a_column(run: Path, edit: Edit) -> None:
    page, _ = draw(run, "--no-images")
    assert not read(run / "data.json")["subgroups"]
    for number in ("12d", "23b"):
        assert rows_of(page, TRIPOD_AI)[number][1:3] == [TO_WRITE, ""]
    assert "subgroup" in rows_of(page, TRIPOD_AI)["23a"][3]
    scores = run / "evaluation/read_0001/scores.json"
    proportion = {"value": 0.5, "low": None, "high": None, "count": 2, "total": 4, "reason": "4 images: too few"}
    group = {"value": "f", "images": 4, "accuracy": proportion, "flag": "too few to tell",
             "auc": {"value": 0.5, "low": None, "high": None, "reason": "too few"}}  # fmt: skip
    edit(run / "data.json", subgroups=["sex"])
    edit(scores, subgroups={"sex": [group]})
    page, _ = draw(run, "--no-images")
    assert rows_of(page, TRIPOD_AI)["23a"][2].endswith("; also by sex")
    assert "subgroup" not in rows_of(page, TRIPOD_AI)["23a"][3]
    assert "by sex (1)" in rows_of(page, TRIPOD_AI)["23b"][2]
    assert rows_of(page, TRIPOD_AI)["23b"][4] == "By subgroup"


def test_damaged_scores_are_no_fact_and_take_no_other_item_along(run: Path, edit: Edit) -> None:
    edit(run / "evaluation/read_0001/scores.json", models=[{}])
    page, _ = draw(run, "--no-images")
    claim = rows_of(page, CLAIM)
    assert claim["37"][1:3] == [UNREADABLE, ""]
    assert claim["37"][4] == "The test split"
    assert claim["27"][1] == FROM_RUN


def test_an_external_reading_fills_its_items_in_both_lists(run: Path, tmp_path: Path) -> None:
    page, _ = draw(run, "--no-images")
    assert statuses_of(page, CLAIM)["33"] == TO_WRITE
    for number in ("12f", "24"):
        assert rows_of(page, TRIPOD_AI)[number][1:3] == [NOT_APPLICABLE, NOT_UPDATED]
    other = write_npz(tmp_path / "other.npz", seed=9, train=60, other=60)
    result = CliRunner().invoke(evaluate, [str(run), "--external", str(other)])
    assert result.exit_code == 0, result.output
    page, _ = draw(run, "--no-images")
    document = run / "evaluation/external/0001/scores.json"
    scores = ExternalScores.from_dict(read(document))
    tripod, claim = rows_of(page, TRIPOD_AI), rows_of(page, CLAIM)
    accuracy = f"accuracy {interval(scores.figures.scores['accuracy'])} on {scores.figures.images} images"
    assert claim["33"][1] == IN_PART
    assert accuracy in claim["33"][2]
    assert claim["33"][2].endswith("0 images with a copy among the run's; read 1 time")
    assert claim["33"][4] == "Other images"
    assert accuracy in tripod["23a"][2]
    assert accuracy in claim["37"][2]
    assert "AUC on " in tripod["23b"][2]
    assert tripod["23b"][4] == "Other images", "no column of subgroups: the other images are all that it has"
    assert scores.shifts is not None
    largest = max(abs(row.difference.value or 0) for row in scores.shifts.classes)
    assert f"{largest:.3f} [" in tripod["16"][2]
    assert f"on {scores.recalibration.fitted} random images" in tripod["12f"][2]
    for method in scores.recalibration.methods:
        assert f"{interval(method.scores['log_loss'])} ({method.name})" in tripod["24"][2]
    document.write_text("{}")
    page, _ = draw(run, "--no-images")
    assert [statuses_of(page, CLAIM)[number] for number in ("33", "32")] == [UNREADABLE, FROM_RUN]
    assert "accuracy" in rows_of(page, TRIPOD_AI)["23a"][2], "the run's own figures don't go with it"


def test_a_score_without_an_interval_says_so(drawn: Drawn) -> None:
    run, page, _ = drawn
    scores = ReadScores.from_dict(read(run / "evaluation/read_0001/scores.json"))
    reason = scores.models[0].scores["auc"].reason
    assert reason  # 8 images of a class
    assert f"no interval of AUC: {reason}" in rows_of(page, TRIPOD_AI)["23a"][3]
