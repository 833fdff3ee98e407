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
from medray.monitor.logged_answers import AnswerLog, LoggedAnswer, LoggedImage, read_answers
from medray.monitor.measure_use import ModelInUse, measure_use
from medray.monitor.monitor_command import monitor
from medray.monitor.outcomes import JoinedOutcomes, Outcome, join_outcomes, read_outcomes
from medray.runs.folder import Folder
from medray.serving.engine.answering import PredictRequest, answer_batch
from medray.serving.engine.audit_log import AuditLog
from medray.serving.engine.served_model import ServedModel
from medray.study import Study

NAMES = ("ill", "well")
PROMISED = 0.9
POINT = ("sensitivity 0.9", "ill")
TODAY = "2026-12-31"


def answer(
    number: int, probability: float = 0.5, *, called: bool = False, day: str = "2026-01-01",
    patient: str | None = None,
) -> LoggedAnswer:  # fmt: skip
    return LoggedAnswer(
        day, f"r{number}", (LoggedImage(f"{number:064x}", False, {}, None),), (NAMES[int(probability < 0.5)],),
        {"ill": probability, "well": 1 - probability}, {POINT: called}, patient,
    )  # fmt: skip


def outcome(request: str | None, label: str, *, image: str | None = None, day: str | None = None) -> Outcome:
    return Outcome(request, image, {name: name == label for name in NAMES}, day)


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


def used(
    manifest: Manifest, sensitivity: float, images: int, seed: int, shift: float = 0.0, verified: float = 1.0
) -> ModelInUse:
    """A stream of calibrated answers, or of ones that are off by `shift`, whose point hits so many of the ill.

    Of the negative answers so many are `verified`.
    """
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, images)
    ill = rng.random(images) < 1 / (1 + np.exp(-odds - shift))
    called = np.where(ill, rng.random(images) < sensitivity, rng.random(images) < 0.1)
    known = called | (rng.random(images) < verified)
    answers = [
        answer(n, float(1 / (1 + np.exp(-o))), called=bool(c), day=f"2026-01-{1 + n // 50:02}")
        for n, (o, c) in enumerate(zip(odds, called, strict=True))
    ]
    outcomes = [outcome(f"r{n}", NAMES[int(not ill[n])]) for n in np.flatnonzero(known).tolist()]
    return measure_use(AnswerLog("v", answers), join_outcomes(answers, outcomes), manifest, None, TODAY)


def test_what_keeps_its_promise_is_seldom_alarmed_about(manifest: Manifest) -> None:
    alarmed = [bool(used(manifest, PROMISED, 300, seed).alarmed) for seed in range(60)]
    assert sum(alarmed) <= 6  # of 60: 5 % and three standard errors


def test_a_lost_sensitivity_and_a_lost_calibration_are_alarmed_about(manifest: Manifest) -> None:
    lost = used(manifest, 0.6, 300, 0)
    assert lost.alarmed == ["sensitivity, ill at sensitivity 0.9"]
    shifted = used(manifest, PROMISED, 500, 0, shift=1.5)
    assert shifted.alarmed == ["calibration of ill"]
    (calibration,) = shifted.calibrations
    assert calibration.observed is not None
    assert calibration.predicted is not None
    assert 0 < calibration.low < calibration.observed - calibration.predicted < calibration.high


def test_days_are_counted_with_what_was_said(manifest: Manifest) -> None:
    use = used(manifest, PROMISED, 120, 1)
    assert [day.answers for day in use.days] == [50, 50, 20]
    assert sum(day.outcomes for day in use.days) == use.outcomes == 120
    for day in use.days:
        assert sum(day.shares.values()) == pytest.approx(1.0)
        assert 0.5 <= day.confidence <= 1.0


# -- which answers have an outcome


def test_outcomes_of_positive_answers_alone_say_nothing_of_rates(manifest: Manifest) -> None:
    answers = [answer(n, called=n % 2 == 0) for n in range(400)]
    outcomes = [outcome(f"r{n}", "well" if n % 4 == 0 else "ill") for n in range(0, 400, 2)]
    log = AnswerLog("v", answers, of_others=3, damaged=1)
    use = measure_use(log, join_outcomes(answers, outcomes), manifest, None, TODAY)
    assert not use.alarmed  # no specificity of 0, of which all those false alarms would be evidence
    for rate in use.rates:
        assert (rate.evidence, rate.corrected, rate.reason) == (None, None, "outcomes of one kind of answer alone")
    assert any(
        "neither sensitivity nor specificity can be known (verification bias)" in note for note in use.notes
    )
    assert "3 answers of other versions of the model left out" in use.notes
    assert "1 record left out: no answers" in use.notes
    shares = {one.name: (one.answers, one.outcomes) for one in use.verification}
    assert shares == {"ill": (400, 200), "well": (0, 0)}


