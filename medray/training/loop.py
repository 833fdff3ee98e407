"""fit(): one training, as a generator of epochs; trials, folds and refits all use it.

The randomness of an epoch (order, augmentation, mixup, dropout) depends only on the seed and the epoch's number,
so a training that was resumed, or that shares its process with another, gives the same figures as one that was
not: on a CPU with the same number of threads, to the last digit.
"""

import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from medray._types import Array
from medray.config import TrainConfig
from medray.data.dataset import LabelledImages
from medray.errors import TrainingDiverged
from medray.stats.case_rule import ATTENTION
from medray.stats.outputs import Outputs, joined
from medray.tasks import TASKS
from medray.training import optim
from medray.training.augment import Augmenter
from medray.training.case_attention import kept_features, learn_attention
from medray.training.check_slices import check_slices
from medray.training.models import Network, build_network, channel_statistics
from medray.training.models.attention import attending_layer
from medray.training.seeds import draw_seed
from medray.training.stages import Freezer, Stage, recalibrated, stage_at, stages_of
from medray.training.state import TrainProgress, TrainState

EXPLODED = 50  # times the loss of uniform predictions
RECALIBRATION_IMAGES = 1024
EVALUATION_PIXELS = 256 * 28 * 28


@dataclass(frozen=True)
class EpochResult:
    """The outcome of one epoch.

    `metrics` are the validation metrics of this epoch, by case where there are cases, and `best` those of
    `best_epoch`, whose weights and outputs of validation images are `best_network` and
    `best_outputs`. `ended_by` is `epochs` or `patience` in the last result, else None. `seconds` is the
    epoch's wall time.
    """

    epoch: int
    train_loss: float
    metrics: dict[str, float]
    learning_rate: float
    seconds: float
    best_epoch: int
    best: dict[str, float]
    best_network: dict[str, Tensor]
    best_outputs: Outputs
    parameters: int
    ended_by: str | None
    _training: "_Training"

    @property
    def is_best(self) -> bool:
        """Return whether this epoch is the best so far."""
        return self.epoch == self.best_epoch

    def state(self) -> TrainState:
        """Return what resuming from here needs; call it before the next epoch is requested."""
        return self._training.state()


def fit(
    config: TrainConfig,
    train: LabelledImages,
    val: LabelledImages,
    *,
    device: str | torch.device = "cpu",
    resume: TrainState | None = None,
) -> Iterator[EpochResult]:
    """Train one network; return an iterator that trains an epoch at each step and yields its result.

    Starts from the weights that `config` names, or resumes from a state. Ends after `config.epochs`, or after
    `config.patience` epochs without improvement; patience counts from the first epoch after
    `config.freeze_epochs`. The best epoch is the best of both stages. Where `config.image_size` is below the
    images' own, transforms and network see images of that size; a larger one the network makes of transformed
    images.

    Raises:
        DataError: train or val is empty, lacks a class or has labels out of range, or the two do not fit; at once.
        ConfigError: the backbone is unknown, does not take such images, or has fewer blocks than are trained.
        WeightsError: pre-trained weights are not available.
        TrainingDiverged: the loss became NaN or exploded.
    """
    check_slices(train, val, config.monitor)
    train, val = train.sized(config.image_size), val.sized(config.image_size)
    return _epochs(config, train, val, torch.device(device), resume)


def _epochs(
    config: TrainConfig,
    train: LabelledImages,
    val: LabelledImages,
    device: torch.device,
    resume: TrainState | None,
) -> Iterator[EpochResult]:
    if resume is not None:  # the state holds all weights: nothing has to be fetched
        config = dataclasses.replace(config, pretrained=False, weights=None)
    training = _Training(config, train, val, device)
    if resume is not None:
        training.restore(resume)
    while training.ended_by() is None:
        yield training.run_epoch()


