"""Grad-CAM of an ensemble, and the picture that it is drawn on."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from medray._types import Array
from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.errors import ConfigError, DataError, WeightsError
from medray.pictures.heatmap import OPACITY, colours, overlay_png
from medray.serving.engine import grad_cam
from medray.serving.engine.grad_cam import GRAD_CAM, HIRES_CAM, METHODS, class_activation
from medray.training.images import to_input
from medray.training.loop import fit
from medray.training.models import Network, Normalise, build_network
from medray.training.models.links import LINKS
from medray.training.models.stage_pooling import StagePooling
from tests.conftest import write_npz

pytestmark = pytest.mark.component

SIZE = 16
CPU = torch.device("cpu")


def marked(count: int, seed: int) -> tuple[Array, Array, Array]:
    """Images with a bright square in one of four places, plain (class 0) or striped (class 1), and the places."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (count, SIZE, SIZE, 1), dtype=np.uint8)
    labels, places = np.arange(count) % 2, rng.integers(0, 4, count)
    for image, label, quadrant in zip(images, labels.tolist(), places, strict=True):
        top, left = np.array(divmod(int(quadrant), 2)) * SIZE // 2 + rng.integers(1, 4, 2)
        image[top : top + 4 : 1 + label, left : left + 4] += 120 + 40 * label
    return images, labels, places


def trained(dataset: ImageDataset, config: TrainConfig) -> Network:
    last = list(fit(config, dataset.split("train"), dataset.split("val")))[-1]
    assert last.best["accuracy"] == 1
    network = build_network(config, dataset.shape, len(dataset.class_names))
    network.load_state_dict(last.best_network)
    return network.eval()


@pytest.fixture(scope="module")
def finder() -> Network:
    """A network that tells plain squares from striped ones, wherever they are."""
    images, labels, _ = marked(200, seed=0)
    splits = {"train": np.arange(160), "val": np.arange(160, 200)}
    config = TrainConfig(backbone="resnet8_small", epochs=4, batch_size=16, learning_rate=0.005)
    return trained(ImageDataset(images, labels, ("plain", "striped"), splits, "made"), config)


def untrained(backbone: str, shape: tuple[int, int, int] = (SIZE, SIZE, 1), classes: int = 3) -> Network:
    torch.manual_seed(0)
    network = build_network(TrainConfig(backbone=backbone), shape, classes).eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):  # so that BatchNorm's own statistics differ from a batch's
            buffer.uniform_(-0.2, 0.2)
    return network


def network_of(*layers: nn.Module) -> Network:
    return Network(Normalise(torch.zeros(1), torch.ones(1)), nn.Sequential(*layers)).eval()


def noise(count: int, shape: tuple[int, int, int] = (SIZE, SIZE, 1), seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *shape), dtype=np.uint8), rng.integers(0, 2, count)


