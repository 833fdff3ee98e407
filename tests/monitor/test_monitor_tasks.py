"""Several labels, ordered grades, cases and looks in use: each is measured as what it is."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from medray._types import Array
from medray.decisions.looks import LOOKS, Looks, measure_looks
from medray.decisions.thresholds import OperatingPoint, Rule, set_point
from medray.ensemble.manifest import Manifest, read_manifest
from medray.monitor.logged_answers import AnswerLog, LoggedAnswer, LoggedImage
from medray.monitor.measure_use import ModelInUse, measure_use
from medray.monitor.outcomes import Outcome, join_outcomes
from medray.runs.folder import Folder
from medray.stats.sequential import ALPHA
from medray.study import Study

TODAY = "2026-12-31"
LABELS = ("effusion", "mass", "nodule")
GRADES = ("0", "1", "2")


@pytest.fixture(scope="module")
def plain(made_run: Path, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The manifest of a run's ensemble, to be filled in."""
    run = Path(shutil.copytree(made_run, tmp_path_factory.mktemp("plain") / "found"))
    Study.open(run, data=npz, runner="local", quiet=True).ensemble()
    return read_manifest(Folder(str(run / "ensemble")))


def made(plain: Manifest, task: str, names: Sequence[str], points: Sequence[OperatingPoint]) -> Manifest:
    return dataclasses.replace(
        plain, task=task, class_names=tuple(names), operating_points=tuple(points), ood=None, cases=None
    )


def image(number: int, looks: Mapping[str, float] | None = None, *, unlike: bool = False) -> LoggedImage:
    return LoggedImage(f"{number:064x}", unlike, looks or {}, None)


def use_of(manifest: Manifest, answers: Sequence[LoggedAnswer], outcomes: Sequence[Outcome] = ()) -> ModelInUse:
    return measure_use(AnswerLog("v", answers), join_outcomes(answers, outcomes), manifest, None, TODAY)


# -- several labels


def labelled(plain: Manifest, lost: str | None) -> ModelInUse:
    """A stream of answers of three labels, of which one is hit less often than promised."""
    rng = np.random.default_rng(0)
    truth = rng.random((600, 3)) < 0.4
    table = 1 / (1 + np.exp(-rng.normal(3 * truth - 1.5, 1)))
    points = [
        set_point(Rule("sensitivity", 0.9), table, truth.astype(np.int64), LABELS, name, "calibration") for name in LABELS
    ]  # fmt: skip
    answers, outcomes = [], []
    for row in range(500):
        has = rng.random(3) < 0.4
        missed = rng.random(3) < np.where([name == lost for name in LABELS], 0.4, 0.05)
        called = np.where(has, ~missed, rng.random(3) < 0.02)
        answers.append(LoggedAnswer(
            "2026-01-01", f"r{row}", (image(row),), tuple(n for n, c in zip(LABELS, called, strict=True) if c),
            dict.fromkeys(LABELS, 0.4), {(p.name, p.event.name): bool(c) for p, c in zip(points, called, strict=True)},
        ))  # fmt: skip
        known = {name: bool(h) for name, h in zip(LABELS, has, strict=True)}
        if row % 2:
            del known["nodule"]  # nobody has looked for it
        outcomes.append(Outcome(f"r{row}", None, known))
    return use_of(made(plain, "several", LABELS, points), answers, outcomes)


def test_each_label_has_rates_calibration_and_a_share_of_the_error(plain: Manifest) -> None:
    use = labelled(plain, None)
    assert use.needed == pytest.approx((3 * 2 + 3) / ALPHA)
    assert [rate.name for rate in use.rates] == [
        f"{kind}, {name} at sensitivity 0.9" for name in LABELS for kind in ("sensitivity", "specificity")
    ]
    assert [one.event for one in use.calibrations] == list(LABELS)
    images = {rate.name.split()[1]: rate.images for rate in use.rates}
    assert images["nodule"] < 0.7 * images["mass"]  # where it is not known it is neither hit nor missed
    assert not use.alarmed
    assert [(one.name, one.called) for one in use.verification][:2] == [("effusion", True), ("effusion", False)]


def test_the_label_that_is_lost_is_alarmed_about_alone(plain: Manifest) -> None:
    assert labelled(plain, "mass").alarmed == ["sensitivity, mass at sensitivity 0.9"]


# -- ordered grades


