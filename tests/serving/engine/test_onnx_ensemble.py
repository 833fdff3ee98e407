"""FastEnsemble answers as Ensemble does, whatever it is made of, and leaves that alone."""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from medray._types import Array
from medray.config import TrainConfig
from medray.data.resampling import shrink
from medray.ensemble import Ensemble, LabelSetPrediction
from medray.ensemble.manifest import FORMAT, Manifest, ManifestData, MemberFacts, SelectedOn
from medray.errors import ConfigError, DataError, RunError
from medray.serving.engine import onnx_ensemble
from medray.serving.engine.onnx_ensemble import FastEnsemble
from medray.serving.engine.onnx_export import onnx_file
from medray.stats.case_rule import ATTENTION, GRADES, CaseRule
from medray.stats.outputs import Outputs
from medray.training.images import to_input
from medray.training.models import MODELS, Network, Normalise, build_network
from medray.training.models.links import LINKS
from medray.training.stages import untrained_names

pytestmark = pytest.mark.component

SMALL = (12, 16, 1)
MIXED = ("resnet8_small", "lenet5_wide", "resnet8_small")


def settled(network: Network, shape: tuple[int, int, int]) -> Network:
    """A network whose normalisations hold something that matters, and whose answers depend on the image."""
    network.normalise.mean.fill_(0.3)  # type: ignore[union-attr, operator]
    network.normalise.std.uniform_(0.2, 0.4)  # type: ignore[union-attr, operator]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None  # the statistics are those of the batch below
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
            elif not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
                parameter *= 1.5  # else little of the image is left after many layers
        network.train()(to_input(noise(8, shape, seed=99), torch.device("cpu")))
    return network.eval()


def made(backbones: Sequence[str], shape: tuple[int, int, int] = SMALL, temperature: float = 1.0) -> Ensemble:
    torch.manual_seed(len(backbones))
    configs = [TrainConfig(backbone=backbone, dropout=0.1 * (i % 3)) for i, backbone in enumerate(backbones)]
    return of([settled(build_network(config, shape, 3), shape) for config in configs], shape, temperature)


def of(
    networks: Sequence[Network], shape: tuple[int, int, int] = SMALL, *temperatures: float, task: str = "single"
) -> Ensemble:
    manifest = Manifest(
        FORMAT, "", task, ("liver", "spleen", "heart"), shape, "stretch", "", "", temperatures or (1.0,), None, "top-k",
        SelectedOn("val", 0, "auc", {}, {}), (), (), None, ManifestData("", "", {}), "",
        tuple(MemberFacts("", "", i, None, None, 1 + i / 2, 1, {}, {}) for i in range(len(networks))),
    )  # fmt: skip
    return Ensemble(manifest, tuple(networks))


def ours(caplog: pytest.LogCaptureFixture) -> str:
    """The one line of our own; the exporter logs much, which nobody sees."""
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("medray")]
    assert "\n" not in line
    return line


def noise(count: int, shape: tuple[int, int, int] = SMALL, seed: int = 0) -> Array:
    """Images that differ in brightness and contrast too: of pure noise, networks say nearly the same."""
    rng = np.random.default_rng(seed)
    low, high = np.sort(rng.uniform(0, 255, size=(2, count, 1, 1, shape[2])), axis=0)
    ramp = np.linspace(0, 1, shape[1])[:, None] * rng.uniform(-1, 1, size=(count, 1, 1, 1))
    return (low + (high - low) * np.abs(ramp - rng.uniform(size=(count, *shape)))).clip(0, 255).astype(np.uint8)


def assert_same(ensemble: Ensemble, quick: FastEnsemble, images: Array) -> None:
    expected, actual = ensemble.predict(images), quick.predict(images)
    assert actual.probabilities.dtype == np.float32
    assert actual.probabilities.shape == expected.probabilities.shape
    assert np.allclose(actual.probabilities, expected.probabilities, rtol=0, atol=1e-5)
    assert actual.class_names == expected.class_names
    assert expected.probabilities.std(axis=0).max() > 1e-3  # else it would say nothing