def by_quadrant(heat: Array) -> Array:
    """The share of the heat (N, H, W) in each quadrant, (N, 4)."""
    count, height, width = heat.shape
    sums = heat.reshape(count, 2, height // 2, 2, width // 2).sum(axis=(2, 4)).reshape(count, 4)
    result: Array = sums / sums.sum(axis=1, keepdims=True)
    return result


# -- where the heat lies


def test_heat_lies_on_the_mark(finder: Network) -> None:
    images, labels, places = marked(120, seed=1)
    shares = by_quadrant(class_activation([finder], [1.0], images, labels))
    assert (shares.argmax(axis=1) == places).mean() > 0.95
    assert shares[np.arange(120), places].mean() > 0.6


@pytest.mark.parametrize(("scale", "image_size"), [(2, 16), (1, 32)])
def test_heat_of_a_network_that_sees_another_size_lies_on_the_mark_too(scale: int, image_size: int) -> None:
    images, labels, _ = marked(200, seed=0)
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    splits = {"train": np.arange(160), "val": np.arange(160, 200)}
    config = TrainConfig(
        backbone="resnet8_small", epochs=6, batch_size=16, learning_rate=0.005, image_size=image_size
    )
    network = trained(ImageDataset(images, labels, ("plain", "striped"), splits, "made"), config)
    images, labels, places = marked(120, seed=1)
    heat = class_activation([network], [1.0], images.repeat(scale, axis=1).repeat(scale, axis=2), labels)
    assert heat.shape == (120, SIZE * scale, SIZE * scale)
    assert (by_quadrant(heat).argmax(axis=1) == places).mean() > 0.9


def test_hirescam_finds_the_corner_where_the_head_knows_places(tmp_path: Path) -> None:
    dataset = load_data(str(write_npz(tmp_path / "corners.npz", size=SIZE, train=96)))
    config = TrainConfig(backbone="lenet5_wide_bn", epochs=5, batch_size=16, learning_rate=0.002)
    network = trained(dataset, config)
    images, labels = dataset.split("test").take(np.arange(24))
    shares = by_quadrant(class_activation([network], [1.0], images, labels, method=HIRES_CAM))
    assert (shares.argmax(axis=1) == labels).mean() > 0.9


def test_heat_is_that_of_the_class_asked(finder: Network) -> None:
    images, labels, places = marked(60, seed=2)
    heat, other = (class_activation([finder], [1.0], images, asked) for asked in (labels, 1 - labels))
    assert np.abs(heat - other).max(axis=(1, 2)).min() > 0.3
    mixed = class_activation([finder], [1.0], images[[0, 0]], np.array([0, 1]))
    assert np.allclose(mixed[labels[0]], heat[0], atol=1e-5)
    assert np.allclose(mixed[1 - labels[0]], other[0], atol=1e-5)
    share = by_quadrant(heat)[np.arange(60), places].mean()
    assert share > by_quadrant(other + 1e-9)[np.arange(60), places].mean() + 0.2


def test_heat_of_each_label_lies_on_its_own_mark() -> None:
    """Of two labels that an image has both, each map shows where its own mark is."""
    images, first, second = two_marks(240, seed=0)
    labels = np.stack([first >= 0, second >= 0], axis=1).astype(np.int64)
    splits = {"train": np.arange(160), "val": np.arange(160, 240)}
    config = TrainConfig(backbone="resnet8_small", epochs=5, batch_size=16, learning_rate=0.01, task="several")
    dataset = ImageDataset(images, labels, ("plain", "striped"), splits, "made")
    last = list(fit(config, dataset.split("train"), dataset.split("val")))[-1]
    assert last.best["exact_match"] > 0.9
    network = build_network(config, dataset.shape, 2)
    network.load_state_dict(last.best_network)
    images, first, second = two_marks(120, seed=1)
    both = (first >= 0) & (second >= 0)
    for label, places in enumerate((first, second)):
        asked = np.full(both.sum(), label)
        shares = by_quadrant(class_activation([network.eval()], [1.0], images[both], asked, method=HIRES_CAM))
        assert (shares.argmax(axis=1) == places[both]).mean() > 0.9


def two_marks(count: int, seed: int) -> tuple[Array, Array, Array]:
    """Images with a plain square, a striped one, both or none, in different places, which are -1 for none."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (count, SIZE, SIZE, 1), dtype=np.uint8)
    places = np.where(rng.random((count, 2)) < 0.6, np.argsort(rng.random((count, 4)), axis=1)[:, :2], -1)
    for image, quadrants in zip(images, places, strict=True):
        for label in np.flatnonzero(quadrants >= 0).tolist():
            top, left = np.array(divmod(int(quadrants[label]), 2)) * SIZE // 2 + rng.integers(1, 4, 2)
            image[top : top + 4 : 1 + label, left : left + 4] += 120 + 40 * label
    return images, places[:, 0], places[:, 1]


@pytest.mark.parametrize("loss", LINKS)
def test_heat_of_a_grade_lies_on_what_speaks_for_it_or_more(loss: str) -> None:
    """Also of a grade in the middle, whose probability falls where the mark is seen more clearly."""
    images, _, places = marked(240, seed=0)
    labels = np.arange(240) % 3
    for image, label, quadrant in zip(images, labels, places, strict=True):
        top, left = np.array(divmod(int(quadrant), 2)) * SIZE // 2
        corner = image[top : top + SIZE // 2, left : left + SIZE // 2]
        corner[...] = np.minimum(corner, 90) + 60 * label
    splits = {"train": np.arange(160), "val": np.arange(160, 240)}
    config = TrainConfig(
        backbone="resnet8_small", epochs=6, batch_size=16, learning_rate=0.01, task="ordered", loss=loss,
        monitor="quadratic_kappa",
    )  # fmt: skip
    dataset = ImageDataset(images, labels, ("0", "1", "2"), splits, "made")
    last = list(fit(config, dataset.split("train"), dataset.split("val")))[-1]
    assert last.best["quadratic_kappa"] > 0.9
    network = build_network(config, dataset.shape, 3)
    network.load_state_dict(last.best_network)
    graded = np.flatnonzero(labels > 0)[:80]
    shares = by_quadrant(class_activation([network.eval()], [1.0], images[graded], labels[graded]) + 1e-9)
    for grade in (1, 2):
        of_grade = labels[graded] == grade
        assert (shares.argmax(axis=1) == places[graded])[of_grade].mean() > 0.9


# -- against the formula, with the network taken apart by hand


def by_hand(network: Network, cut: int, images: Array, classes: Array, method: str) -> Array:
    """The heat by the backbone's layers before and after `cut`, with an ordinary graph."""
    layers = network.get_submodule("backbone")
    assert isinstance(layers, nn.Sequential)
    maps = layers[:cut](network.get_submodule("normalise")(to_input(images, CPU)))
    maps.retain_grad()
    logits = layers[cut:](maps)
    logits[torch.arange(len(images)), torch.from_numpy(classes)].sum().backward()
    assert maps.grad is not None
    weights = maps.grad.mean(dim=(2, 3), keepdim=True) if method == GRAD_CAM else maps.grad
    heat = (weights * maps).sum(dim=1, keepdim=True).relu()
    heat = F.interpolate(heat, images.shape[1:3], mode="bilinear")[:, 0]
    peak = heat.amax(dim=(1, 2), keepdim=True)
    network.zero_grad(set_to_none=True)
    scaled: Array = (heat / peak.clamp_min(1e-30)).detach().numpy()
    return scaled


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("backbone", "cut"), [("lenet5", 5), ("lenet5_wide_bn", 7), ("resnet8_small", 6)])
@pytest.mark.parametrize("shape", [(16, 16, 1), (20, 12, 3)])
def test_it_is_the_formula(backbone: str, cut: int, shape: tuple[int, int, int], method: str) -> None:
    network, images, classes = untrained(backbone, shape), noise(6, shape)[0], np.arange(6) % 3
    expected = by_hand(network, cut, images, classes, method)
    result = class_activation([network], [1.0], images, classes, method=method)
    assert result.shape == (6, *shape[:2])
    assert result.dtype == np.float32
    assert expected.max() > 0
    assert np.allclose(result, expected, atol=1e-4)


