"""Steps that are recorded on a GPU and replayed give what steps give that are launched one by one."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.training import recorded
from medray.training.loop import EpochResult, fit
from medray.training.recorded import record_step
from medray.training.state import TrainState

pytestmark = [
    pytest.mark.component,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
ALWAYS, NEVER = math.inf, 0.0
TURN = ({"HorizontalFlip": {"p": 0.5}}, {"Rotate": {"limit": [-20, 20], "p": 0.5}})


@pytest.fixture(autouse=True)
def exact_sums() -> Iterator[None]:
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = False


def train(
    dataset: ImageDataset, settings: dict[str, object], worth: float, monkeypatch: pytest.MonkeyPatch,
    state: TrainState | None = None,
) -> Iterator[EpochResult]:  # fmt: skip
    monkeypatch.setattr(recorded, "WORTH", worth)
    config = TrainConfig.from_dict({"batch_size": 16, "epochs": 4, "learning_rate": 0.003, **settings})
    for result in fit(config, dataset.split("train"), dataset.split("val"), device="cuda", resume=state):
        assert (result._training.recorded is None) == (worth == NEVER)
        yield result


def assert_same(one: EpochResult, other: EpochResult) -> None:
    assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)
    assert one.best_outputs.probabilities == pytest.approx(other.best_outputs.probabilities, abs=2e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"backbone": "resnet8_small", "pipeline": TURN},
        {"backbone": "lenet5", "dropout": 0.4, "optimizer": "rmsprop", "learning_rate": 0.0005},
        {"optimizer": "sgd", "momentum": 0.9, "gradient_clip": 0.5, "batch_size": 20},  # a smaller last batch
        {"backbone": "resnet8_small", "freeze_epochs": 2, "trainable_blocks": 2, "class_balance": "loss"},
        {"backbone": "resnet8_small", "precision": "float32", "schedule": "one_cycle", "loss": "cross_entropy"},
    ],
)
def test_recorded_steps_give_what_single_launches_give(
    dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    replayed = list(train(dataset, settings, ALWAYS, monkeypatch))
    launched = list(train(dataset, settings, NEVER, monkeypatch))
    for one, other in zip(replayed, launched, strict=True):
        assert_same(one, other)


def test_a_training_that_goes_on_records_again(dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, object] = {"backbone": "lenet5", "dropout": 0.4, "optimizer": "adamw"}
    *_, last = train(dataset, settings, ALWAYS, monkeypatch)
    first = train(dataset, settings, ALWAYS, monkeypatch)
    next(first)
    state = next(first).state()
    *_, resumed = train(dataset, settings, ALWAYS, monkeypatch, state)
    assert_same(resumed, last)


class Waiting(nn.Module):
    """Asks the GPU for a number in the middle of its forward, which can't be recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.dense, self.drop = nn.BatchNorm1d(4), nn.Linear(4, 2), nn.Dropout(0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.drop(self.dense(self.norm(inputs)))
        return logits * 2 if logits.sum().item() > 0 else logits


def test_what_cannot_be_recorded_is_launched(dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "WORTH", ALWAYS)
    network, inputs = Waiting().cuda(), torch.rand(8, 4, device="cuda")

    def gradients(inputs: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = nn.functional.cross_entropy(network(inputs), labels)
        loss.backward()
        return loss.detach()

    labels = torch.zeros(8, dtype=torch.int64, device="cuda")
    assert record_step(gradients, network, inputs, labels) is None
    assert all(
        torch.equal(network.norm.get_buffer(name), buffer)
        for name, buffer in nn.BatchNorm1d(4).cuda().named_buffers()
    )
    # Nothing of the attempt is left: random numbers are drawn, others are recorded.
    torch.manual_seed(0)
    assert math.isfinite(gradients(inputs, labels).item())
    *_, last = train(dataset, {"backbone": "lenet5", "dropout": 0.4}, ALWAYS, monkeypatch)
    assert math.isfinite(last.train_loss)