def prepared(ensemble: Ensemble, threads: int | None = None) -> FastEnsemble:
    """One that runs nothing as it was."""
    quick = FastEnsemble.prepare(ensemble, threads=threads)
    assert quick.unconverted == ()
    return quick


# -- the same answers


@pytest.mark.parametrize("backbone", list(MODELS))
def test_every_small_backbone(backbone: str) -> None:
    shape = (48, 50, 3) if backbone.startswith("cnn") else (12, 16, 3)  # which have more poolings
    ensemble = made([backbone], shape)
    assert_same(ensemble, prepared(ensemble, 1), noise(9, shape))


@functools.cache
def mixed(temperature: float, threads: int) -> tuple[Ensemble, FastEnsemble]:
    ensemble = made(MIXED, temperature=temperature)
    return ensemble, prepared(ensemble, threads)


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(1, 33),
    seed=st.integers(0, 999),
    temperature_and_threads=st.sampled_from([(0.6, 1), (2.5, 2)]),
)
def test_mixed_ensembles(count: int, seed: int, temperature_and_threads: tuple[float, int]) -> None:
    images = noise(count, seed=seed)
    ensemble, quick = mixed(*temperature_and_threads)
    expected = ensemble.predict(images).probabilities
    assert np.allclose(quick.predict(images).probabilities, expected, rtol=0, atol=1e-5)


def test_more_images_than_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_ensemble, "BATCH_PIXELS", 0)
    ensemble, quick = mixed(2.5, 2)
    for count in (7, 8, 9, 33):
        assert_same(ensemble, quick, noise(count))


def test_members_that_see_images_at_sizes_of_their_own() -> None:
    torch.manual_seed(0)
    configs = [TrainConfig(backbone="resnet8_small", image_size=size) for size in (None, 9, 16, 24)]
    networks = [settled(build_network(config, SMALL, 3), SMALL) for config in configs]
    assert [network.input_size(SMALL[:2]) for network in networks] == [(12, 16), (7, 9), (12, 16), (18, 24)]
    ensemble, images = of(networks), noise(33)
    quick = prepared(ensemble, 1)
    assert_same(ensemble, quick, images)
    small = shrink(images, (7, 9))  # what the second member was trained on
    with torch.inference_mode():
        logits = networks[1](to_input(small, torch.device("cpu")))
        expected = networks[1].probabilities(logits).numpy()
    for answers in (ensemble, quick):
        assert np.allclose(answers.member_outputs(images)[1].probabilities, expected, rtol=0, atol=1e-6)


def test_features_of_all_stages_and_of_the_mirror_image() -> None:
    """The file takes any number of images, and not only that of the example it was made by."""
    shape = (32, 32, 3)
    torch.manual_seed(0)
    config = TrainConfig(backbone="mobilenetv3_small_050", pooling="mirrored")
    ensemble = of([settled(build_network(config, shape, 3), shape)], shape)
    quick = prepared(ensemble, 1)
    for count in (3, 5):
        expected = ensemble.predict(noise(count, shape)).probabilities
        assert quick.predict(noise(count, shape)).probabilities == pytest.approx(expected, abs=1e-4)
        assert expected.std(axis=0).max() > 1e-3


@pytest.mark.nightly
@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv3_small_050"])
def test_networks_of_timm(backbone: str) -> None:
    shape = (32, 32, 3)
    torch.manual_seed(0)
    network = build_network(TrainConfig(backbone=backbone, dropout=0.2), shape, 3)
    ensemble = of([settled(network, shape)], shape)
    assert_same(ensemble, prepared(ensemble, 1), noise(3, shape))