def test_both_methods_are_one_where_places_are_averaged(finder: Network) -> None:
    images, labels, _ = marked(8, seed=3)
    first, second = (class_activation([finder], [1.0], images, labels, method=method) for method in METHODS)
    assert np.allclose(first, second, atol=1e-5)


def test_layers_that_work_in_place_change_nothing() -> None:
    def network(in_place: bool) -> Network:
        torch.manual_seed(3)
        relu = nn.ReLU(inplace=in_place)  # one module, which runs twice
        layers = (nn.Conv2d(1, 6, 3, padding=1), relu, nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), relu)
        return network_of(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 64, 3))

    images, classes = noise(5)
    expected = by_hand(network(False), 5, images, classes, GRAD_CAM)
    assert expected.max() == 1
    for in_place in (False, True):
        assert np.allclose(class_activation([network(in_place)], [1.0], images, classes), expected, atol=1e-4)


class Shortcut(nn.Module):
    """What the branch gives is added outside of any module, or the other way leaves the branch's maps aside."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.branch = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 6, 1))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).sin()
        answer: Tensor = self.head((x * x + self.branch(x)).mean(dim=(2, 3)))
        return answer


def test_a_map_with_a_shortcut_around_it_is_not_the_last_one() -> None:
    torch.manual_seed(5)
    backbone, (images, classes) = Shortcut(), noise(4)
    network = Network(Normalise(torch.zeros(1), torch.ones(1)), backbone).eval()
    maps = backbone.stem(to_input(images, CPU))
    x = maps.sin()
    logits = backbone.head((x * x + backbone.branch(x)).mean(dim=(2, 3)))
    (slope,) = torch.autograd.grad(logits[torch.arange(4), torch.from_numpy(classes)].sum(), maps)
    expected = (slope.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).relu()
    expected = expected / expected.amax(dim=(1, 2), keepdim=True)
    result = class_activation([network], [1.0], images, classes)
    assert np.allclose(result, expected.detach().numpy(), atol=1e-4)


# -- what holds for all input


@settings(max_examples=20, deadline=None)
@given(
    weights=st.lists(st.floats(0.01, 10), min_size=1, max_size=3),
    height=st.integers(8, 20),
    width=st.integers(8, 20),
    seed=st.integers(0, 99),
)
def test_members_are_averaged_by_weight(weights: list[float], height: int, width: int, seed: int) -> None:
    shape = (height, width, 1)
    networks = [untrained(name, shape) for name in ("lenet5", "resnet8_small", "lenet5")[: len(weights)]]
    images, classes = noise(2, shape, seed)
    heat = class_activation(networks, weights, images, classes)
    parts = [class_activation([network], [7.0], images, classes) for network in networks]
    assert heat.min() >= 0
    assert heat.max() <= 1
    for part in parts:
        peaks = part.max(axis=(1, 2))
        assert np.all((peaks == 0) | np.isclose(peaks, 1))
    assert np.allclose(heat, np.average(parts, axis=0, weights=weights), atol=1e-6)


def test_an_image_alone_is_as_in_a_batch(finder: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grad_cam, "EVALUATION_PIXELS", 1)  # 16 at once: two full batches and a part
    images, labels, _ = marked(40, seed=4)
    members = [finder, untrained("lenet5_wide_bn", classes=2)]
    together = class_activation(members, [2, 1], images, labels)
    alone = [class_activation(members, [2, 1], images[i : i + 1], labels[i : i + 1])[0] for i in range(40)]
    assert np.allclose(together, alone, atol=1e-5)


def test_what_may_not_be_written_or_lies_backwards_is_taken(finder: Network) -> None:
    images, labels, _ = marked(4, seed=5)
    expected = class_activation([finder], [1.0], images[:, ::-1], labels)
    fixed = images[:, ::-1].copy()
    fixed.flags.writeable = labels.flags.writeable = False
    assert np.allclose(class_activation([finder], [1.0], fixed, labels), expected, atol=1e-6)


def test_nothing_that_speaks_for_a_class_is_no_heat() -> None:
    head = nn.Linear(4, 2)
    network = network_of(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    images, classes = noise(3)
    for value in (-1.0, 0.0):
        nn.init.constant_(head.weight, value)
        assert not class_activation([network], [1.0], images, classes).any()
    other = untrained("resnet8_small")
    half = class_activation([network, other], [1, 1], images, classes)
    assert np.allclose(half, class_activation([other], [1], images, classes) / 2)


# -- nothing is left behind


def state_of(network: Network) -> dict[str, object]:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "hooks": sum(len(getattr(module, name)) for module in network.modules() for name in hooks),
        "modes": [module.training for module in network.modules()],
        "flags": [parameter.requires_grad for parameter in network.parameters()],
        "kinds": [type(parameter) for parameter in network.parameters()],
        "places": [tensor.data_ptr() for tensor in [*network.parameters(), *network.buffers()]],
        "grads": [parameter.grad for parameter in network.parameters()],
        "values": [tensor.numpy().tobytes() for tensor in network.state_dict().values()],
    }


@pytest.mark.parametrize("backbone", ["resnet8_small", "lenet5_wide_bn"])
def test_the_network_is_as_it_was(backbone: str) -> None:
    network, (images, classes) = untrained(backbone), noise(4)
    answer = network(to_input(images, CPU))
    first = next(network.parameters())
    first.requires_grad_(False)
    before = state_of(network)
    class_activation([network], [1.0], images, classes)
    assert state_of(network) == before
    assert torch.equal(network(to_input(images, CPU)), answer)
    network.train()
    first.requires_grad_(True).grad = torch.ones_like(first)
    before = state_of(network)
    heat = class_activation([network], [1.0], images, classes)
    assert state_of(network)["grads"][0] is first.grad  # type: ignore[index]
    assert state_of(network) | {"grads": 0} == before | {"grads": 0}
    assert torch.is_grad_enabled()
    # By the running statistics, whatever the mode.
    assert np.array_equal(heat, class_activation([network.eval()], [1.0], images, classes))


def test_it_works_in_inference_mode_and_on_what_was_made_in_it(finder: Network) -> None:
    images, labels, _ = marked(4, seed=6)
    expected = class_activation([finder], [1.0], images, labels)
    with torch.inference_mode():
        assert np.array_equal(class_activation([finder], [1.0], images, labels), expected)
        assert torch.is_inference_mode_enabled()
        made = untrained("resnet8_small", classes=2)
        made.load_state_dict(finder.state_dict())
        assert next(made.parameters()).is_inference()
    assert np.array_equal(class_activation([made], [1.0], images, labels), expected)


def test_threads_do_not_disturb_one_another(finder: Network) -> None:
    members = [finder, untrained("lenet5_wide_bn", classes=2)]
    images, labels, _ = marked(6, seed=7)
    batch, stop, answered = to_input(images, CPU), threading.Event(), []
    expected = class_activation(members, [1, 1], images, labels)
    with torch.inference_mode():
        answers = [member(batch) for member in members]

    def predict() -> None:
        with torch.inference_mode():
            while not stop.is_set():
                for member, answer in zip(members, answers, strict=True):
                    result = member.eval()(batch)
                    answered.append(torch.equal(result, answer) and not result.requires_grad)

    with ThreadPoolExecutor(5) as pool:
        predicting = [pool.submit(predict) for _ in range(2)]
        asked = [pool.submit(class_activation, members, [1, 1], images, labels) for _ in range(15)]
        try:
            assert all(np.array_equal(future.result(60), expected) for future in asked)
        finally:
            stop.set()
        for future in predicting:
            future.result(60)
    assert len(answered) > 10
    assert all(answered)
    assert not any(module._forward_hooks for member in members for module in member.modules())


# -- which networks


@pytest.mark.parametrize(("backbone", "cells"), [("resnet18", 2), ("densenet121", 2), ("efficientnet_b0", 2)])
def test_networks_of_timm_work(backbone: str, cells: int) -> None:
    shape = (32, 32, 3)
    member = grad_cam._Member(untrained(backbone, shape), 0, "cpu", GRAD_CAM)
    images, classes = noise(3, shape)
    heat = member.activation(images, classes)
    assert heat.shape == (3, 32, 32)
    assert np.isfinite(heat).all()
    (maps,) = member.watcher.maps
    assert maps.shape[2:] == (cells, cells)


def pooled_by_stages(pooling: str, backbone: str = "resnet18") -> tuple[Network, StagePooling]:
    torch.manual_seed(0)
    network = build_network(TrainConfig(backbone=backbone, pooling=pooling), (64, 64, 3), 3).eval()
    backbone_module = network.get_submodule("backbone")
    assert isinstance(backbone_module, StagePooling)
    nn.init.normal_(backbone_module.head[1].weight)  # type: ignore[arg-type]
    return network, backbone_module


def test_of_all_stages_the_map_is_the_sum_of_what_each_position_adds_to_the_logit() -> None:
    network, backbone = pooled_by_stages("stages")
    images, classes = noise(4, (64, 64, 3))
    with torch.no_grad():
        last, stages = backbone.stages(network.get_submodule("normalise")(to_input(images, CPU)))
        weights = backbone.head[1].weight[torch.from_numpy(classes)]  # type: ignore[index]
        added, taken = torch.zeros(4, 32, 32), 0
        for maps in (*stages, last):  # the resnet's own features are the means of the last maps
            own = weights[:, taken : taken + maps.shape[1], None, None]
            part = (own * maps).sum(dim=1) / maps[0, 0].numel()
            taken += maps.shape[1]
            added += F.interpolate(part[:, None], (32, 32), mode="bilinear")[:, 0] * (maps[0, 0].numel() / 32**2)
        heat = F.interpolate(added.relu()[:, None], (64, 64), mode="bilinear")[:, 0]
        expected = heat / heat.amax(dim=(1, 2), keepdim=True)
    result = class_activation([network], [1.0], images, classes)
    assert taken == weights.shape[1]
    assert result == pytest.approx(expected.numpy(), abs=1e-4)


def test_the_map_of_a_mirrored_network_turns_with_the_image() -> None:
    network, _ = pooled_by_stages("mirrored", "mobilenetv3_small_050")
    images, classes = noise(3, (64, 64, 3))
    heat = class_activation([network], [1.0], images, classes)
    turned = class_activation([network], [1.0], images[:, :, ::-1].copy(), classes)
    assert heat.max() == pytest.approx(1.0)
    assert heat.std() > 0.05
    assert turned[:, :, ::-1] == pytest.approx(heat, abs=1e-3)


class Tokens(nn.Module):
    """A transformer's beginning: patches by a convolution, then positions in another form."""

    def __init__(self, form: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.patches, self.form = nn.Conv2d(1, 6, 4, 4), form
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.form(self.patches(x))).flatten(1, -2)
        answer: Tensor = self.head(x.mean(dim=1))
        return answer


