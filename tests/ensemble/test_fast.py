"""FastEnsemble answers as Ensemble does, whatever it is made of, and leaves that alone."""

import copy
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from medray.config import TrainConfig
from medray.data.dataset import Array
from medray.ensemble import Ensemble, fast
from medray.ensemble.fast import FastEnsemble, Unit
from medray.ensemble.fusing import can_stack, pack, simplify, stack
from medray.errors import ConfigError, DataError, RunError
from medray.training.loop import to_input
from medray.training.models import MODELS, Network, Normalise, build_network

SMALL = (12, 16, 1)
MIXED = ("resnet8_small", "lenet5_wide", "resnet8_small", "lenet5_wide_bn", "resnet20_small", "resnet8_small")


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
        network.train()(to_input(noise(8, shape, seed=99), torch.device("cpu")))
    return network.eval()


def made(backbones: Sequence[str], shape: tuple[int, int, int] = SMALL, temperature: float = 1.0) -> Ensemble:
    torch.manual_seed(len(backbones))
    configs = [TrainConfig(backbone=backbone, dropout=0.1 * (i % 3)) for i, backbone in enumerate(backbones)]
    return of([settled(build_network(config, shape, 3), shape) for config in configs], shape, temperature)


def of(networks: Sequence[Network], shape: tuple[int, int, int] = SMALL, temperature: float = 1.0) -> Ensemble:
    manifest: dict[str, Any] = {
        "class_names": ["liver", "spleen", "heart"],
        "image_shape": list(shape),
        "members": [{"weight": 1 + i / 2} for i in range(len(networks))],
        "temperature": temperature,
        "operating_points": [],
        "conformal_sets": [],
    }
    return Ensemble(manifest, tuple(networks))


def noise(count: int, shape: tuple[int, int, int] = SMALL, seed: int = 0) -> Array:
    """Images that differ in brightness and contrast too: of pure noise, networks say nearly the same."""
    rng = np.random.default_rng(seed)
    low, high = np.sort(rng.uniform(0, 255, size=(2, count, 1, 1, shape[2])), axis=0)
    ramp = np.linspace(0, 1, shape[1])[:, None] * rng.uniform(-1, 1, size=(count, 1, 1, 1))
    return (low + (high - low) * np.abs(ramp - rng.uniform(size=(count, *shape)))).clip(0, 255).astype(np.uint8)


def assert_same(ensemble: Ensemble, quick: FastEnsemble, images: Array) -> None:
    wanted, found = ensemble.predict(images), quick.predict(images)
    assert found.probabilities.dtype == np.float32
    assert found.probabilities.shape == wanted.probabilities.shape
    assert np.allclose(found.probabilities, wanted.probabilities, rtol=0, atol=1e-5)
    assert found.class_names == wanted.class_names
    assert wanted.probabilities.std(axis=0).max() > 1e-3  # else it would say nothing


def prepared(ensemble: Ensemble, threads: int | None = None) -> FastEnsemble:
    """One that runs nothing as it was."""
    quick = FastEnsemble.prepare(ensemble, threads=threads)
    assert all(isinstance(module, fx.GraphModule) for unit in quick.units for module in unit.modules)
    return quick


# -- the same answers


@pytest.mark.parametrize("shape", [SMALL, (12, 16, 3)])
@pytest.mark.parametrize("backbone", list(MODELS))
def test_every_small_backbone(backbone: str, shape: tuple[int, int, int]) -> None:
    for members in (1, 3):
        ensemble = made([backbone] * members, shape)
        assert_same(ensemble, prepared(ensemble, 1), noise(9, shape))


@functools.cache
def mixed(temperature: float, threads: int) -> tuple[Ensemble, FastEnsemble]:
    ensemble = made(MIXED, temperature=temperature)
    return ensemble, prepared(ensemble, threads)


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(1, 33),
    seed=st.integers(0, 999),
    temperature=st.sampled_from([0.6, 2.5]),
    threads=st.sampled_from([1, 2]),
)
def test_mixed_ensembles(count: int, seed: int, temperature: float, threads: int) -> None:
    images = noise(count, seed=seed)
    ensemble, quick = mixed(temperature, threads)
    wanted = ensemble.predict(images).probabilities
    assert np.allclose(quick.predict(images).probabilities, wanted, rtol=0, atol=1e-5)


