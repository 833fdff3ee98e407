"""A fact that tells a class apart by itself is named with its AUC; a fact that does not hardly ever is."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medray._types import Array
from medray.audit.audit import audit_survey
from medray.audit.data_command import data
from medray.audit.findings import Audit, Shortcut
from medray.audit.shortcuts.facts import FORM, Fact
from medray.audit.shortcuts.find_shortcuts import separating_facts
from medray.audit.shortcuts.small_tree import LEAST_GAIN, LEAST_LEAF, leaf_shares
from medray.audit.survey_images import open_source, survey_dataset, survey_source
from medray.data.dataset import ImageDataset
from tests.audit.audit_samples import blobs


def hospitals(root: Path, count: int = 60) -> Path:
    """A class of other hospitals: JPEG films of many sizes from papers among PNG ones of one size."""
    rng, pixels = np.random.default_rng(0), blobs(count, size=48, seed=3)
    for number, image in enumerate(pixels[..., 0]):
        if number % 3 == 0:
            path = root / "COVID-19" / "papers" / f"covid19-radiopaedia-{number}.jpg"
            size = tuple(rng.integers(60, 90, 2).tolist())
            picture = Image.fromarray(image).resize(size).convert("RGB")
        else:
            path = root / "Normal" / "clinic" / f"{rng.integers(16**12):012x}.png"
            picture = Image.fromarray(image)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return root


def audited(source: str) -> Audit:
    return audit_survey(survey_source(open_source(source)))


def facts_of(result: Audit) -> set[str]:
    return {shortcut.fact for shortcut in result.shortcuts}


def test_a_class_of_other_hospitals_is_named_with_facts_and_auc(tmp_path: Path) -> None:
    result = audited(f"folder:{hospitals(tmp_path)}")
    assert facts_of(result) >= {"folder", "file name", "width", "height", "format", "mode", "JPEG quality"}
    assert {shortcut.class_name for shortcut in result.shortcuts} == {"COVID-19"}
    rules = {shortcut.fact: shortcut.rule for shortcut in result.shortcuts}
    assert rules["folder"] == "folder 'papers'"
    assert rules["file name"] == "file name 'radiopaedia-#'"
    assert rules["format"] == "format 'jpeg'"
    assert re.fullmatch(r"width ≥ \d\d px", rules["width"])
    best = result.shortcuts[0]
    assert (best.share, best.others, best.auc) == (1, 0, 1)
    assert 0.7 < best.low < 1
    findings = {finding.kind: finding for finding in result.findings}
    assert findings["shortcut_source"].severity == findings["shortcut_form"].severity == "warning"
    assert (
        "COVID-19 by folder 'papers': 100% of it, 0% of others (AUC 1.00, 0." in findings["shortcut_source"].text
    )
    assert "may come from elsewhere" in findings["shortcut_source"].text
    assert not result.leaks


def test_it_stands_in_the_terminal_and_in_the_document(tmp_path: Path) -> None:
    source = f"folder:{hospitals(tmp_path / 'films')}"
    shown = CliRunner().invoke(data, ["audit", source, "--out", str(tmp_path / "out")])
    assert shown.exit_code == 0, shown.output
    assert "COVID-19 by folder 'papers'" in " ".join(shown.output.split())
    assert max(map(len, shown.stdout.splitlines()[1:])) <= 80
    document = json.loads((tmp_path / "out" / "audit.json").read_bytes())
    assert Audit.from_dict(document) == audited(source)
    assert document["shortcuts"][0]["auc"] == 1


def test_names_and_folders_of_the_class_itself_are_none(tmp_path: Path) -> None:
    for number, image in enumerate(blobs(60, size=32, seed=4)[..., 0]):
        name = ("benign", "malignant")[number % 2]
        path = tmp_path / name / f"{('BENIGN', 'malig')[number % 2]} ({1 + number // 2}).png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    result = audited(f"folder:{tmp_path}")
    assert not {shortcut.kind for shortcut in result.shortcuts} & {"source", "form"}


@pytest.mark.parametrize("column", ["Hospital", "scannerType", "View Position", "StudyDate", "spacing"])
def test_a_column_of_site_scanner_view_or_date_is_looked_at(tmp_path: Path, column: str) -> None:
    values = {
        "StudyDate": (lambda n: f"2020-{1 + n % 12:02d}-03", lambda n: f"20{10 + n % 8}0412"),
        "spacing": (lambda n: str(0.1 + n / 1000), lambda n: str(0.3 + n / 1000)),
    }.get(column, (lambda n: "AP" if n % 20 else "", lambda n: "PA" if n % 3 else "LL"))
    rows = []
    for number, image in enumerate(blobs(80, size=32, seed=5)[..., 0]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        rows.append([f"{number}.png", "ab"[number % 2], values[number % 2](number), "ab"[number % 2]])
    with (tmp_path / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label", column, "verdict"], *rows])
    result = audited(f"csv:{tmp_path / 'table.csv'}")
    (shortcut,) = result.shortcuts
    assert shortcut.fact == f"column '{column}'"
    if column == "StudyDate":
        assert shortcut.rule in ("column 'StudyDate' ≥ 2020-01-03", "column 'StudyDate' ≤ 2017-04-12")


def test_arrays_have_looks_only_and_the_text_says_that_it_may_be_the_disease() -> None:
    images = blobs(80, size=28, seed=6)
    labels = np.arange(80) % 2
    images[labels == 1, :3] = 0
    dataset = ImageDataset(images, labels, ("a", "b"), {"train": np.arange(80)}, "drawn")
    result = audit_survey(survey_dataset(dataset))
    assert "brightness of the border" in facts_of(result)
    (finding,) = result.findings
    assert finding.kind == "shortcut_look"
    assert "may be the disease itself" in finding.text


def test_small_classes_are_left_out_and_named(tmp_path: Path) -> None:
    result = audited(f"folder:{hospitals(tmp_path, 36)}")
    assert result.shortcuts == ()
    (note,) = result.notes
    assert note.endswith(": COVID-19 (12), Normal (12)")


def separated(values: Array, positive: Array, groups: Array | None = None) -> Sequence[Shortcut]:
    groups = np.arange(len(positive)) if groups is None else groups
    return separating_facts([Fact("x", FORM, values)], {"c": positive}, groups)


def test_images_of_one_patient_count_once() -> None:
    positive = np.arange(120) % 2 == 1
    size = np.where(positive, 600.0, 256.0)
    assert separated(size, positive)
    few = np.concatenate([np.full(100, 0), np.arange(1, 21)])  # nearly all images are of one patient
    assert not separated(size, positive, few)


def test_folders_of_one_patient_each_say_nothing_of_other_patients() -> None:
    groups = np.repeat(np.arange(30), 10)
    names = np.array([f"folder {group}" for group in groups])
    assert not separated(names, groups % 2 == 1, groups)
    assert separated(names, groups % 2 == 1)  # where nobody says that they are patients


def test_a_range_in_the_middle_is_found_and_put_in_words() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(400) < 0.3
    values = np.where(positive, rng.integers(500, 600, 400), rng.choice([256, 300, 900, 1024], 400)).astype(float)
    (shortcut,) = separated(values, positive)
    assert re.fullmatch(r"x 5\d\d to 5\d\d px", f"{shortcut.rule} px")
    assert shortcut.share > 0.9
    assert shortcut.others == 0


def test_values_that_are_not_known_are_a_range_of_their_own() -> None:
    positive = np.arange(90) % 3 == 0
    values = np.where(positive, np.nan, np.random.default_rng(0).random(90))
    (shortcut,) = separated(values, positive)
    assert shortcut.rule == "x not known"


def random_facts(rng: np.random.Generator, groups: Array, count: int) -> list[Fact]:
    """Facts of whole groups or of images that have nothing to do with any class."""
    patients, images = groups.max() + 1, len(groups)
    columns = [
        rng.normal(size=patients)[groups] + rng.normal(size=images),
        rng.choice([256.0, 512.0, 1024.0], patients, p=rng.dirichlet([1, 1, 1]))[groups],
        np.array([f"site {value}" for value in rng.integers(0, rng.integers(2, 9), patients)])[groups],
        np.array([f"folder {value}" for value in rng.integers(0, max(3, patients // 4), patients)])[groups],
        np.where(rng.random(images) < 0.3, np.nan, rng.exponential(size=patients)[groups]),
    ]
    return [Fact(f"fact {number}", FORM, columns[number % len(columns)]) for number in range(count)]


def test_facts_that_are_independent_of_the_class_are_no_findings() -> None:
    """At most 5 % of data sets may have one; of 500 there was none."""
    rng, alarms, sets = np.random.default_rng(8), 0, 60
    for number in range(sets):
        count, classes, per = ((60, 200, 1000)[number % 3], (2, 4)[number % 2], (1, 4)[number // 6 % 2])
        groups = np.sort(rng.integers(0, count // per, count)) if per > 1 else np.arange(count)
        groups = np.unique(groups, return_inverse=True)[1]
        shares = rng.dirichlet(np.full(classes, 3.0))
        label = rng.choice(classes, groups.max() + 1, p=shares)[groups]
        members = {str(c): label == c for c in range(classes)}
        members = {n: m for n, m in members.items() if 10 <= len(np.unique(groups[m])) <= groups.max() - 10}
        if members:
            alarms += bool(separating_facts(random_facts(rng, groups, 5), members, groups))
    assert alarms / sets <= 0.05


@pytest.mark.parametrize(("cases", "others", "count", "sets"), [(40, 60, 10, 150), (20, 300, 30, 100)])
def test_the_interval_covers_where_a_fact_is_just_below_what_is_reported(
    cases: int, others: int, count: int, sets: int
) -> None:
    """Facts whose AUC is 0.7 exactly: at most 5 % of data sets may have a finding, also with few cases."""
    rng, alarms, images = np.random.default_rng(9), 0, cases + others
    positive = np.arange(images) < cases
    for _ in range(sets):
        facts = [
            Fact(f"{number}", FORM, (rng.random(images) < np.where(positive, 0.7, 0.3)).astype(float))
            for number in range(count)
        ]
        alarms += bool(separating_facts(facts, {"c": positive}, np.arange(images)))
    assert alarms / sets <= 0.05


def test_a_planted_size_is_found_among_other_facts() -> None:
    """90 % of a class have another size, and 5 % of the others."""
    rng, hits = np.random.default_rng(10), 0
    for _ in range(20):
        positive = np.arange(300) % 5 == 0
        other = np.where(positive, rng.random(300) < 0.9, rng.random(300) < 0.05)
        size = np.where(other, rng.integers(500, 900, 300), 256).astype(float)
        groups = np.arange(300)
        shortcuts = separating_facts(
            [Fact("width", FORM, size), *random_facts(rng, groups, 5)], {"c": positive}, groups
        )
        hits += [shortcut.fact for shortcut in shortcuts] == ["width"]
    assert hits >= 19


@given(st.integers(0, 10**6))
def test_the_tree_is_that_of_scikit_learn(seed: int) -> None:
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(seed)
    weights = rng.random((int(rng.integers(1, 30)), 2)) ** rng.uniform(0.2, 5)
    weights /= weights.sum()
    rows, sides = np.nonzero(weights)
    tree = DecisionTreeClassifier(
        max_depth=2, min_weight_fraction_leaf=LEAST_LEAF, min_impurity_decrease=LEAST_GAIN, random_state=0
    )
    tree.fit(rows[:, None], sides, sample_weight=weights[rows, sides])
    expected = tree.predict_proba(np.arange(len(weights))[:, None])[:, 1] if len(tree.classes_) > 1 else None
    if expected is not None:
        assert leaf_shares(weights) == pytest.approx(expected)