@pytest.mark.parametrize("loss", LINKS)
def test_links_at_the_extreme(loss: str) -> None:
    """Their log-probabilities are float32 throughout, and a very small one is what is most easily lost."""
    torch.manual_seed(3)
    config = TrainConfig(backbone="resnet8_small", task="ordered", loss=loss, monitor="quadratic_kappa")
    network = build_network(config, SMALL, 3)
    network.start(torch.tensor([0.3]), torch.tensor([0.3]), torch.tensor([0.6, 0.3, 0.1]))
    settled(network, SMALL)
    with torch.no_grad():
        list(network.get_submodule("backbone").parameters())[-1].mul_(0).add_(40.0)
    assert_same_probabilities(of([network]), noise(5))


def test_sigmoids_of_several_labels() -> None:
    """Each label has a temperature, rows don't sum to 1, and a sigmoid is near 0 or 1 where a softmax seldom is."""
    torch.manual_seed(5)
    config = TrainConfig(backbone="resnet8_small", task="several")
    networks = [settled(build_network(config, SMALL, 3), SMALL) for _ in range(2)]
    ensemble = of(networks, SMALL, 0.5, 1.0, 3.0, task="several")
    quick, images = prepared(ensemble, 1), noise(33)
    assert_same(ensemble, quick, images)
    answer = quick.predict(images)
    assert isinstance(answer, LabelSetPrediction)
    assert np.abs(answer.probabilities.sum(axis=1) - 1).max() > 0.05
    with torch.no_grad():
        list(networks[0].get_submodule("backbone").parameters())[-1].add_(torch.tensor([40.0, -40.0, 9.0]))
    assert_same_probabilities(of(networks[:1], task="several"), noise(5))


def assert_same_probabilities(ensemble: Ensemble, images: Array) -> None:
    expected, actual = ensemble.predict(images), prepared(ensemble, 1).predict(images)
    assert np.allclose(actual.probabilities, expected.probabilities, rtol=0, atol=1e-5)
    assert expected.probabilities[:, -1].min() > 0.99


def test_members_are_told_apart() -> None:
    ensemble, quick = mixed(2.5, 2)
    images = noise(5)
    expected, actual = ([outputs.probabilities for outputs in e.member_outputs(images)] for e in (ensemble, quick))
    assert all(np.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(expected, actual, strict=True))
    assert not np.allclose(expected[0], expected[2], atol=1e-3)


@pytest.mark.parametrize("loss", ["cross_entropy", "corn"])
def test_scores_of_attention_come_with_the_answers_to_cases(loss: str) -> None:
    torch.manual_seed(0)
    config = TrainConfig(backbone="resnet8_small", task="ordered", loss=loss)
    network = settled(build_network(config, SMALL, 3), SMALL)
    network.attend()
    for tensor in (tensor for name, tensor in network.named_buffers() if ".attention." in name):
        tensor.normal_(0, 0.3)
    plain = of([network, settled(build_network(config, SMALL, 3), SMALL)])
    plain.networks[1].attend()  # has not learned: its images weigh the same
    rule = CaseRule("patient", ATTENTION, GRADES)
    ensemble = dataclasses.replace(plain, manifest=dataclasses.replace(plain.manifest, task="ordered", cases=rule))
    quick, images, cases = prepared(ensemble), noise(90), np.arange(90) // 4
    for expected, actual in zip(ensemble.member_outputs(images), quick.member_outputs(images), strict=True):
        assert expected.scores is not None
        assert actual.scores is not None
        assert actual.scores == pytest.approx(expected.scores, abs=1e-5)
    by_case = ensemble.predict(images, cases).probabilities
    assert np.allclose(quick.predict(images, cases).probabilities, by_case, rtol=0, atol=1e-5)
    assert np.abs(by_case - ensemble.predict(images).probabilities[::4][: len(by_case)]).max() > 1e-3


# -- a trunk that several networks share


