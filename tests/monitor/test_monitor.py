"""`medray monitor`: answers by day, rates against outcomes, and alarms that are seldom false."""

import csv
import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from medray.decisions.thresholds import Rule, set_point
from medray.ensemble.manifest import Manifest, read_manifest
from medray.errors import DataError
from medray.monitor.logged_answers import AnswerLog, LoggedAnswer, read_answers
from medray.monitor.measure_use import ModelInUse, measure_use
from medray.monitor.monitor_command import monitor
from medray.monitor.outcomes import join_outcomes, read_outcomes
from medray.runs.folder import Folder
from medray.serving.engine.answering import PredictRequest, answer_batch
from medray.serving.engine.audit_log import AuditLog
from medray.serving.engine.served_model import ServedModel
from medray.study import Study

NAMES = ("ill", "well")
PROMISED = 0.9


def answer(
    number: int, probability: float = 0.5, *, called: bool = False, day: str = "2026-01-01"
) -> LoggedAnswer:
    return LoggedAnswer(
        day, f"r{number}", (f"{number:064x}",), NAMES[int(probability < 0.5)], {"ill": probability, "well": 1 - probability},
        {("sensitivity 0.9", "ill"): called}, False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ensembled(made_run: Path, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Path(shutil.copytree(made_run, tmp_path_factory.mktemp("used") / "found"))
    Study.open(run, data=npz, runner="local", quiet=True).ensemble(sensitivity=0.8, positive="0")
    return run


@pytest.fixture(scope="module")
def manifest(ensembled: Path) -> Manifest:
    """Of two classes and a point that promises a sensitivity."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    ill = 1 / (1 + np.exp(-rng.normal(2 * (labels == 0) - 1, 1)))
    point = set_point(
        Rule("sensitivity", PROMISED), np.stack([ill, 1 - ill], 1), labels, NAMES, "ill", "calibration"
    )
    assert point.promised == PROMISED
    found = read_manifest(Folder(str(ensembled / "ensemble")))
    return dataclasses.replace(found, class_names=NAMES, operating_points=(point,), ood=None)


def used(manifest: Manifest, sensitivity: float, images: int, seed: int, shift: float = 0.0) -> ModelInUse:
    """A stream of calibrated answers, or of ones that are off by `shift`, whose point hits so many of the ill."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, images)
    ill = rng.random(images) < 1 / (1 + np.exp(-odds - shift))
    called = np.where(ill, rng.random(images) < sensitivity, rng.random(images) < 0.1)
    answers = [
        answer(n, float(1 / (1 + np.exp(-o))), called=bool(c), day=f"2026-01-{1 + n // 50:02}")
        for n, (o, c) in enumerate(zip(odds, called, strict=True))
    ]
    outcomes = {(a.request_id, None): NAMES[int(not having)] for a, having in zip(answers, ill, strict=True)}
    return measure_use(AnswerLog("v", answers, 0, 0), join_outcomes(answers, outcomes), manifest)


def test_what_keeps_its_promise_is_seldom_alarmed_about(manifest: Manifest) -> None:
    alarmed = [bool(used(manifest, PROMISED, 300, seed).alarmed) for seed in range(60)]
    assert sum(alarmed) <= 6  # of 60: 5 % and three standard errors


def test_a_lost_sensitivity_and_a_lost_calibration_are_alarmed_about(manifest: Manifest) -> None:
    lost = used(manifest, 0.6, 300, 0)
    assert lost.alarmed == ["sensitivity of sensitivity 0.9 (ill)"]
    assert used(manifest, PROMISED, 500, 0, shift=1.5).calibration_alarm


def test_days_are_counted_with_what_was_said(manifest: Manifest) -> None:
    use = used(manifest, PROMISED, 120, 1)
    assert [day.answers for day in use.days] == [50, 50, 20]
    assert sum(day.outcomes for day in use.days) == use.outcomes == 120
    for day in use.days:
        assert sum(day.shares.values()) == pytest.approx(1.0)
        assert 0.5 <= day.confidence <= 1.0


def test_outcomes_of_positive_answers_alone_are_named(manifest: Manifest) -> None:
    answers = [answer(n, called=n % 2 == 0) for n in range(40)]
    outcomes = {(a.request_id, None): "ill" for a in answers[::2]}
    use = measure_use(AnswerLog("v", answers, 3, 1), join_outcomes(answers, outcomes), manifest)
    assert any("verification bias" in note for note in use.notes)
    assert any(note.startswith("3 answers of other versions") for note in use.notes)
    assert any(note.startswith("1 records are no answers") for note in use.notes)


# -- outcomes


def test_outcomes_find_their_answers() -> None:
    answers = [answer(0), answer(1), dataclasses.replace(answer(2), request_id="r1"), answer(3), answer(3)]
    (same,) = answers[3].digests
    joined = join_outcomes(
        answers, {("r0", None): "ill", ("r1", None): "well", (None, same): "ill", ("gone", None): "ill"}
    )
    assert joined.labels == ["ill", None, None, None, "ill"]  # an image that was asked about twice counts once
    assert (joined.without_answer, joined.ambiguous) == (1, 1)
    assert join_outcomes(answers, {("r1", answers[2].digests[0]): "well"}).labels[2] == "well"


def test_an_image_counts_once_however_often_it_is_asked_about() -> None:
    first = answer(0)
    answers = [dataclasses.replace(first, request_id=f"r{n}") for n in range(20)]
    joined = join_outcomes(answers, {("r3", None): "ill", ("r7", None): "well", (None, first.digests[0]): "ill"})
    assert joined.counted == [19]
    assert joined.labels == [None] * 19 + ["ill"]


def test_a_case_is_known_by_its_request_or_any_of_its_images() -> None:
    case = dataclasses.replace(answer(0), digests=("a" * 64, "b" * 64))
    for key in (("r0", None), (None, "a" * 64), ("r0", "b" * 64)):
        joined = join_outcomes([answer(1), case], {key: "ill"})
        assert (joined.labels, joined.ambiguous, joined.without_answer) == ([None, "ill"], 0, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na,ill\n", "its columns are image, label; needed are label, and request_id or sha256"),
        ("request_id,label\nr1,il\n", r"line 2: unknown class 'il' \(did you mean 'ill'\?\)"),
        ("request_id,label\n,ill\n", "line 2 names neither request_id nor sha256"),
        ("", "is empty"),
    ],
)
def test_a_table_that_can_not_be_read_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_outcomes(path, NAMES)


def test_what_is_not_known_yet_is_no_outcome(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text("\ufeffrequest_id,sha256,label\nr1,,ill\nr2,,\nr1,,well\n")
    assert read_outcomes(path, NAMES) == {("r1", None): "well"}


# -- the command, on a log that the service's own code has written


@pytest.fixture
def served(ensembled: Path, npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A run whose service has answered the images of a split; the true class of each request."""
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "cache"))
    run = Path(shutil.copytree(ensembled, tmp_path / "found"))
    model = ServedModel.load(str(run), "found")
    with np.load(npz) as arrays:
        images, labels = arrays["val_images"], arrays["val_labels"][:, 0]
    requests = []
    for number, image in enumerate(images):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        requests.append(PredictRequest(stream.getvalue(), f"request-{number}", None, None))
    with AuditLog(run / "service/audit", "one") as log:
        answer_batch(model, requests, 10**6, log)
    names = model.ensemble.class_names
    return run, [names[label] for label in labels]


def command(*arguments: object) -> Result:
    return CliRunner().invoke(monitor, [str(argument) for argument in arguments])


@pytest.mark.component
def test_the_log_of_a_service_and_a_table_of_outcomes_make_a_report(served: tuple[Path, list[str]]) -> None:
    run, truth = served
    log = read_answers(run / "service/audit")
    assert (len(log.answers), log.damaged) == (len(truth), 0)
    with (run / "outcomes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["request_id", "label"])
        rows.writerows((f"request-{number}", label) for number, label in enumerate(truth))
    result = command(run, "--outcomes", run / "outcomes.csv", "--json")
    assert result.exit_code in (0, 1), result.output
    use = json.loads(result.stdout)
    assert use["answers"] == use["outcomes"] == len(truth)
    (rate,) = (rate for rate in use["rates"] if rate["name"].startswith("sensitivity of"))
    assert rate["total"] == truth.count("0")
    called = [a.positive[("sensitivity 0.8", "0")] for a in log.answers]
    assert rate["count"] == sum(c and label == "0" for c, label in zip(called, truth, strict=True))
    with AuditLog(run / "service/outcomes", "one") as sent:  # as POST /outcomes does; the table goes before it
        sent.write(
            [{"time": "2026-01-01", "request_id": f"request-{n}", "sha256": None, "label": "1"} for n in (0, 1)]
        )
    sent_alone = json.loads(command(run, "--json").stdout)
    assert sent_alone["outcomes"] == 2
    assert json.loads(command(run, "--outcomes", run / "outcomes.csv", "--json").stdout)["rates"] == use["rates"]
    printed = command(run, "--outcomes", run / "outcomes.csv").stdout
    assert "By day (UTC)" in printed
    assert "sensitivity of sensitivity 0.8 (0)" in printed
    assert all(len(line) <= 160 for line in printed.splitlines())


@pytest.mark.component
def test_answers_are_measured_against_the_ensemble_that_gave_them(
    served: tuple[Path, list[str]], npz: Path
) -> None:
    run, _ = served
    version = read_answers(run / "service/audit").version
    shutil.copytree(run / "ensemble", run / f"service/ensembles/{version}")
    Study.open(run, data=npz, runner="local", quiet=True).ensemble(sensitivity=0.9, positive="1")
    names = [rate["name"] for rate in json.loads(command(run, "--json").stdout)["rates"]]
    assert names[0] == "sensitivity of sensitivity 0.8 (0)"
    shutil.rmtree(run / "service/ensembles")
    refused = command(run)
    assert refused.exit_code == 2
    assert f"are of version {version}, which is neither in" in refused.stderr


@pytest.mark.component
def test_what_can_not_be_monitored_is_one_line(ensembled: Path, served: tuple[Path, list[str]]) -> None:
    result = command(ensembled)
    assert result.exit_code == 2
    assert "has no audit log: `medray serve" in result.stderr
    run, _ = served
    refused = command(run, "--outcomes", run / "nowhere.csv")
    assert refused.exit_code == 2
    assert "nowhere.csv" in refused.stderr.strip().splitlines()[-1]