def test_outcomes_that_come_mostly_of_positive_answers_raise_no_false_alarm(manifest: Manifest) -> None:
    uses = [used(manifest, PROMISED, 800, seed, verified=0.2) for seed in range(8)]
    assert not any(rate.alarm for use in uses for rate in use.rates)
    sensitivity, specificity = zip(*(use.rates for use in uses), strict=True)
    for rates, truth in ((sensitivity, PROMISED), (specificity, 0.9)):
        assert np.mean([rate.corrected for rate in rates]) == pytest.approx(truth, abs=0.02)  # type: ignore[misc]
    assert np.mean([rate.value for rate in specificity]) < 0.75  # type: ignore[misc]
    assert all(any("verification bias" in note for note in use.notes) for use in uses)


def test_disagreements_alone_are_named(manifest: Manifest) -> None:
    answers = [answer(n, 0.2 + 0.6 * (n % 2), called=n % 2 == 1) for n in range(40)]
    outcomes = [outcome(f"r{n}", NAMES[n % 2]) for n in range(0, 40, 3)]
    use = measure_use(AnswerLog("v", answers), join_outcomes(answers, outcomes), manifest, None, TODAY)
    assert any(note.startswith("14 of 14 outcomes contradict the answer") for note in use.notes)


# -- patients


def test_a_patient_counts_once_by_the_images_of_the_first_day(manifest: Manifest) -> None:
    def keyed(number: int, patient: str, *, called: bool) -> LoggedAnswer:
        return answer(number, 0.8, called=called, patient=patient)

    answers = [
        keyed(0, "a", called=True), keyed(1, "a", called=False), keyed(2, "a", called=False), keyed(3, "b", called=True),
        answer(4, 0.8, called=True), keyed(5, "c", called=True),
    ]  # fmt: skip
    outcomes = [
        outcome("r0", "ill", day="2026-02-01"), outcome("r1", "ill", day="2026-02-01"),
        outcome("r2", "ill", day="2026-02-03"),  # later: patient a has counted
        outcome("r3", "ill", day="2026-02-02"), outcome("r4", "ill", day="2026-02-05"),
        outcome("r5", "ill", day="2026-02-05"),  # the day is not over
    ]  # fmt: skip
    joined = join_outcomes(answers, outcomes)

    def sensitivity(today: str) -> tuple[int, int, float | None]:
        use = measure_use(AnswerLog("v", answers), joined, manifest, None, today)
        assert any("1 patient of today" in note for note in use.notes) is (today == "2026-02-05")
        return use.rates[0].images, use.rates[0].patients, use.rates[0].value

    assert sensitivity("2026-02-05") == (4, 3, pytest.approx((0.5 + 1 + 1) / 3))
    assert sensitivity("2026-02-06") == (5, 4, pytest.approx((0.5 + 1 + 1 + 1) / 4))


def test_outcomes_name_patients_too(manifest: Manifest) -> None:
    answers = [answer(n, 0.8, called=n < 3) for n in range(6)]
    outcomes = [dataclasses.replace(outcome(f"r{n}", "ill"), patient=f"p{n // 3}") for n in range(6)]
    use = measure_use(AnswerLog("v", answers), join_outcomes(answers, outcomes), manifest, None, TODAY)
    assert (use.rates[0].patients, use.rates[0].value) == (2, 0.5)
    assert any(note.startswith("6 of 6 answers (0 of 6 with an outcome) name no patient") for note in use.notes)


# -- outcomes


def labels_of(joined: JoinedOutcomes) -> list[str | None]:
    return [
        None if known is None else next(name for name, having in known.having.items() if having)
        for known in joined.known
    ]


def test_outcomes_find_their_answers() -> None:
    answers = [answer(0), answer(1), dataclasses.replace(answer(2), request_id="r1"), answer(3), answer(3)]
    (same,) = answers[3].subject
    joined = join_outcomes(
        answers,
        [outcome("r0", "ill"), outcome("r1", "well"), outcome(None, "ill", image=same), outcome("gone", "ill")],
    )
    assert labels_of(joined) == ["ill", None, None, "ill", None]  # an image that was asked about twice counts once
    assert (joined.without_answer, joined.ambiguous) == (1, 1)
    (other,) = answers[2].subject
    assert labels_of(join_outcomes(answers, [outcome("r1", "well", image=other)]))[2] == "well"


