"""Attention over the images of a case: it finds the image that shows a sign, and flatters no score by being learned."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from medray._types import Array
from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.errors import ConfigError
from medray.stats.case_rule import ATTENTION, LABEL_SETS, MEAN, CaseRule
from medray.stats.cases import CaseIndex
from medray.stats.metrics import all_metrics
from medray.stats.outputs import Outputs
from medray.training.case_attention import FEWEST, PARTS, _parts, learn_attention
from medray.training.loop import EpochResult, fit
from medray.training.models import Network, build_network
from medray.training.models.attention import AttendingLinear
from medray.training.predict import predict_images
from medray.training.weights import load_network, state_from_bytes, weights_from_bytes, write_state, write_weights

SHAPE = (12, 12, 1)
CONFIG = TrainConfig(backbone="lenet5", epochs=6, batch_size=64, learning_rate=3e-3)
CPU = torch.device("cpu")


def sign_images(cases: int, seed: int, answer: str = ATTENTION, images: int = 4) -> LabelledImages:
    """Cases of four images, half of them sick: of these one image has a bright middle, and all others are noise."""
    rng = np.random.default_rng(seed)
    sick = np.arange(cases) % 2
    pixels = rng.normal(100, 25, size=(cases, images, *SHAPE))
    pixels[np.flatnonzero(sick), rng.integers(0, images, size=cases)[sick == 1], 3:9, 3:9] += 27
    numbers = np.repeat(np.arange(cases), images)
    order = rng.permutation(len(numbers))
    table = pixels.reshape(-1, *SHAPE).clip(0, 255).astype(np.uint8)[order]
    index = CaseIndex(CaseRule("patient", answer), numbers[order])
    return LabelledImages(table, sick[numbers][order], np.arange(len(order)), ("well", "sick"), index)


@pytest.fixture(scope="module")
def trained() -> list[EpochResult]:
    return list(fit(CONFIG, sign_images(150, 0), sign_images(60, 1)))


def network_of(result: EpochResult) -> Network:
    return load_network(CONFIG, SHAPE, 2, result.best_network, "it")


def by_case(images: LabelledImages, outputs: Outputs) -> dict[str, float]:
    return all_metrics(images.answers(outputs), images.answered_labels)


def test_attention_beats_the_mean_on_new_cases_where_one_image_shows_the_sign() -> None:
    *_, last = fit(dataclasses.replace(CONFIG, epochs=14), sign_images(150, 10), sign_images(60, 11))
    new, mean = sign_images(400, 12), sign_images(400, 12, MEAN)
    # At the last epoch the network has learned its noise by heart.
    for state, least in ((last.best_network, 0.005), (last.state().network, 0.1)):
        outputs = predict_images(load_network(CONFIG, SHAPE, 2, state, "it"), new, CPU)
        attended, plain = by_case(new, outputs), by_case(mean, Outputs(outputs.probabilities))
        assert attended["auc"] > plain["auc"] + least
        assert attended["log_loss"] < plain["log_loss"] - 0.1


def test_an_epoch_is_measured_by_cases_that_attention_was_not_learned_on(trained: list[EpochResult]) -> None:
    val, last = sign_images(60, 1), trained[-1]
    best = trained[last.best_epoch - 1]
    assert best.metrics["auc"] == pytest.approx(by_case(val, best.best_outputs)["auc"])
    kept = predict_images(network_of(last), val, CPU)
    assert last.best_outputs.probabilities == pytest.approx(kept.probabilities, abs=1e-6)
    assert kept.scores is not None
    assert last.best_outputs.scores is not None
    assert np.abs(last.best_outputs.scores - kept.scores).max() > 0.01


def noise(rng: np.random.Generator, cases: int, features: int) -> tuple[LabelledImages, Outputs, torch.Tensor]:
    """Cases of three images that show nothing, and features that say nothing."""
    numbers = np.repeat(np.arange(cases), 3)
    labels, positions = rng.integers(0, 2, size=cases)[numbers], np.arange(3 * cases)
    index = CaseIndex(CaseRule("patient", ATTENTION), numbers)
    images = LabelledImages(np.zeros((3 * cases, *SHAPE), np.uint8), labels, positions, ("well", "sick"), index)
    sick = rng.beta(2, 2, size=3 * cases)
    outputs = Outputs(np.stack([1 - sick, sick], axis=1).astype(np.float32))
    return images, outputs, torch.from_numpy(rng.normal(size=(3 * cases, features)).astype(np.float32))


def test_scores_that_measure_are_no_better_than_chance_where_nothing_is_to_be_seen() -> None:
    rng, layer = np.random.default_rng(0), AttendingLinear(torch.nn.Linear(24, 2))
    crossed, kept = [], []
    for seed in range(12):
        images, outputs, features = noise(rng, 60, 24)
        attended = learn_attention(layer, images, outputs, features, seed=seed)
        scores = layer.attention(features)[:, 0].numpy()
        crossed.append(by_case(images, attended)["auc"])
        kept.append(by_case(images, Outputs(outputs.probabilities, scores))["auc"])
    assert abs(np.mean(crossed) - 0.5) < 2.5 * np.std(crossed) / np.sqrt(len(crossed))
    assert np.mean(kept) > 0.65  # what the val split would say of itself without the parts


def test_no_patient_is_in_two_parts_and_classes_are_dealt_evenly() -> None:
    clusters = np.random.default_rng(0).integers(0, 40, size=200)
    clusters = np.unique(clusters, return_inverse=True)[1]
    labels = (np.arange(40) < 10).astype(np.int64)[clusters]
    parts = _parts(clusters, labels, 3)
    assert len(set(zip(clusters.tolist(), parts.tolist(), strict=True))) == clusters.max() + 1
    assert [len(set(clusters[(parts == part) & (labels == 1)])) for part in range(PARTS)] == [2] * PARTS


def test_features_that_are_many_and_labels_that_are_unknown() -> None:
    rng, layer = np.random.default_rng(1), AttendingLinear(torch.nn.Linear(300, 3))
    numbers = np.repeat(np.arange(50), 4)
    shows = rng.integers(0, 4, size=50)
    labels = np.zeros((200, 3), dtype=np.int64)
    labels[:, 0], labels[:, 2] = (numbers % 2), -1
    features = rng.normal(size=(200, 300)).astype(np.float32)
    one = (np.arange(200) % 4 == shows[numbers]) & (labels[:, 0] == 1)
    features[one, :100] += 1
    table = np.full((200, 3), 0.3, dtype=np.float32)
    table[one, 0] = 0.9
    index = CaseIndex(CaseRule("patient", ATTENTION, LABEL_SETS), numbers)
    images = LabelledImages(np.zeros((200, *SHAPE), np.uint8), labels, np.arange(200), ("a", "b", "c"), index)
    attended = learn_attention(layer, images, Outputs(table), torch.from_numpy(features), seed=0)
    answers = images.answers(attended)
    assert answers[1::2, 0].mean() > 0.52 > 0.305 > answers[::2, 0].mean()  # the mean of its images is 0.45
    assert answers[:, 1] == pytest.approx(0.3, abs=1e-6)


def test_few_patients_leave_the_mean() -> None:
    images, outputs, features = noise(np.random.default_rng(0), FEWEST - 1, 8)
    layer = AttendingLinear(torch.nn.Linear(8, 2))
    attended = learn_attention(layer, images, outputs, features, seed=0)
    assert attended.scores is not None
    assert not attended.scores.any()
    assert not layer.attention(features).any()


# -- the network that has it


def test_weights_and_the_state_hold_attention(trained: list[EpochResult], tmp_path: Path) -> None:
    last, new = trained[-1], sign_images(20, 5)
    write_weights(tmp_path / "weights", last.best_network, {})
    tensors, _ = weights_from_bytes((tmp_path / "weights").read_bytes(), "weights")
    assert sum(".attention." in name for name in tensors) == 3
    loaded = predict_images(load_network(CONFIG, SHAPE, 2, tensors, "weights"), new, CPU)
    expected = predict_images(network_of(last), new, CPU)
    assert loaded.scores is not None
    assert expected.scores is not None
    assert (loaded.scores == expected.scores).all()
    assert (loaded.probabilities == expected.probabilities).all()
    slices = sign_images(40, 0), sign_images(24, 1)
    training = fit(CONFIG, *slices)
    next(training)
    write_state(tmp_path / "state", next(training).state(), {})
    state, _ = state_from_bytes((tmp_path / "state").read_bytes(), "state")
    *_, resumed = fit(CONFIG, *slices, resume=state)
    *_, unbroken = training
    assert resumed.metrics == unbroken.metrics
    assert resumed.best_outputs.scores is not None
    assert unbroken.best_outputs.scores is not None
    assert (resumed.best_outputs.scores == unbroken.best_outputs.scores).all()


def test_the_network_itself_trains_as_without_attention() -> None:
    val = sign_images(24, 1)
    with_, without = (list(fit(CONFIG, sign_images(40, 0, a), val if a == ATTENTION else sign_images(24, 1, MEAN)))
                      for a in (ATTENTION, MEAN))  # fmt: skip
    assert [r.train_loss for r in with_] == [r.train_loss for r in without]
    assert with_[0].parameters > without[0].parameters


@pytest.mark.parametrize(
    "settings", [{}, {"head_width": 7}, {"backbone": "resnet18"}, {"task": "ordered", "loss": "corn"}]
)
def test_an_attending_network_answers_images_as_it_did(settings: dict[str, object]) -> None:
    config = TrainConfig.from_dict({"backbone": "resnet8_small", "monitor": "log_loss", **settings})
    torch.manual_seed(0)
    network = build_network(config, (32, 32, 1), 4).eval()
    images: Array = np.random.default_rng(0).random((3, 1, 32, 32), dtype=np.float32)
    before = network(torch.from_numpy(images))
    names = set(network.state_dict())
    network.attend()
    assert torch.equal(network(torch.from_numpy(images)), before)
    _, scores = network.logits_and_scores(torch.from_numpy(images))
    assert scores is not None
    assert scores.shape == (3,)
    assert names < set(network.state_dict())


def test_a_backbone_without_a_dense_last_layer_is_refused() -> None:
    network = build_network(CONFIG, SHAPE, 2)
    network.set_submodule("backbone", torch.nn.Sequential(torch.nn.Conv2d(1, 2, 12), torch.nn.Flatten()))
    with pytest.raises(ConfigError, match=r"backbone: .*no dense last layer.*`answer: mean`"):
        network.attend()


@pytest.mark.parametrize("width", [None, 8])
def test_behind_the_features_of_all_stages_images_have_a_score_too(width: int | None) -> None:
    config = TrainConfig(backbone="resnet10t", pooling="stages", head_width=width)
    network = build_network(config, (32, 32, 3), 2)
    network.attend()
    again = load_network(config, (32, 32, 3), 2, network.state_dict(), "it")
    logits, scores = again.logits_and_scores(torch.rand(3, 3, 32, 32))
    assert logits.shape == (3, 2)
    assert scores is not None
    assert scores.tolist() == [0, 0, 0]


def test_a_backbone_that_attends_to_channels_is_loaded_as_it_was_trained() -> None:
    config = TrainConfig(backbone="cspnext_tiny")
    network = build_network(config, (64, 64, 3), 2).eval()
    assert any(".attention." in name for name in network.state_dict())
    again = load_network(config, (64, 64, 3), 2, network.state_dict(), "it")
    images = torch.rand(2, 3, 64, 64)
    assert not again.attends
    assert torch.equal(again(images), network(images))
    assert again.parameter_count() == sum(p.numel() for p in network.parameters())