class _Training:
    """The mutable state of one training."""

    def __init__(
        self, config: TrainConfig, train: LabelledImages, val: LabelledImages, device: torch.device
    ) -> None:
        self.config, self.train, self.val, self.device = config, train, val, device
        torch.manual_seed(draw_seed(config.seed, 0))
        network = build_network(config, train.shape, len(train.class_names))
        shares = torch.from_numpy(train.class_counts() / len(train)).float()
        network.start(*channel_statistics(train.images, train.positions), shares)
        if train.cases is not None and train.cases.rule.answer == ATTENTION:
            network.attend()
        self.network: Network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parameters = network.parameter_count()
        self.bounds = optim.batch_bounds(len(train), config.batch_size)
        self.freezer = Freezer(self.network, stages_of(config))
        self._enter(stage_at(config, 1))
        self.augment = Augmenter(config.pipeline)
        self.loss_weight = optim.loss_weight(config, train, device)
        self.autocast = device.type == "cuda" and config.precision != "float32"
        self.progress = TrainProgress()
        self.best_network: dict[str, Tensor] = {}
        self.best_outputs = Outputs(np.empty((0, 0), dtype=np.float32))

    # -- stages

    def _enter(self, stage: Stage) -> None:
        """Freeze what a stage does not train, and make its optimizer and schedule."""
        self.freezer.enter(stage)
        self.optimizer = optim.make_optimizer(self.config, self.network, stage.rate)
        self.schedule = optim.Schedule.make(self.config, stage, self.optimizer, len(self.bounds))

    # -- one epoch

    def run_epoch(self) -> EpochResult:
        started = time.perf_counter()
        epoch = self.progress.epoch + 1
        if epoch == stage_at(self.config, epoch).first > 1:
            self._enter(stage_at(self.config, epoch))
            self.progress.reference, self.progress.stale_epochs = None, 0
        rate = self.optimizer.param_groups[0]["lr"]
        train_loss = self._train_epoch(epoch)
        self._recalibrate()
        outputs = self._predict_val(epoch)
        scores = TASKS[self.config.task].measure(self.val.answers(outputs), self.val.answered_labels)
        self.schedule.after_epoch(scores["log_loss"])
        self.progress.epoch = epoch
        self._keep_best(scores, outputs)
        return EpochResult(
            epoch=epoch,
            train_loss=train_loss,
            metrics=scores,
            learning_rate=rate,
            seconds=time.perf_counter() - started,
            best_epoch=self.progress.best_epoch,
            best=self.progress.best,
            best_network=self.best_network,
            best_outputs=self.best_outputs,
            parameters=self.parameters,
            ended_by=self.ended_by(),
            _training=self,
        )

    def _predict_val(self, epoch: int) -> Outputs:
        """Return the network's outputs of the validation images, after attention has learned where it attends."""
        layer = attending_layer(self.network)
        with kept_features(layer) as features:
            outputs = predict_images(self.network, self.val, self.device)
        if not np.isfinite(outputs.probabilities).all():
            raise TrainingDiverged(f"predictions became NaN in epoch {epoch}")
        if layer is None:
            return outputs
        balanced = self.config.class_balance != "none" and self.train.own_labels.ndim == 1
        weights = optim.class_weights(self.train) if balanced else None
        seed = draw_seed(self.config.seed, 0)
        return learn_attention(layer, self.val, outputs, torch.cat(features), seed=seed, class_weights=weights)

    def _train_epoch(self, epoch: int) -> float:
        seed = draw_seed(self.config.seed, epoch)
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        order = optim.epoch_order(self.config, self.train, rng)
        total = torch.zeros((), device=self.device)
        self.freezer.train_mode()
        for start, end in self.bounds:
            total += self._train_batch(order[start:end], rng) * (end - start)
        loss = total.item() / len(order)
        if not math.isfinite(loss):
            raise TrainingDiverged(f"the loss became {loss} in epoch {epoch}")
        if loss > EXPLODED * math.log(2 if self.network.label_sets else len(self.train.class_names)):
            raise TrainingDiverged(
                f"the loss exploded in epoch {epoch}: {loss:.3g}, over {EXPLODED} times that of a uniform guess"
            )
        return loss

    def _train_batch(self, indices: Array, rng: np.random.Generator) -> Tensor:
        images, labels = self.train.take(indices)
        images = self.augment(images, int(rng.integers(2**31)))
        alpha = self.config.mixup
        share = float(rng.beta(alpha, alpha)) if alpha > 0 else 1.0
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            loss = optim.mixed_loss(
                self.network,
                to_input(images, self.device),
                torch.from_numpy(labels).to(self.device, non_blocking=True),
                self.config,
                self.loss_weight,
                share,
            )
        loss.backward()
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.schedule.after_batch()
        return loss.detach()

    @torch.no_grad()
    def _recalibrate(self) -> None:
        """Recompute the statistics of each BatchNorm that is not frozen, with the present weights.

        The running averages trail the weights by tens of batches: with 5 batches an epoch a wide network
        predicts at chance for several epochs after it has learned (Wu & Johnson 2021, "Rethinking Batch").
        """
        if not self.freezer.learning:
            return
        self.freezer.train_mode()
        for module in self.network.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.eval()
        # Shuffled, as a file may be sorted by class.
        sample = np.random.default_rng(0).permutation(len(self.train))[:RECALIBRATION_IMAGES]
        with recalibrated(self.freezer.learning):
            for start, end in optim.batch_bounds(len(sample), evaluation_batch(self.network, self.train.shape)):
                images, _ = self.train.take(sample[start:end])
                self.network(to_input(images, self.device))

    # -- the best epoch, patience

    def _keep_best(self, scores: dict[str, float], outputs: Outputs) -> None:
        config, progress = self.config, self.progress
        value = scores[config.monitor]
        if not progress.best or self._rank(scores) > self._rank(progress.best):
            progress.best_epoch, progress.best = progress.epoch, scores
            self.best_network = {n: t.detach().cpu().clone() for n, t in self.network.state_dict().items()}
            self.best_outputs = outputs
        sign = 1 if config.mode == "max" else -1
        if progress.reference is None or sign * (value - progress.reference) > config.min_delta:
            progress.reference, progress.stale_epochs = value, 0
        else:
            progress.stale_epochs += 1

    def _rank(self, scores: dict[str, float]) -> tuple[float, float]:
        """Return the key by which epochs are compared: the monitored metric, then the lower loss."""
        sign = 1 if self.config.mode == "max" else -1
        return sign * scores[self.config.monitor], -scores["log_loss"]

    def ended_by(self) -> str | None:
        progress, patience = self.progress, self.config.patience
        if progress.epoch >= self.config.epochs:
            return "epochs"
        if progress.epoch <= self.config.freeze_epochs:  # patience does not count before fine-tuning
            return None
        return "patience" if patience is not None and progress.stale_epochs >= patience else None

    # -- state

    def state(self) -> TrainState:
        return TrainState(
            progress=self.progress,
            network={n: t.detach().cpu() for n, t in self.network.state_dict().items()},
            best_network=self.best_network,
            best_outputs=self.best_outputs,
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.scheduler.state_dict() if self.schedule.scheduler else None,
        )

    def restore(self, state: TrainState) -> None:
        self.progress = state.progress
        self._enter(stage_at(self.config, state.progress.epoch))
        self.network.load_state_dict(state.network)
        self.best_network, self.best_outputs = state.best_network, state.best_outputs
        self.optimizer.load_state_dict(state.optimizer)
        optim.match_layout(self.optimizer)
        if self.schedule.scheduler is not None and state.schedule is not None:
            self.schedule.scheduler.load_state_dict(state.schedule)