def test_an_image_counts_once_however_often_it_is_asked_about() -> None:
    first = answer(0)
    (image,) = first.subject
    answers = [dataclasses.replace(first, request_id=f"r{n}", day=f"2026-01-{n + 1:02}") for n in range(20)]
    outcomes = [
        outcome("r3", "ill", day="2026-03-04"), outcome("r7", "well"), outcome(None, "ill", image=image)
    ]  # fmt: skip
    joined = join_outcomes(answers, outcomes)
    assert joined.counted == [0]
    assert labels_of(joined) == ["ill"] + [None] * 19
    known = joined.known[0]
    assert known is not None
    assert known.days == dict.fromkeys(NAMES, "2026-03-04")  # since the first of them


def test_a_case_is_known_by_its_request_or_any_of_its_images() -> None:
    images = tuple(LoggedImage(letter * 64, False, {}, None) for letter in "ab")
    case = dataclasses.replace(answer(0), images=images, is_case=True)
    for request, image in (("r0", None), (None, "a" * 64), ("r0", "b" * 64)):
        joined = join_outcomes([answer(1), case], [outcome(request, "ill", image=image)])
        assert (labels_of(joined), joined.ambiguous, joined.without_answer) == ([None, "ill"], 0, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na,ill\n", "its columns are image, label; needed are label, and request_id or sha256"),
        ("request_id,label\nr1,il\n", r"line 2: unknown class 'il' \(did you mean 'ill'\?\)"),
        ("request_id,label\n,ill\n", "line 2 names neither request_id nor sha256"),
        ("request_id,label,date\nr1,ill,31.1.2026\n", "line 2: date is '31.1.2026'; it must be as 2026-01-31"),
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
    path.write_text("\ufeffrequest_id,sha256,label,patient\nr1,,ill,7\nr2,,,\nr1,,well,\n")
    assert [(one.request_id, one.having["ill"], one.patient) for one in read_outcomes(path, NAMES)] == [
        ("r1", True, "7"), ("r1", False, None),
    ]  # fmt: skip


def test_several_labels_have_a_column_each(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text("request_id,reader,ill,well\nr1,7,1,\nr2,7,-1,no\nr3,7,,\n")
    assert [one.having for one in read_outcomes(path, NAMES, label_sets=True)] == [{"ill": True}, {"well": False}]
    for text, message in (
        ("request_id,ill,wel\nr1,1,0\n", r"unknown label 'wel' \(did you mean 'well'\?\)"),
        ("request_id,label\nr1,ill\n", "it has a column for none of the labels: ill, well"),
        ("request_id,ill\nr1,perhaps\n", "line 2: ill is 'perhaps'; it must be 1, 0, or empty if not known"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_outcomes(path, NAMES, label_sets=True)


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
    (rate,) = (rate for rate in use["rates"] if rate["name"] == "sensitivity, 0 at sensitivity 0.8")
    assert rate["patients"] == truth.count("0")
    called = [a.positive[("sensitivity 0.8", "0")] for a in log.answers]
    hits = sum(c and label == "0" for c, label in zip(called, truth, strict=True))
    assert rate["value"] == pytest.approx(hits / truth.count("0"))
    drifts = {drift["name"]: drift for drift in use["drifts"]}
    assert [*drifts] == ["out of distribution", "brightness", "contrast", "sharpness", "black"]
    assert all(drift["patients"] == len(truth) for drift in drifts.values())
    assert 0.3 < drifts["brightness"]["value"] < 0.7  # the study's own images
    with AuditLog(run / "service/outcomes", "one") as sent:  # as POST /outcomes does; the table goes before it
        sent.write(
            [{"time": "2026-01-01", "request_id": f"request-{n}", "sha256": None, "label": "1"} for n in (0, 1)]
        )
    sent_alone = json.loads(command(run, "--json").stdout)
    assert sent_alone["outcomes"] == 2
    assert json.loads(command(run, "--outcomes", run / "outcomes.csv", "--json").stdout)["rates"] == use["rates"]
    printed = command(run, "--outcomes", run / "outcomes.csv").stdout
    assert "By day (UTC)" in printed
    assert "sensitivity, 0 at" in printed
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
    assert names[0] == "sensitivity, 0 at sensitivity 0.8"
    assert json.loads(command(run / "service", "--json").stdout)["answers"]  # the home itself
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
