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

from medray._types import Array, Progress, silent
from medray.config import LBFGS, TrainConfig
from medray.data.dataset import LabelledImages
from medray.errors import ConfigError, TrainingDiverged
from medray.stats.case_rule import ATTENTION
from medray.stats.outputs import Outputs
from medray.tasks import TASKS
from medray.training import optim
from medray.training.case_attention import kept_features, learn_attention
from medray.training.check_slices import check_slices
from medray.training.deadline import Deadline
from medray.training.feeds import FeatureFeed, make_feed
from medray.training.images import evaluation_batch
from medray.training.linear import fit_head
from medray.training.models import Network, build_network, channel_statistics
from medray.training.models.attention import attending_layer
from medray.training.parallel.group import ALONE, Group
from medray.training.predict import predict_part
from medray.training.probe import fit_probe
from medray.training.recorded import RecordedStep, record_step
from medray.training.seeds import draw_seed
from medray.training.stages import Freezer, Stage, recalibrated, stage_at, stages_of, untrained_names
from medray.training.state import TrainProgress, TrainState

EXPLODED = 50  # times the loss of uniform predictions
RECALIBRATION_SHARE, RECALIBRATION_LEAST, RECALIBRATION_MOST = 0.15, 256, 1024  # of the training images


@dataclass(frozen=True)
class EpochResult:
    """The outcome of one epoch.

    `metrics` are the validation metrics of this epoch, by case where there are cases, and `best` those of
    `best_epoch`, whose weights and outputs of validation images are `best_network` and
    `best_outputs`. `ended_by` is `epochs` or `patience` in the last result, else None. `seconds` is the
    epoch's wall time. `untrained` are names of the network's tensors that no epoch changes.
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
    untrained: frozenset[str]
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
    embedding: Progress = silent,
    group: Group = ALONE,
    deadline: Deadline | None = None,
) -> Iterator[EpochResult]:
    """Train one network; return an iterator that trains an epoch at each step and yields its result.

    Starts from the weights that `config` names, or resumes from a state. Ends after `config.epochs`, or after
    `config.patience` epochs without improvement; patience counts from the first epoch after
    `config.freeze_epochs`. The best epoch is the best of both stages. Where `config.image_size` is below the
    images' own, transforms and network see images of that size; a larger one the network makes of transformed
    images. What is frozen is computed once and kept in the cache; `embedding` hears of it while it is computed.
    Several processes train one network where each calls this with the same arguments but its own place in a
    `group`; each yields the same results, of all images.

    Raises:
        OutOfTime: an epoch, or what precedes the first one, goes on after the `deadline`.
        DataError: train or val is empty, lacks a class or has labels out of range, or the two do not fit; at once.
        ConfigError: the backbone is unknown, does not take such images, or has fewer blocks than are trained.
        WeightsError: pre-trained weights are not available.
        TrainingDiverged: the loss became NaN or exploded.
    """
    check_slices(train, val, config.monitor)
    return _epochs(config, train, val, torch.device(device), resume, embedding, group, deadline)


def _epochs(
    config: TrainConfig,
    train: LabelledImages,
    val: LabelledImages,
    device: torch.device,
    resume: TrainState | None,
    embedding: Progress,
    group: Group,
    deadline: Deadline | None,
) -> Iterator[EpochResult]:
    if resume is not None:  # the state holds all weights: nothing has to be fetched
        config = dataclasses.replace(config, pretrained=False, weights=None)
    training = begin_training(config, train, val, device, embedding, group, deadline)
    if resume is not None:
        training.restore(resume)
    while training.ended_by() is None:
        yield training.run_epoch()


def begin_training(
    config: TrainConfig, train: LabelledImages, val: LabelledImages, device: torch.device, embedding: Progress,
    group: Group = ALONE, deadline: Deadline | None = None,
) -> "_Training":  # fmt: skip
    """Return a training before its first epoch, on images of the size that `config` says."""
    train, val = train.sized(config.image_size), val.sized(config.image_size)
    return _Training(config, train, val, device, embedding, group, deadline or Deadline())


class _Training:
    """The mutable state of one training."""

    def __init__(
        self, config: TrainConfig, train: LabelledImages, val: LabelledImages, device: torch.device,
        embedding: Progress, group: Group, deadline: Deadline,
    ) -> None:  # fmt: skip
        self.config, self.train, self.val, self.device = config, train, val, device
        self.embedding, self.group, self.deadline = embedding, group, deadline
        torch.manual_seed(draw_seed(config.seed, 0))
        network = build_network(config, train.shape, len(train.class_names))
        shares = torch.from_numpy(train.class_counts() / len(train)).float()
        network.start(*channel_statistics(train.images, train.positions), shares)
        if train.cases is not None and train.cases.rule.answer == ATTENTION:
            network.attend()
        self.network: Network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parameters = network.parameter_count()
        self.bounds = optim.batch_bounds(len(train), config.batch_size)
        fit_probe(config, self.network, train, device, self._embedding)
        self.freezer = Freezer(self.network, stages_of(config), freeze_norms=config.freeze_norms)
        self._share_untrained()
        self._enter(stage_at(config, 1))
        self.loss_weight = optim.loss_weight(config, train, device)
        self.autocast = device.type == "cuda" and config.precision != "float32"
        self.progress = TrainProgress()
        self.best_network: dict[str, Tensor] = {}
        self.best_outputs = Outputs(np.empty((0, 0), dtype=np.float32))

    # -- stages

    def _enter(self, stage: Stage) -> None:
        """Freeze what a stage does not train, and make its optimizer and schedule."""
        self.recorded: RecordedStep | None = None  # first: with it the memory of the last stage's is let go
        self.network.zero_grad(set_to_none=True)
        self.freezer.enter(stage)
        self.optimizer = optim.make_optimizer(self.config, self.network, stage.rate)
        self.schedule = optim.Schedule.make(self.config, stage, self.optimizer, len(self.bounds))
        frozen, config = self.freezer.frozen[stage], self.config
        self.feed = make_feed(config, self.network, frozen, self.train, self.device, self._embedding)
        # Fitting a last layer at once is so quick that each process does it by itself.
        self.trained = self.group.parallel(self.feed.network) if config.optimizer != LBFGS else self.feed.network
        alone = self.device.type == "cuda" and self.group.size == 1
        self.may_record = alone and not config.mixup and config.optimizer != LBFGS

    def _embedding(self, message: str, done: int, total: int) -> None:
        self.embedding(message, done, total)
        self.deadline.check()

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
            untrained=frozenset(self.untrained),
            ended_by=self.ended_by(),
            _training=self,
        )

    def _predict_val(self, epoch: int) -> Outputs:
        """Return the network's outputs of the validation images, after attention has learned where it attends."""
        layer = attending_layer(self.network)
        with kept_features(layer) as features:
            feed, val, part = self.feed, self.val, self.group.part(len(self.val))

            def inputs(at: Array) -> Tensor:
                self.deadline.check()
                return feed.plain(val, at)

            own = predict_part(self.network, feed.network, val, inputs, part)
        scores = None if own.scores is None else self.group.whole(own.scores, len(val))
        outputs = Outputs(self.group.whole(own.probabilities, len(val)), scores)
        if not np.isfinite(outputs.probabilities).all():
            raise TrainingDiverged(f"predictions became NaN in epoch {epoch}")
        if layer is None:
            return outputs
        balanced = self.config.class_balance != "none" and self.train.own_labels.ndim == 1
        weights = optim.class_weights(self.train) if balanced else None
        seed = draw_seed(self.config.seed, 0)
        of_images = torch.from_numpy(self.group.whole(torch.cat(features).numpy(), len(val)))
        return learn_attention(layer, self.val, outputs, of_images, seed=seed, class_weights=weights)

    def _fit_last_layer(self, order: Array) -> float:
        """Fit the last layer at once to training images (n,), in all their views; return the loss."""
        feed = self.feed
        if not isinstance(feed, FeatureFeed):
            raise ConfigError(
                "lbfgs needs features, which this backbone does not give; give adamw", key="optimizer"
            )
        return fit_head(self.config, self.network, feed, self.train, order, self.loss_weight, self.device)

    def _record(self) -> None:
        """Record a step on a GPU, once in a stage, before an epoch's draws begin."""
        if not self.may_record:
            return
        self.may_record = False
        sample = np.arange(self.bounds[0][1])
        inputs = self.feed.training_batch(sample, self.progress.epoch + 1, 0, sample)
        labels = torch.from_numpy(self.train.own_labels[sample]).to(self.device)
        self._train_mode()
        self.recorded = record_step(
            lambda inputs, own: self._gradients(inputs, own, own, 1.0), self.trained, inputs, labels
        )

    def _train_epoch(self, epoch: int) -> float:
        self._record()
        seed = draw_seed(self.config.seed, epoch)
        # Dropout is drawn from it, by each process for its own images.
        torch.manual_seed(draw_seed(seed, self.group.rank) if self.group.rank else seed)
        rng = np.random.default_rng(seed)
        order = optim.epoch_order(self.config, self.train, rng)
        if self.config.optimizer == LBFGS:
            loss = self._fit_last_layer(order)
        else:
            total = torch.zeros((), device=self.device)
            self._train_mode()
            self.deadline.begin_batches()
            for start, end in self.bounds:
                self.deadline.check(start / len(order))
                total += self._train_batch(order[start:end], rng) * (end - start)
            loss = self.group.mean(total).item() / len(order)
        if not math.isfinite(loss):
            raise TrainingDiverged(f"the loss became {loss} in epoch {epoch}")
        if loss > EXPLODED * math.log(2 if self.network.label_sets else len(self.train.class_names)):
            raise TrainingDiverged(
                f"the loss exploded in epoch {epoch}: {loss:.3g}, over {EXPLODED} times that of a uniform guess"
            )
        return loss

    def _train_batch(self, indices: Array, rng: np.random.Generator) -> Tensor:
        seed, count, alpha = int(rng.integers(2**31)), len(indices), self.config.mixup
        rows = np.arange(count)[self.group.part(count)]
        share = float(rng.beta(alpha, alpha)) if alpha > 0 else 1.0
        if share < 1:  # behind the images come those that each is mixed with
            rows = np.concatenate([rows, rng.permutation(count)[rows]])
        inputs = self.feed.training_batch(indices, self.progress.epoch + 1, seed, rows)
        labels = torch.from_numpy(self.train.own_labels[indices]).to(self.device, non_blocking=True)
        own = labels[torch.from_numpy(rows).to(self.device, non_blocking=True)]
        if self.recorded is not None and self.recorded.fits(inputs, own):
            loss = self.recorded(inputs, own)
        else:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._gradients(inputs, own, labels, share)
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.schedule.after_batch()
        return loss

    def _gradients(self, inputs: Tensor, own: Tensor, labels: Tensor, share: float) -> Tensor:
        """Return the loss of the rows of a batch with all its `labels`, and give the parameters its gradients."""
        with (
            # What it keeps of one step is not there in another's recording.
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast, cache_enabled=False),
            self.group.shared_statistics(len(labels)),
        ):
            loss = optim.mixed_loss(
                self.trained, inputs, own, self.config, self.loss_weight, share, self.group, labels
            )
        loss.backward()
        return loss.detach()

    def _train_mode(self) -> None:
        self.feed.network.train()  # its containers are not the network's
        self.freezer.train_mode()

    @torch.no_grad()
    def _recalibrate(self) -> None:
        """Recompute the statistics of each BatchNorm that is not frozen, with the present weights.

        The running averages trail the weights by tens of batches: with 5 batches an epoch a wide network
        predicts at chance for several epochs after it has learned (Wu & Johnson 2021, "Rethinking Batch"). They
        are those of a sample, whose forwards take a twentieth of the epoch's time where images are many.
        """
        if not self.freezer.learning:
            return
        self._train_mode()
        for module in self.network.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.eval()
        # Shuffled, as a file may be sorted by class.
        size = min(max(int(RECALIBRATION_SHARE * len(self.train)), RECALIBRATION_LEAST), RECALIBRATION_MOST)
        sample = np.random.default_rng(0).permutation(len(self.train))[:size]
        with recalibrated(self.freezer.learning):
            for start, end in optim.batch_bounds(len(sample), evaluation_batch(self.network, self.train.shape)):
                self.deadline.check()
                own = sample[start:end][self.group.part(end - start)]
                with self.group.shared_statistics(end - start):
                    self.feed.network(self.feed.plain(self.train, own))

    # -- the best epoch, patience

    def _keep_best(self, scores: dict[str, float], outputs: Outputs) -> None:
        config, progress = self.config, self.progress
        value = scores[config.monitor]
        if not progress.best or self._rank(scores) > self._rank(progress.best):
            progress.best_epoch, progress.best = progress.epoch, scores
            self.best_network = self._trained(copy=True) | self.untrained
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
        if self.config.optimizer == LBFGS and progress.epoch:
            return "converged"
        if progress.epoch >= self.config.epochs:
            return "epochs"
        if progress.epoch <= self.config.freeze_epochs:  # patience does not count before fine-tuning
            return None
        return "patience" if patience is not None and progress.stale_epochs >= patience else None

    # -- state

    def _share_untrained(self) -> None:
        """Take what is frozen in all stages to the CPU, once: no epoch changes it."""
        names = untrained_names(self.network, self.config)
        self.untrained = {n: t.detach().cpu() for n, t in self.network.state_dict().items() if n in names}

    def _trained(self, *, copy: bool = False) -> dict[str, Tensor]:
        """Return the network's other tensors on the CPU, where they share the network's memory unless copied."""
        state = {name: tensor for name, tensor in self.network.state_dict().items() if name not in self.untrained}
        return {name: tensor.detach().to("cpu", copy=copy) for name, tensor in state.items()}

    def state(self) -> TrainState:
        return TrainState(
            progress=self.progress,
            network=self._trained() | self.untrained,
            best_network=self.best_network,
            best_outputs=self.best_outputs,
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.scheduler.state_dict() if self.schedule.scheduler else None,
        )

    def restore(self, state: TrainState) -> None:
        self.progress = state.progress
        self.network.load_state_dict(state.network)  # before the feed: what is cached goes by these weights
        self._enter(stage_at(self.config, state.progress.epoch))
        self._share_untrained()
        self.best_network, self.best_outputs = state.best_network, state.best_outputs
        self.optimizer.load_state_dict(state.optimizer)
        optim.match_layout(self.optimizer)
        if self.schedule.scheduler is not None and state.schedule is not None:
            self.schedule.scheduler.load_state_dict(state.schedule)
