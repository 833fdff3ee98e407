"""`medray export`: one ONNX file that decides as the ensemble does, and a card that says what the run's files say."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from medray._types import Array
from medray.decisions.conformal import METHODS, ConformalSets
from medray.decisions.thresholds import Rule, set_point
from medray.ensemble import Ensemble
from medray.errors import RunError
from medray.export.answer_module import EnsembleAnswer, conformal_set, decide
from medray.export.export_command import export
from medray.export.write_onnx import check_onnx, onnx_bytes
from medray.stats.case_rule import CaseRule
from medray.study import Study
from medray.tasks import ORDERED, TASKS, Task
from tests.serving.engine.test_onnx_ensemble import noise
from tests.tasks.test_every_task import EVERY_TASK, written_ensemble

ALONE = """
import json, sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
images = np.load(sys.argv[2])
answers = session.run(None, {"images": images})
assert not any(name.split(".")[0] in ("medray", "torch") for name in sys.modules)
print(json.dumps([[o.name for o in session.get_outputs()], answers[0].tolist()]))
"""


# -- the arithmetic


@st.composite
def tables(draw: st.DrawFn) -> Array:
    """Probabilities float64 (n, classes) among which some are equal, and some 0."""
    classes, images = draw(st.integers(2, 7)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = rng.multinomial(draw(st.sampled_from([4, 16, 1000])), np.full(classes, 1 / classes), size=images)
    table: Array = parts / parts.sum(axis=1, keepdims=True)
    return table


@given(tables(), st.sampled_from(METHODS), st.one_of(st.none(), st.floats(0.0, 1.2)))
def test_sets_are_those_of_the_ensemble(table: Array, method: str, quantile: float | None) -> None:
    images = 0 if quantile is None else 1000
    sets = ConformalSets(method, 0.9, quantile, images, images, "calibration", None, None)
    assert (conformal_set(torch.from_numpy(table), sets).numpy() == sets.sets(table)).all()


@given(tables(), st.integers(0, 100), st.booleans())
def test_points_are_those_of_the_ensemble(table: Array, seed: int, cut: bool) -> None:
    rng, classes = np.random.default_rng(seed), table.shape[1]
    names = tuple(map(str, range(classes)))
    labels = np.append(np.arange(classes), rng.integers(0, classes, 40))
    scores = rng.dirichlet(np.ones(classes), len(labels))
    point = set_point(Rule("sensitivity", 0.8), scores, labels, names, names[-1], "calibration", cut=cut)
    for table_or_scores in (table, scores):  # thresholds lie on a score
        assert (decide(torch.from_numpy(table_or_scores), point).numpy() == point.decide(table_or_scores)).all()


# -- the file


@pytest.mark.component
@EVERY_TASK
def test_the_file_answers_and_decides_as_the_ensemble(task: Task, tmp_path: Path) -> None:
    ensemble, images = written_ensemble(task, tmp_path), noise(40)
    check = check_onnx(onnx_bytes(ensemble), ensemble, images)
    assert check.images == 40
    assert check.difference < 1e-5
    assert check.decided_otherwise == 0
    names = EnsembleAnswer(ensemble).output_names
    assert len(set(names)) == len(names) == 1 + 2 + (0 if task.label_sets else 1)


@pytest.mark.component
def test_an_ensemble_of_cases_decides_nothing_of_an_image(tmp_path: Path) -> None:
    ensemble = written_ensemble(TASKS["single"], tmp_path)
    manifest = dataclasses.replace(ensemble.manifest, cases=CaseRule("patient", "mean"))
    assert EnsembleAnswer(dataclasses.replace(ensemble, manifest=manifest)).output_names == ["probabilities"]


@pytest.mark.component
def test_a_file_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    ensemble = written_ensemble(ORDERED, tmp_path)
    content = onnx_bytes(ensemble)
    other = dataclasses.replace(ensemble, manifest=dataclasses.replace(ensemble.manifest, temperatures=(3.0,)))
    with pytest.raises(RunError, match=r"its probabilities differ from the ensemble's by .* on 8 images"):
        check_onnx(content, other, noise(8))


# -- the command


def command(*arguments: object) -> Result:
    return CliRunner().invoke(export, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def ensembled(made_run: Path, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search whose ensemble `medray ensemble` has made."""
    run = Path(shutil.copytree(made_run, tmp_path_factory.mktemp("ensembled") / "found"))
    Study.open(run, data=npz, runner="local", quiet=True).ensemble()
    return run


@pytest.fixture
def run(ensembled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ensembled, tmp_path / "found"))