def with_one_trunk() -> Ensemble:
    """An ensemble in which members 0 and 2 have one frozen trunk, and member 1 is another network."""
    torch.manual_seed(8)
    config = TrainConfig(backbone="resnet8_small", trainable_blocks=0, task="ordered", loss="corn")
    first = settled(build_network(config, SMALL, 3), SMALL)
    second = build_network(config, SMALL, 3)
    second.attend()
    shared = untrained_names(second, config) | {"normalise.mean", "normalise.std"}
    own = {name: tensor for name, tensor in second.state_dict().items() if name not in shared}
    second.load_state_dict({**first.state_dict(), **own})
    for name, tensor in second.named_buffers():
        if ".attention." in name:
            tensor.normal_(0, 0.3)
    plain = of([first, settled(build_network(TrainConfig(backbone="lenet5"), SMALL, 3), SMALL), second.eval()])
    configs = (config.to_dict(), {}, config.to_dict())
    members = [dataclasses.replace(m, config=c) for m, c in zip(plain.manifest.members, configs, strict=True)]
    manifest = dataclasses.replace(plain.manifest, task="ordered", members=tuple(members))
    return dataclasses.replace(plain, manifest=manifest)


def test_networks_with_one_trunk_are_one_file_that_holds_it_once(caplog: pytest.LogCaptureFixture) -> None:
    ensemble, images = with_one_trunk(), noise(70)
    assert [group.members for group in ensemble.groups] == [(0, 2), (1,)]
    quick = prepared(ensemble)
    assert len(quick.predictors) == 2
    assert_same(ensemble, quick, images)
    for expected, actual in zip(ensemble.member_outputs(images), quick.member_outputs(images), strict=True):
        assert np.allclose(actual.probabilities, expected.probabilities, rtol=0, atol=1e-5)
        assert (actual.scores is None) == (expected.scores is None)
        assert actual.scores is None or actual.scores == pytest.approx(expected.scores, abs=1e-5)
    path = onnx_file(ensemble.groups[0], SMALL)
    one_network = sum(tensor.nbytes for tensor in ensemble.networks[0].state_dict().values())
    assert path.stat().st_size < 1.7 * one_network
    path.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        quick = FastEnsemble.prepare(ensemble)
    assert ours(caplog).startswith("members 0, 2 of the ensemble are run by torch, which is slower: ")
    assert quick.unconverted == (0, 2)
    assert_same(ensemble, quick, images)


# -- what is asked of it


def test_images_of_another_kind_are_refused_alike() -> None:
    ensemble, quick = mixed(2.5, 2)
    for images in (np.zeros((2, 13, 12, 1), np.uint8), np.zeros((2, 12, 16), np.uint8), np.zeros((2, *SMALL))):
        with pytest.raises(DataError) as expected:
            ensemble.predict(images)
        with pytest.raises(DataError) as actual:
            quick.predict(images)
        assert str(actual.value) == str(expected.value)


def test_no_images_no_answers() -> None:
    _, quick = mixed(2.5, 2)
    assert quick.predict(noise(0)).probabilities.shape == (0, 3)


def test_any_array_will_do() -> None:
    ensemble, quick = mixed(2.5, 2)
    locked = noise(6)
    locked.flags.writeable = False
    assert_same(ensemble, quick, locked)
    assert_same(ensemble, quick, locked[::-2])


def test_threads_that_ask_at_once_get_their_own_answers() -> None:
    ensemble, quick = mixed(2.5, 2)
    asked = [noise(1 + seed % 4, seed=seed) for seed in range(24)]
    expected = [ensemble.predict(images).probabilities for images in asked]
    with ThreadPoolExecutor(4) as several:
        actual = list(several.map(lambda images: quick.predict(images).probabilities, asked))
    assert all(np.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(expected, actual, strict=True))


# -- what it leaves alone


