"""A split network gives the whole network's answers, whatever is frozen; what can't be split says so."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from medray.config import TrainConfig
from medray.training.frozen.folded import folded
from medray.training.frozen.trunk import Trunk, evaluating, split_network
from medray.training.models import Network, build_network, parts_of

pytestmark = pytest.mark.component

SHAPE = (48, 48, 1)


def settled(backbone: str, shape: tuple[int, int, int] = SHAPE, **settings: object) -> Network:
    """A network whose normalisations have statistics and weights of their own, as trained ones do."""
    config = TrainConfig.from_dict({"backbone": backbone, "dropout": 0.3, **settings})
    torch.manual_seed(0)
    network = build_network(config, shape, 3)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                    assert tensor is not None
                    tensor.copy_(torch.rand_like(tensor) + 0.5)
    return network


def images(shape: tuple[int, int, int] = SHAPE, count: int = 3) -> Tensor:
    return torch.rand(count, shape[2], *shape[:2], generator=torch.Generator().manual_seed(1))


def frozen_names(network: Network, blocks: int) -> frozenset[str]:
    return frozenset(f"backbone.{n}" for n in parts_of(network.get_submodule("backbone")).frozen(blocks))


BACKBONES = [
    "lenet5", "lenet5_wide_bn", "cnn4_64", "cnn4_128", "cnn10_bn", "resnet8_small", "resnet10t",
    "efficientnet_b0", "mobilenetv3_small_050", "regnetx_002", "convnext_atto",
]  # fmt: skip
WITHOUT_PAIRS = ("lenet5", "cnn4_64", "cnn4_128", "convnext_atto")  # no BatchNorm, or not after a convolution


@pytest.mark.parametrize("backbone", BACKBONES)
def test_trunk_and_rest_together_are_the_network(backbone: str) -> None:
    network = settled(backbone)
    batch = images()
    expected = network.eval()(batch)
    splits = 0
    for blocks in range(len(parts_of(network.get_submodule("backbone")).blocks)):
        split = split_network(network, frozen_names(network, blocks), batch[:2], 0.3)
        if split is None:
            assert blocks > 0
            continue
        trunk, rest = split
        assert torch.allclose(rest.eval()(trunk(batch)), expected, atol=1e-4)
        splits += 1
    assert splits >= 2


def test_the_rest_trains_the_networks_own_layers_and_the_trunk_nothing() -> None:
    network = settled("resnet10t")
    names = frozen_names(network, 1)
    split = split_network(network, names, images(), 0.3)
    assert split is not None
    trunk, rest = split
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rest.train()
    features = trunk(images())
    assert not features.requires_grad
    rest.train()
    rest(features).square().sum().backward()
    with torch.no_grad():
        for parameter in rest.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    changed = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    assert changed
    assert not changed & names


def test_dropout_before_the_last_layer_draws_as_in_the_whole_network() -> None:
    for backbone in ("resnet10t", "cnn4_128", "vit_tiny_patch16_224"):
        shape = (224, 224, 3) if backbone.startswith("vit") else SHAPE
        network = settled(backbone, shape)
        batch = images(shape)
        split = split_network(network, frozen_names(network, 0), batch[:2], 0.3)
        assert split is not None
        trunk, rest = split
        features = trunk(batch)
        rest.train()
        drawn = []
        for seed in (3, 3, 4):
            torch.manual_seed(seed)
            drawn.append(rest(features))
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])


def test_a_vision_transformer_splits_before_its_head_only() -> None:
    network = settled("vit_tiny_patch16_224", (224, 224, 3))
    batch = images((224, 224, 3), 2)
    split = split_network(network, frozen_names(network, 0), batch, 0.0)
    assert split is not None
    assert split[0](batch).shape == (2, 192)
    assert split_network(network, frozen_names(network, 1), batch, 0.0) is None
    assert split_network(network, frozenset(), batch, 0.0) is None


class Tangled(nn.Module):
    """Runs its modules in another order than it names them, and adds its input at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = nn.Conv2d(4, 4, 3), nn.Conv2d(1, 4, 3)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = self.second(self.first(x)).mean(dim=(2, 3))
        outputs: Tensor = self.last(features + x.mean(dim=(1, 2, 3))[:, None])
        return outputs


def test_a_network_whose_forward_is_no_chain_splits_where_that_is_right() -> None:
    network = settled("lenet5")
    network.backbone = Tangled()
    frozen = frozenset(n for n in network.state_dict() if n.startswith(("backbone.first", "backbone.second")))
    split = split_network(network, frozen, images(), 0.0)
    assert split is not None
    trunk, rest = split
    assert torch.allclose(rest.eval()(trunk(images())), network.eval()(images()), atol=1e-5)
    assert split_network(network, frozen - {"backbone.second.weight"}, images(), 0.0) is None


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_folded_trunk_gives_the_same_features_and_changes_nothing(backbone: str) -> None:
    network = settled(backbone)
    split = split_network(network, frozen_names(network, 0), images(), 0.3)
    assert split is not None
    trunk, before = split[0], {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with evaluating(trunk.network):
        other = folded(trunk, images())
    if backbone in WITHOUT_PAIRS:
        assert other is trunk
    else:  # resnet10t's stem ends in a convolution, its normalisation is a module of its own
        assert sum(isinstance(module, nn.BatchNorm2d) for module in other.modules()) <= 1
    batch = torch.rand(5, 1, 48, 48, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(other(batch), trunk(batch), atol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class Twice(nn.Module):
    """A convolution whose outputs go past the normalisation too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.conv(images)
        return self.head((outputs + self.norm(outputs)).mean(dim=(2, 3)))


def test_what_cant_be_folded_is_left() -> None:
    network = settled("resnet10t")
    network.backbone = Twice()
    torch.nn.init.uniform_(network.backbone.norm.running_mean)
    trunk = Trunk(network, "backbone.head", before=True)
    with evaluating(trunk.network):
        assert folded(trunk, images()) is trunk