def test_more_images_than_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "FUSED_PIXELS", 0)
    ensemble = made(["resnet8_small"] * 2)
    quick = prepared(ensemble)
    assert [unit.images for unit in quick.units] == [8] * len(quick.units)
    for count in (7, 8, 9, 33):
        assert_same(ensemble, quick, noise(count))


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv3_small_050"])
def test_networks_of_timm(backbone: str) -> None:
    shape = (32, 32, 3)
    network = build_network(TrainConfig(backbone=backbone, dropout=0.2), shape, 3)
    ensemble = of([settled(copy.deepcopy(network), shape) for _ in range(2)], shape)
    quick = prepared(ensemble, 1)
    assert len(quick.units[0].modules) == (1 if backbone == "resnet18" else 2)
    assert_same(ensemble, quick, noise(3, shape))


def test_members_are_told_apart() -> None:
    ensemble, quick = mixed(2.5, 2)
    images = noise(5)
    wanted, found = ensemble.member_probabilities(images), quick.member_probabilities(images)
    assert all(np.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(wanted, found, strict=True))
    assert not np.allclose(wanted[0], wanted[2], atol=1e-3)


# -- what is asked of it


def test_images_of_another_kind_are_refused_alike() -> None:
    ensemble, quick = mixed(2.5, 2)
    for images in (np.zeros((2, 13, 12, 1), np.uint8), np.zeros((2, 12, 16), np.uint8), np.zeros((2, *SMALL))):
        with pytest.raises(DataError) as wanted:
            ensemble.predict(images)
        with pytest.raises(DataError) as found:
            quick.predict(images)
        assert str(found.value) == str(wanted.value)


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
    wanted = [ensemble.predict(images).probabilities for images in asked]
    with ThreadPoolExecutor(4) as several:
        found = list(several.map(lambda images: quick.predict(images).probabilities, asked))
    assert all(np.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(wanted, found, strict=True))


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


def test_other_threads_may_run_networks_meanwhile() -> None:
    """One runs in the very middle of another's being traced."""
    other, x, seen = made(["resnet8_small"]).networks[0], torch.rand(2, 1, 12, 16), []

    class Meeting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 3, 3)

        def forward(self, own: Tensor) -> Tensor:
            with ThreadPoolExecutor(1) as another:
                seen.append(another.submit(other, x).result())
            found: Tensor = self.layer(own).mean(dim=(2, 3))
            return found

    simplify(Meeting(), x[:1])
    assert len(seen) == 1
    assert torch.equal(seen[0], other(x))


@pytest.mark.parametrize(("threads", "members", "workers", "each"), [(1, 3, 1, 1), (2, 3, 2, 1), (5, 2, 2, 2)])
def test_threads_are_shared_among_the_members(threads: int, members: int, workers: int, each: int) -> None:
    before = torch.get_num_threads()
    quick = prepared(made(["resnet8_small"] * members), threads)
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as new:
        assert new.submit(torch.get_num_threads).result() == before
    found = {quick.pool.submit(torch.get_num_threads).result() for _ in range(8)}
    assert found == {each}
    assert len(quick.units) == workers
    with pytest.raises(ConfigError, match="threads is 0; it must be 1 or more"):
        FastEnsemble.prepare(made(["lenet5"]), threads=0)


# -- what can't be fused, and what goes wrong


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


def test_a_network_that_cannot_be_traced_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    networks = made(["resnet8_small"] * 2).networks
    ensemble = of([networks[0], branching(), networks[1]])
    with caplog.at_level(logging.WARNING):
        quick = FastEnsemble.prepare(ensemble, threads=1)
    (line,) = caplog.messages
    assert line.startswith("members 1 of the ensemble run unfused, so slower: ")
    assert "\n" not in line
    (unit,) = quick.units
    assert sorted(unit.members) == [0, 1, 2]
    assert len(unit.modules) == 2
    assert_same(ensemble, quick, noise(5))


def test_without_onednn_all_run_as_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("no such operator\nat all")

    monkeypatch.setattr("medray.ensemble.fusing.pack", missing)
    ensemble = made(["lenet5_wide_bn", "resnet8_small"])
    quick = FastEnsemble.prepare(ensemble)
    assert [message.partition(": ")[2] for message in caplog.messages] == ["no such operator at all"] * 2
    assert_same(ensemble, quick, noise(5))