def evaluation_batch(
    network: Network, shape: tuple[int, ...], pixels: int = EVALUATION_PIXELS, least: int = 16
) -> int:
    """Return the batch size for evaluation: fewer of larger images, for the same memory.

    `shape` (H, W, ..) is the images'; where the network sees them at a larger size, that one counts.
    """
    height, width = network.input_size((shape[0], shape[1]))
    return max(least, pixels // max(height * width, shape[0] * shape[1]))


def to_input(images: Array, device: torch.device) -> Tensor:
    """Return uint8 images (n, H, W, C) as the networks' input: float (n, C, H, W) in [0, 1], channels last."""
    batch = torch.from_numpy(images)
    if device.type == "cuda":
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255


@torch.inference_mode()
def predict_images(network: Network, images: LabelledImages, device: torch.device) -> Outputs:
    """Return a network's class probabilities, and its scores where it attends, in evaluation mode.

    They are computed in float32 also where training used bfloat16, so that an ensemble predicts what validation
    measured.
    """
    network.eval()
    parts = []
    size = evaluation_batch(network, images.shape)
    for start in range(0, len(images), size):
        batch, _ = images.take(np.arange(start, min(start + size, len(images))))
        logits, score = network.logits_and_scores(to_input(batch, device))
        table = network.probabilities(logits).cpu().numpy()
        parts.append(Outputs(table, None if score is None else score.cpu().numpy()))
    return joined(parts)