@pytest.mark.component
def test_the_folder_is_complete_and_the_file_needs_no_medray(run: Path, npz: Path, tmp_path: Path) -> None:
    result = command(run, "--data", npz, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    written = json.loads(result.stdout)
    assert written["check"]["images"] > 50
    assert written["check"]["difference"] < 1e-4
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"model.onnx", "README.md", "config.json", "manifest.json"}
    with np.load(npz) as arrays:
        np.save(tmp_path / "images.npy", arrays["val_images"][:5, ..., None])
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(out / "model.onnx"), str(tmp_path / "images.npy")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    names, probabilities = json.loads(done.stdout)
    assert names == json.loads((out / "config.json").read_text())["outputs"]
    expected = Ensemble.load(run / "ensemble").predict(np.load(tmp_path / "images.npy"))
    assert np.array(probabilities) == pytest.approx(expected.probabilities, abs=1e-4)
    labels = json.loads((out / "config.json").read_text())["id2label"]
    assert tuple(labels.values()) == expected.class_names


@pytest.mark.component
def test_the_card_is_one_that_the_hub_reads_and_says_what_is_not_known(run: Path, npz: Path) -> None:
    assert command(run, "--data", npz).exit_code == 0
    text = (run / "export/README.md").read_text()
    card = ModelCard(text)
    assert card.data.to_dict()["library_name"] == "onnx"
    header = yaml.safe_load(text.split("---")[1])
    assert "model-index" not in header  # nothing was measured
    assert "The test split has not been read for this ensemble" in text
    for heading in ("Model details", "Intended use", "Training data", "Evaluation", "Fairness", "Warnings"):
        assert f"\n## {heading}\n" in text
    assert "It has no operating point" in text
    assert "to be added by those who publish it" in text


@pytest.mark.parametrize(
    ("licences", "licence", "name", "line"),
    [
        (("apache-2.0", "apache-2.0"), "apache-2.0", None, "apache-2.0"),
        (("not known", "not known"), "other", "not known", "not known"),
        (
            ("cc-by-nc-4.0", "mit"),
            "other",
            "cc-by-nc-4.0 and mit",
            "cc-by-nc-4.0 (no commercial use), mit",
        ),
    ],
)
@pytest.mark.component
def test_the_card_has_the_licences_of_the_weights_that_members_began_with(
    run: Path, npz: Path, licences: tuple[str, str], licence: str, name: str | None, line: str
) -> None:
    path = run / "ensemble/manifest.json"
    manifest = json.loads(path.read_text())
    for number, member in enumerate(manifest["members"]):
        member["weights_licence"] = licences[number % 2]
    path.write_text(json.dumps(manifest))
    assert command(run, "--data", npz).exit_code == 0
    text = (run / "export/README.md").read_text()
    header = yaml.safe_load(text.split("---")[1])
    assert (header["license"], header.get("license_name")) == (licence, name)
    assert f"licences of the weights that networks began with: {line}\n" in text


@pytest.mark.slow
@pytest.mark.component
def test_the_card_has_the_figures_of_the_last_read_of_this_ensemble_alone(run: Path, npz: Path) -> None:
    study = Study.open(run, data=npz, runner="local", quiet=True)
    study.ensemble(sensitivity=0.8, positive="0")
    study.evaluate()
    assert command(run, "--data", npz).exit_code == 0
    text = (run / "export/README.md").read_text()
    card = ModelCard(text)
    assert card.data.eval_results is not None
    measured = {result.metric_type: result.metric_value for result in card.data.eval_results}
    estimate = study.evaluate().scores.models[0].scores["auc"]
    assert measured["roc_auc"] == pytest.approx(estimate.value, abs=1e-4)
    assert "| sensitivity 0.8 | 0 |" in text
    study.ensemble(sensitivity=0.9, positive="0")  # another one, which was not measured
    assert command(run, "--data", npz).exit_code == 0
    assert "The test split has not been read for this ensemble" in (run / "export/README.md").read_text()


@pytest.mark.component
def test_without_the_data_it_is_checked_on_noise_and_says_so(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    facts["options"]["data"] = "nowhere.npz"
    (run / "run.json").write_text(json.dumps(facts))
    result = command(run)
    assert result.exit_code == 0, result.output
    assert "Against the ensemble on 100 images of noise" in result.stdout
    refused = command(run, "--data", "elsewhere.npz")
    assert refused.exit_code == 2
    assert "elsewhere.npz" in refused.stderr


def test_what_has_no_ensemble_is_one_line(run: Path) -> None:
    shutil.rmtree(run / "ensemble")
    result = command(run)
    assert result.exit_code == 2
    assert "has no ensemble; first: medray ensemble" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