def test_a_fused_network_that_is_off_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(networks: Sequence[nn.Module], *_: object) -> Iterator[tuple[nn.Module, tuple[int, ...]]]:
        yield nn.Sequential(networks[0], nn.Hardtanh(-0.1, 0.1)), (0,)

    monkeypatch.setattr(fast, "fuse", wrong)
    ensemble = made(["lenet5_wide", "resnet8_small"])
    quick = FastEnsemble.prepare(ensemble)
    (line,) = caplog.messages
    assert line.startswith(
        "members 0 of the ensemble run unfused, so slower: fused, their probabilities differ by "
    )
    assert_same(ensemble, quick, noise(5))


def test_answers_that_are_off_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Unit.answer

    def off(self: Unit, images: Array, device: torch.device) -> Array:
        return np.roll(real(self, images, device), 1, axis=2)

    monkeypatch.setattr(fast, "fuse", lambda *_: iter(()))
    monkeypatch.setattr(Unit, "answer", off)
    with pytest.raises(
        RunError, match=r"^the fast ensemble is off: probabilities .* by \d\S+; at most 1e-05 is all"
    ):
        FastEnsemble.prepare(made(["lenet5"]))


# -- graphs with traps


class Layers(nn.Module):
    """Three convolutions with a normalisation each, in an order that a test gives."""

    def __init__(self, order: Callable[["Layers", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.third = (
            nn.Sequential(nn.Conv2d(16 if i else 1, 16, 3, padding=1, bias=i == 1), nn.BatchNorm2d(16))
            for i in range(3)
        )
        self.activation = nn.ReLU(inplace=True)
        self.order = order
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.order(self, x).mean(dim=(2, 3)))
        return logits


def plain_residual(own: Layers, x: Tensor) -> Tensor:
    a = own.first(x)
    return torch.relu(own.second(a) + a)


def term_read_later(own: Layers, x: Tensor) -> Tensor:
    a = own.first(x)
    return (own.second(a) + a) * a


def term_is_the_input(own: Layers, x: Tensor) -> Tensor:
    a = torch.relu(own.first(x))
    return own.second(a) + a


def term_twice(own: Layers, x: Tensor) -> Tensor:
    a = own.first(x)
    return own.second(a) + own.third(a) + a


def term_seen_through_a_view(own: Layers, x: Tensor) -> Tensor:
    a = own.first(x)
    view = a[:, :8]
    return torch.cat([own.second(a) + a, view], dim=1)[:, 8:]


def read_before_and_after_the_normalisation(own: Layers, x: Tensor) -> Tensor:
    bare = own.first[0](x)
    return own.first[1](bare) + own.second(bare)


def in_place(own: Layers, x: Tensor) -> Tensor:
    a = own.first(x)
    b = own.activation(own.second(a))
    b += own.third(a)
    return own.activation(b)


def in_place_on_a_term(own: Layers, x: Tensor) -> Tensor:
    a = own.first(x)
    b = own.second(a)
    a = own.activation(a)
    return own.third(b) + a


def broadcast(own: Layers, x: Tensor) -> Tensor:
    a = own.first(x)
    return own.second(a) + nn.functional.adaptive_avg_pool2d(a, 1) + 0.5


ORDERS = [
    plain_residual, term_read_later, term_is_the_input, term_twice, term_seen_through_a_view,
    read_before_and_after_the_normalisation, in_place, in_place_on_a_term, broadcast,
]  # fmt: skip


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
@torch.inference_mode()
def test_nothing_is_overwritten_that_is_still_needed(order: Callable[[Layers, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    network = Layers(order)
    network.train()(torch.rand(8, 1, 12, 16))
    network.eval()
    x = torch.rand(5, 1, 12, 16)
    packed = pack(simplify(network, x[:1]))
    for _ in range(2):  # a second time, as the first must not have changed the weights
        assert torch.allclose(packed(x), network(x), atol=1e-5)


@torch.inference_mode()
def test_stacked_networks_are_those_that_went_in() -> None:
    networks = made(["resnet8_small"] * 3).networks
    x = torch.rand(5, 1, 12, 16)
    graphs = [simplify(network, x[:1]) for network in networks]
    assert can_stack(graphs[0])
    wanted = torch.cat([network(x) for network in networks], dim=1)
    assert torch.allclose(stack(graphs)(x), wanted, atol=1e-5)
    assert torch.allclose(pack(stack(graphs))(x), wanted, atol=1e-5)
    assert torch.allclose(graphs[0](x), networks[0](x), atol=1e-5)
    assert not can_stack(simplify(made(["lenet5_wide"]).networks[0], x[:1]))
    assert not can_stack(simplify(Layers(plain_residual).eval(), x[:1]))