def test_the_networks_stay_free_for_gradients_and_hooks() -> None:
    ensemble = made(["resnet8_small", "lenet5_wide_bn"])
    before = [{name: t.clone() for name, t in n.state_dict().items()} for n in ensemble.networks]
    quick = prepared(ensemble)
    assert quick.ensemble is ensemble
    assert quick.networks is ensemble.networks
    seen: list[str] = []
    for network, state in zip(ensemble.networks, before, strict=True):
        network.backbone[0].register_forward_hook(lambda *_: seen.append("hook"))  # type: ignore[index, union-attr]
        assert all(torch.equal(t, state[name]) for name, t in network.state_dict().items())
    quick.predict(noise(3))
    assert not seen
    for network in ensemble.networks:
        network(torch.rand(2, 1, 12, 16)).sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
    assert seen


def test_threads_are_checked() -> None:
    with pytest.raises(ConfigError, match="threads is 0; it must be 1 or more"):
        FastEnsemble.prepare(made(["lenet5"]), threads=0)


# -- the files


def test_a_file_is_made_once_and_belongs_to_these_weights() -> None:
    ensemble = made(["lenet5"])
    path = onnx_file(ensemble.groups[0], SMALL)
    prepared(ensemble)
    made_at = path.stat().st_mtime_ns
    prepared(ensemble)
    assert path.stat().st_mtime_ns == made_at
    assert onnx_file(ensemble.groups[0], (16, 12, 1)) != path
    with torch.no_grad():
        next(ensemble.networks[0].parameters())[0] += 0.5
    assert onnx_file(ensemble.groups[0], SMALL) != path
    assert_same(ensemble, prepared(ensemble), noise(5))


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", None])
def test_a_damaged_or_foreign_file_is_not_used(content: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    ensemble, other = made(["lenet5"]), made(["lenet5"] * 2)
    prepared(ensemble)
    prepared(other)
    path = onnx_file(ensemble.groups[0], SMALL)
    path.write_bytes(onnx_file(other.groups[1], SMALL).read_bytes() if content is None else content)
    with caplog.at_level(logging.WARNING):
        quick = FastEnsemble.prepare(ensemble)
    assert ours(caplog).startswith("member 0 of the ensemble is run by torch, which is slower: ")
    assert quick.unconverted == (0,)
    assert_same(ensemble, quick, noise(5))
    assert not path.exists()  # the next start makes it anew
    assert_same(ensemble, prepared(ensemble), noise(5))


def test_no_place_for_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MEDRAY_CACHE", str(tmp_path / "file"))
    ensemble = made(["lenet5"])
    with caplog.at_level(logging.WARNING):
        quick = FastEnsemble.prepare(ensemble)
    assert "Not a directory" in ours(caplog)
    assert quick.unconverted == (0,)
    assert_same(ensemble, quick, noise(5))


# -- what can't be converted, and what goes wrong


class Branching(nn.Module):
    """Its path depends on what it sees, which torch.fx can't follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x.flatten(1))
        return logits if x.sum() > 0 else 2 * logits


def branching() -> Network:
    return Network(Normalise(torch.zeros(1), torch.ones(1)), Branching()).eval()


def test_a_network_that_cannot_be_converted_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    ensemble = of([made(["lenet5"]).networks[0], branching()])
    with caplog.at_level(logging.WARNING):
        quick = FastEnsemble.prepare(ensemble, threads=1)
    assert ours(caplog).startswith("member 1 of the ensemble is run by torch, which is slower: ")
    assert quick.unconverted == (1,)
    assert_same(ensemble, quick, noise(5))
    assert quick.predict(noise(0)).probabilities.shape == (0, 3)


def test_answers_that_are_off_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_ensemble, "make_files", lambda groups, *_: [None] * len(groups))
    monkeypatch.setattr(
        onnx_ensemble,
        "_torch_predictor",
        lambda *_: lambda images: [Outputs(np.eye(3, dtype=np.float32)[[0] * len(images)])],
    )
    with pytest.raises(
        RunError, match=r"^the fast ensemble is off: probabilities .* by \d\S+; at most 1e-05 is all"
    ):
        FastEnsemble.prepare(made(["lenet5"]))
