"""Networks that have one trunk run it once and answer as each by itself does; no others are taken for such."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.training.frozen.groups import NetworkGroup, group_networks, group_outputs, in_order
from medray.training.images import to_input
from medray.training.models import Network, build_network
from medray.training.predict import predict_images
from medray.training.stages import untrained_names

pytestmark = pytest.mark.component

SHAPE = (20, 24, 1)
CPU = torch.device("cpu")


def config_of(**values: Any) -> TrainConfig:
    return TrainConfig.from_dict({"backbone": "resnet8_small", "trainable_blocks": 0, **values})


def trained_alike(configs: Sequence[TrainConfig], seed: int = 0) -> list[Network]:
    """Networks of several settings that were trained from the same starting weights, of one backbone."""
    torch.manual_seed(seed)
    start = build_network(configs[0], SHAPE, 3).train()
    start(torch.rand(16, 1, *SHAPE[:2]))
    networks = []
    for config in configs:
        network = build_network(config, SHAPE, 3)
        frozen = untrained_names(network, config)
        same = {n: t for n, t in start.state_dict().items() if n in frozen or n.startswith("normalise.")}
        network.load_state_dict({**network.state_dict(), **same})
        if config.task == "several":
            network.attend()
        networks.append(network.eval())
    return networks


def grouped(networks: Sequence[Network], configs: Sequence[TrainConfig]) -> tuple[NetworkGroup, ...]:
    return group_networks(networks, configs, torch.rand(2, SHAPE[2], *SHAPE[:2]))


def noise(count: int) -> Any:
    return np.random.default_rng(1).integers(0, 256, size=(count, *SHAPE), dtype=np.uint8)


def assert_answers_as_each_alone(
    groups: Sequence[NetworkGroup], networks: Sequence[Network], count: int = 7
) -> None:
    images = noise(count)
    slice_ = LabelledImages(images, np.zeros(count, np.int64), np.arange(count), ("a", "b", "c"))
    outputs = in_order(groups, [group_outputs(group, images, CPU) for group in groups])
    tables = set()
    for own, network in zip(outputs, networks, strict=True):
        alone = predict_images(network, slice_, CPU)
        assert np.abs(own.probabilities - alone.probabilities).max() <= 1e-6
        assert (own.scores is None) == (alone.scores is None)
        assert own.scores is None or alone.scores is None or np.abs(own.scores - alone.scores).max() <= 1e-6
        tables.add(own.probabilities.tobytes())
    assert len(tables) == len(networks), "the networks answer differently"


def test_a_trunk_runs_once_for_all_its_networks() -> None:
    configs = [config_of(), config_of(head_width=8), config_of(optimizer="lbfgs"), config_of(dropout=0.4)]
    networks = trained_alike(configs)
    groups = grouped(networks, configs)
    assert [group.members for group in groups] == [(0, 1, 2, 3)]
    runs: Counter[int] = Counter()
    for number, network in enumerate(networks):
        first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        first.register_forward_hook(lambda *_, number=number: runs.update([number]))
    group_outputs(groups[0], noise(5), CPU)
    assert dict(runs) == {0: 1}
    assert_answers_as_each_alone(groups, networks)


@pytest.mark.parametrize(
    ("same", "values"),
    [
        (True, {"trainable_blocks": 1}),
        (True, {"backbone": "lenet5_wide_bn"}),
        (True, {"freeze_epochs": 1}),
        (True, {"task": "several"}),
        (False, {"trainable_blocks": None}),
        (False, {"trainable_blocks": None, "freeze_epochs": 2}),
    ],
)
def test_what_is_never_trained_is_shared(same: bool, values: dict[str, Any]) -> None:
    configs = [config_of(**values), config_of(**values)]
    networks = trained_alike(configs)
    groups = grouped(networks, configs)
    assert [group.members for group in groups] == ([(0, 1)] if same else [(0,), (1,)])
    assert_answers_as_each_alone(groups, networks)


def test_an_ensemble_of_mixed_networks() -> None:
    """Only equal tensors behind equal preprocessing are one trunk, whatever comes between in the sequence."""
    configs = [
        config_of(),
        config_of(trainable_blocks=1),
        config_of(),
        config_of(trainable_blocks=None),
        config_of(),
    ]
    networks = trained_alike(configs) + trained_alike([config_of(), config_of()], seed=5)
    configs += [config_of(), config_of()]
    networks[4].get_buffer("normalise.mean").add_(0.1)  # of other images
    with torch.no_grad():
        networks[6].get_parameter("backbone.0.weight").mul_(1.001)
    groups = grouped(networks, configs)
    assert [group.members for group in groups] == [(0, 2), (1,), (3,), (4,), (5,), (6,)]
    assert_answers_as_each_alone(groups, networks, count=3)


class Halved(nn.Module):
    """Another preprocessing that has no tensor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor


@pytest.mark.parametrize(("factor", "groups"), [(0.5, [(0, 1)]), (0.51, [(0,), (1,)])])
def test_preprocessing_without_tensors_counts_too(factor: float, groups: list[tuple[int, ...]]) -> None:
    configs = [config_of(), config_of()]
    networks = trained_alike(configs)
    for network, own in zip(networks, (0.5, factor), strict=True):
        network.normalise = nn.Sequential(Halved(own), network.get_submodule("normalise"))
    made = grouped(networks, configs)
    assert [group.members for group in made] == groups
    assert_answers_as_each_alone(made, networks)


class Skipping(nn.Module):
    """Adds its input at the end, which no feature of its first layers is."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3))
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.features(x).mean(dim=(2, 3)) + x.mean(dim=(1, 2, 3))[:, None])
        return outputs


def test_networks_that_see_images_at_another_size_have_another_trunk() -> None:
    configs = [config_of(image_size=size) for size in (12, 16, 12)]
    networks = trained_alike(configs)
    groups = grouped(networks, configs)
    assert [group.members for group in groups] == [(0, 2), (1,)]
    assert_answers_as_each_alone(groups, networks)


def test_networks_that_can_not_be_split_run_as_they_are() -> None:
    configs = [config_of(trainable_blocks=1), config_of(trainable_blocks=1)]
    networks = trained_alike(configs)
    for network in networks:
        network.backbone = Skipping()
    first, second = (network.get_submodule("backbone.features.0") for network in networks)
    second.load_state_dict(first.state_dict())
    assert untrained_names(networks[0], configs[0]) == {"backbone.features.0.weight", "backbone.features.0.bias"}
    groups = grouped(networks, configs)
    assert [group.members for group in groups] == [(0,), (1,)]
    assert_answers_as_each_alone(groups, networks)


def test_threads_run_the_group_and_its_networks_at_once() -> None:
    configs = [config_of(), config_of(seed=1)]
    networks = trained_alike(configs)
    (group,) = grouped(networks, configs)
    images = noise(4)
    batch = to_input(images, CPU)
    expected = group_outputs(group, images, CPU)[0].probabilities

    def answer(number: int) -> Any:
        if number % 2:
            return group_outputs(group, images, CPU)[0].probabilities
        with torch.no_grad():
            return networks[0](batch).softmax(dim=1).numpy()

    with ThreadPoolExecutor(4) as several:
        answers = list(several.map(answer, range(80)))
    assert all(np.allclose(probabilities, expected, atol=1e-6) for probabilities in answers)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