def test_grades_are_measured_by_cut(plain: Manifest) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 600)
    table = rng.dirichlet(np.ones(3), 600)
    point = set_point(Rule("sensitivity", 0.9), table, labels, GRADES, "1", "calibration", cut=True)
    manifest = made(plain, "ordered", GRADES, [point])
    answers = [
        LoggedAnswer(
            "2026-01-01", f"r{n}", (image(n),), ("1",), {"0": 0.2, "1": 0.3, "2": 0.5}, {(point.name, "1 or more"): True},
        )
        for n in range(5)
    ]  # fmt: skip
    outcomes = [Outcome(f"r{n}", None, {name: name == GRADES[n % 3] for name in GRADES}) for n in range(5)]
    use = use_of(manifest, answers, outcomes)
    assert [one.event for one in use.calibrations] == ["1 or more", "2"]
    assert [one.predicted for one in use.calibrations] == [pytest.approx(0.8), pytest.approx(0.5)]
    assert [one.observed for one in use.calibrations] == [pytest.approx(3 / 5), pytest.approx(1 / 5)]
    sensitivity, specificity = use.rates
    assert (sensitivity.patients, sensitivity.value) == (3, 1.0)
    assert (specificity.patients, specificity.value) == (2, 0.0)


# -- cases, and what images look like


def test_of_a_model_of_cases_images_alone_do_not_count(plain: Manifest) -> None:
    answers = [
        LoggedAnswer("2026-01-01", "r0", (image(0), image(1)), ("0",), {"0": 0.9, "1": 0.1, "2": 0}, {}, is_case=True),
        LoggedAnswer("2026-01-01", "r1", (image(2),), ("0",), {"0": 0.9, "1": 0.1, "2": 0}, {}),
    ]  # fmt: skip
    log = AnswerLog("v", answers).of_cases()
    use = measure_use(log, join_outcomes(log.answers, []), made(plain, "single", GRADES, []), None, TODAY)
    assert use.answers == 1
    assert any(note.startswith("1 answer to images alone left out") for note in use.notes)


def test_a_case_with_one_image_unlike_the_study_s_is_not_all_unlike(plain: Manifest) -> None:
    assert plain.ood is not None
    images = (image(0, unlike=True), image(1), image(2), image(3))
    case = LoggedAnswer("2026-01-01", "r0", images, ("0",), {"0": 0.9, "1": 0.1, "2": 0}, {}, is_case=True)
    manifest = dataclasses.replace(made(plain, "single", GRADES, []), ood=plain.ood)
    (drift,) = use_of(manifest, [case]).drifts
    assert (drift.images, drift.patients, drift.value) == (4, 1, 0.25)


def pictures(count: int, seed: int, brighter: int = 0) -> Array:
    """Uint8 images (count, 16, 16, 1) of different brightness."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 16, 16, 1)) + rng.integers(20, 120, (count, 1, 1, 1)) + brighter
    return images.clip(0, 255).astype(np.uint8)


def drifting(plain: Manifest, brighter: int) -> ModelInUse:
    looks = Looks.from_dict(Looks.of(pictures(500, 0), np.arange(500) // 2).to_dict())
    assert (looks.images, looks.patients) == (500, 250)
    seen = measure_looks(pictures(300, 1, brighter))
    answers = [
        LoggedAnswer(
            f"2026-01-{1 + n // 30:02}", f"r{n}", (image(n, {name: float(seen[name][n]) for name in LOOKS}),), ("0",),
            {"0": 0.9, "1": 0.1, "2": 0}, {},
        )
        for n in range(300)
    ]  # fmt: skip
    manifest = made(plain, "single", GRADES, [])
    return measure_use(AnswerLog("v", answers), join_outcomes(answers, []), manifest, looks, TODAY)


def test_images_that_have_become_brighter_are_alarmed_about(plain: Manifest) -> None:
    use = drifting(plain, 0)
    assert not use.alarmed
    assert [drift.name for drift in use.drifts] == list(LOOKS)
    assert all(drift.value is not None and 0.4 < drift.value < 0.6 for drift in use.drifts)
    assert len(use.days) == 10
    brighter = drifting(plain, 40)
    assert brighter.alarmed == ["brightness"]
    assert brighter.days[0].looks["brightness"] > use.days[0].looks["brightness"] + 30


def test_ranks_count_equal_images_half() -> None:
    looks = Looks.of(np.full((30, 8, 8, 1), 100, dtype=np.uint8))
    brightness = looks.looks["brightness"]
    assert brightness.ranks([99.0, 100.0, 101.0]).tolist() == [0.0, 0.5, 1.0]
