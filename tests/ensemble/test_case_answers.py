"""An ensemble's answers to cases with what each image weighed: the same answers as without."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.ensemble import Ensemble
from medray.ensemble.case_answers import answer_with_weights
from medray.errors import ConfigError
from medray.stats.case_rule import MEAN, CaseRule
from tests.serving.case_run import RULES, write_case_run
from tests.serving.label_run import shaded

pytestmark = pytest.mark.component


@pytest.fixture(scope="module", params=RULES, ids=lambda rule: rule.answer)
def ensemble(request: pytest.FixtureRequest, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    rule: CaseRule = request.param
    return Ensemble.load(write_case_run(tmp_path_factory.mktemp("cases") / "films", npz, rule) / "ensemble")


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_they_are_those_of_predict_whatever_the_order_of_images(ensemble: Ensemble, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, cases = shaded(9, seed=seed % 1000), rng.integers(0, 4, 9)
    answers = answer_with_weights(ensemble, images, cases)
    expected = ensemble.predict(images, cases).probabilities
    assert answers.cases.probabilities == pytest.approx(expected, abs=1e-6)
    assert answers.images.probabilities == pytest.approx(ensemble.predict(images).probabilities, abs=1e-6)
    assert np.bincount(answers.index, answers.weights) == pytest.approx(1, abs=1e-9)
    assert (answers.index[answers.weighed_most] == np.arange(len(expected))).all()
    for case, image in enumerate(answers.weighed_most):
        assert answers.weights[image] >= answers.weights[answers.index == case].max() - 1e-6
    order = rng.permutation(9)
    again = answer_with_weights(ensemble, images[order], cases[order])
    number = {cases[image]: case for case, image in enumerate(answers.weighed_most)}
    for case, image in enumerate(order[again.weighed_most]):
        other = number[cases[image]]
        assert again.cases.probabilities[case] == pytest.approx(answers.cases.probabilities[other], abs=1e-5)
        assert again.classes[case] == answers.classes[other]
        assert answers.weights[image] == pytest.approx(answers.weights[answers.weighed_most[other]], abs=1e-4)


def test_a_case_of_one_image_answers_as_the_image(ensemble: Ensemble) -> None:
    images = shaded(5, seed=1)
    answers = answer_with_weights(ensemble, images, np.arange(5))
    assert (answers.cases.probabilities == answers.images.probabilities).all()
    assert answers.weights == pytest.approx(1)
    assert answers.weighed_most.tolist() == list(range(5))


def test_of_images_that_weigh_the_same_the_one_that_says_the_class_most_likely_is_named(
    ensemble: Ensemble,
) -> None:
    rule = CaseRule("patient", MEAN, ensemble.task.label_kind)
    images = shaded(6, seed=3)
    mean = replace(ensemble, manifest=replace(ensemble.manifest, cases=rule))
    answers = answer_with_weights(mean, images, np.zeros(6))
    assert answers.weights == pytest.approx(1 / 6)
    (image,) = answers.weighed_most
    assert image == answers.images.probabilities[:, answers.classes[0]].argmax()


def test_an_ensemble_of_images_has_no_cases(ensemble: Ensemble) -> None:
    of_images = replace(ensemble, manifest=replace(ensemble.manifest, cases=None))
    with pytest.raises(ConfigError, match="has no `cases`"):
        answer_with_weights(of_images, shaded(2), np.zeros(2))