@pytest.mark.parametrize(
    "backbone",
    [
        Tokens(lambda x: x.flatten(2).transpose(1, 2)),
        Tokens(lambda x: x.permute(0, 2, 3, 1)),
        nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE, 3)),
        nn.Sequential(nn.Dropout2d(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(SIZE * SIZE // 4, 3)),
        nn.Sequential(nn.Conv2d(1, 4, SIZE), nn.Flatten(), nn.Linear(4, 3)),
    ],
)
def test_networks_without_a_feature_map_are_refused(backbone: nn.Module) -> None:
    network = Network(Normalise(torch.zeros(1), torch.ones(1)), backbone).eval()
    with pytest.raises(ConfigError, match=r"^network 1 \((Tokens|Sequential)\) has no convolutional feature map"):
        class_activation([untrained("lenet5"), network], [1, 1], *noise(2))


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_transformer_with_a_head_on_all_stages_is_refused(backbone: str) -> None:
    shape = (224, 224, 3)
    network = build_network(TrainConfig(backbone=backbone, pooling="stages"), shape, 3).eval()
    with pytest.raises(ConfigError, match="has no convolutional feature map"):
        class_activation([network], [1.0], *noise(1, shape))


def test_a_vision_transformer_is_refused() -> None:
    shape = (224, 224, 1)
    with pytest.raises(ConfigError, match=r"VisionTransformer.*what works: lenet5, .*resnet18") as caught:
        class_activation([untrained("vit_tiny_patch16_224", shape)], [1.0], *noise(1, shape))
    assert "\n" not in str(caught.value)


def test_what_can_not_be_used_is_refused() -> None:
    network, (images, classes) = untrained("lenet5"), noise(2)
    for wrong in (images.astype(float), images[0], images[..., [0, 0]], images[:0], images[:, :0]):
        with pytest.raises(DataError, match=r"^images are "):
            class_activation([network], [1.0], wrong, classes)
    for wrong in (classes[:1], classes.astype(float), classes[:, None]):
        with pytest.raises(DataError, match=r"^classes are .*not int64 \(2,\)"):
            class_activation([network], [1.0], images, wrong)
    for number in (-1, 3):
        with pytest.raises(DataError, match=rf"class {number} is none of network 0 \(Sequential\): 0 to 2 are"):
            class_activation([network], [1.0], images, np.array([0, number]))
    with pytest.raises(DataError, match=r"do not fit network 0 \(Sequential\): .*mat1"):
        class_activation([network], [1.0], images[:, :-4], classes)
    with pytest.raises(DataError, match=r"images have 3 channels; network 0 .* takes 1"):
        class_activation([network], [1.0], np.repeat(images, 3, axis=3), classes)
    for weights in ([], [1.0, 1.0]):
        with pytest.raises(ConfigError, match=rf"1 networks have {len(weights)} weights"):
            class_activation([network], weights, images, classes)
    for weight in (-1.0, 0.0, float("nan")):
        with pytest.raises(ConfigError, match="not 0 or more with one above 0"):
            class_activation([network], [weight], images, classes)
    with pytest.raises(ConfigError, match=r"unknown method 'gradcam' \(did you mean 'grad-cam'\?\)"):
        class_activation([network], [1.0], images, classes, method="gradcam")


def test_damaged_weights_are_no_silent_nothing() -> None:
    network = untrained("resnet8_small")
    nn.init.constant_(next(network.parameters()), float("nan"))
    with pytest.raises(WeightsError, match=r"network 0 \(Sequential\) gives NaN"):
        class_activation([network], [1.0], *noise(2))


# -- the picture


def opened(png: bytes) -> Array:
    with Image.open(io.BytesIO(png)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        return np.asarray(picture)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width", "least", "factor"),
    [(28, 28, 224, 8), (28, 40, 224, 8), (50, 30, 224, 8), (224, 300, 224, 1), (300, 240, 224, 1), (28, 28, 1, 1)],
)
def test_without_heat_it_is_the_image_in_grey(
    height: int, width: int, least: int, factor: int, channels: int
) -> None:
    image = noise(1, (height, width, channels))[0][0]
    picture = opened(overlay_png(image, np.zeros((height, width), np.float32), least_side=least))
    assert picture.shape == (height * factor, width * factor, 3)
    assert np.ptp(picture, axis=2).max() == 0
    luma = image[..., 0] if channels == 1 else image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(picture[::factor, ::factor, 0] - luma.astype(float)).max() <= 1
    assert np.array_equal(picture[::factor, :, 0], picture[factor - 1 :: factor, :, 0])


def test_heat_colours_its_place_and_the_image_shows_through() -> None:
    image, heat = noise(1, (28, 28, 1))[0][0], np.zeros((28, 28), np.float32)
    heat[:14, 14:] = 1
    picture = opened(overlay_png(image, heat)).astype(int)
    colour = np.ptp(picture, axis=2)
    assert colour[:104, 120:].min() > 100  # 8 pixels from the edge, which is smooth
    assert colour[120:].max() == colour[:, :104].max() == 0
    there = picture[:104, 120:].sum(axis=2) - 3 * OPACITY * colours(np.ones(1)).mean()
    grey = image[:13, 15:, 0].repeat(8, axis=0).repeat(8, axis=1)
    assert np.abs(there / 3 / (1 - OPACITY) - grey).max() < 3


def lightness(rgb: Array) -> Array:
    """CIE L*, 0..100, of sRGB colours in 0..255."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    result: Array = 116 * np.cbrt(y) - 16
    return result


def test_colours_get_lighter_evenly_and_are_never_grey() -> None:
    result = colours(np.linspace(0, 1, 101))
    steps = np.diff(lightness(result))
    assert steps.min() > 0.3 * steps.mean()
    assert steps.max() < 2 * steps.mean()
    assert np.ptp(result, axis=1).min() > 100
    assert np.array_equal(result[[0, -1]].astype(int), [[13, 8, 135], [240, 249, 33]])


def test_pictures_that_can_not_be_drawn_are_refused() -> None:
    image, heat = noise(1)[0][0], np.zeros((SIZE, SIZE), np.float32)
    for wrong in (image[..., 0], image.astype(float), image[..., [0, 0]], image[:0]):
        with pytest.raises(DataError, match=r"^the image is "):
            overlay_png(wrong, heat)
    for wrong in (heat[1:], heat.astype(int)):
        with pytest.raises(DataError, match=r"^the heat is .*not float \(16, 16\)"):
            overlay_png(image, wrong)
    for value in (-0.1, 1.1, np.nan):
        with pytest.raises(DataError, match=r"^the heat lies between"):
            overlay_png(image, heat + np.float32(value))
    for side in (0, -3, 2.5, True):
        with pytest.raises(ConfigError, match=f"least_side is {side}"):
            overlay_png(image, heat, least_side=side)  # type: ignore[arg-type]
