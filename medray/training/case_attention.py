"""Learn how much the images of a case weigh: a small network's scores of their features (`models.attention`).

It is learned after each epoch, with the image network as it then is, on the images that measure the epoch. In the
features of its training images a network has long told the classes apart by heart, also where an image shows
nothing, and which of them shows a sign can't be learned there.

The scores that measure the epoch are cross-fitted: those of a case are of an attention that was learned on other
patients' cases, so they are no better for it than those of new ones. The attention that is kept is learned on all.
The loss is the cross entropy of the cases' answers, sum of a p over the images of each, where a is the softmax of
their scores and p the image network's probabilities.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from medray._types import Array
from medray.data.dataset import LabelledImages
from medray.stats.outputs import Outputs
from medray.training.models.attention import HIDDEN, AttendingLinear

PARTS = 5  # of cross-fitting
FEWEST = 10  # patients, or cases of unknown ones: with fewer, all images of a case weigh the same
STEPS, RATE, DECAY = 200, 0.02, 0.01
PRIOR = 3.0  # the precision of w, in cases: with few of them attention is near the mean
COMPONENTS, SAMPLE = 64, 1024  # of features that are more, by so many images
LEAST = 1e-6  # a probability in the logarithm

Learned = tuple[Tensor, Tensor, Tensor]  # V, b and w


def learn_attention(
    layer: AttendingLinear, images: LabelledImages, outputs: Outputs, features: Tensor, *, seed: int,
    class_weights: Array | None = None,
) -> Outputs:  # fmt: skip
    """Learn the attention of a network's last `layer` and return the outputs with the cross-fitted scores.

    `features` (n, f) are what `layer` made `outputs` of. `class_weights` (classes,) weigh the cases in the loss,
    where the image network was trained with classes balanced.
    """
    cases = images.own_cases
    assert cases is not None
    clusters = cases.numbers if images.clusters is None else images.clusters[images.positions]
    clusters = np.unique(clusters, return_inverse=True)[1]
    if clusters.max() + 1 < FEWEST:
        return Outputs(outputs.probabilities, np.zeros(len(images), dtype=np.float32))
    features = features.float().cpu()
    mean, basis = _components(features)
    inputs, probabilities = (features - mean) @ basis, torch.from_numpy(outputs.probabilities).float()
    weights = None if class_weights is None else torch.from_numpy(class_weights).float()

    parts = _parts(clusters, images.case_labels, seed)
    part_of_case = torch.from_numpy(parts[cases.first])
    learned_on = torch.stack([*(part_of_case != part for part in range(PARTS)), part_of_case >= 0])
    index, labels = torch.from_numpy(cases.index), torch.from_numpy(images.answered_labels)
    hidden, bias, weight = _learn(inputs, probabilities, index, labels, learned_on, weights, seed)
    with torch.no_grad():
        crossed = _scores(inputs, hidden, bias, weight)[torch.from_numpy(parts), torch.arange(len(images))]
        kept = hidden[-1] @ basis.T
        layer.attention.take(kept, bias[-1] - kept @ mean, weight[-1])
    return Outputs(outputs.probabilities, crossed.numpy())


@contextlib.contextmanager
def kept_features(layer: nn.Module | None) -> Iterator[list[Tensor]]:
    """Yield a list that gets the features (n, f) of each batch that `layer`, if any, sees inside the block."""
    batches: list[Tensor] = []
    if layer is None:
        yield batches
        return
    handle = layer.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0].detach().cpu()))
    try:
        yield batches
    finally:
        handle.remove()


def _parts(clusters: Array, labels: Array, seed: int) -> Array:
    """Deal the clusters (n,) of images to parts, those with the same labels (n, ..) evenly; int64 (n,)."""
    ranks = np.zeros(clusters.max() + 1, dtype=np.int64)
    np.maximum.at(ranks, clusters, labels if labels.ndim == 1 else (labels == 1).sum(axis=1))
    order = np.lexsort((np.random.default_rng(seed).permutation(len(ranks)), ranks))
    parts = np.empty_like(ranks)
    parts[order] = np.arange(len(ranks)) % PARTS
    dealt: Array = parts[clusters]
    return dealt


def _components(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (f,) of features (n, f) and what makes the rest inputs of unit variance, (f, f or 64).

    More features than 64 are taken to their principal components, which no label has a part in.
    """
    mean, deviation = features.mean(dim=0), features.std(dim=0)
    deviation = deviation.clamp_min(max(1e-3 * deviation.max().item(), 1e-12))
    if len(mean) <= COMPONENTS:
        return mean, torch.diag(1 / deviation)
    rows = features[:: -(-len(features) // SAMPLE)]
    sample = ((rows - mean) / deviation).double()
    sizes, vectors = torch.linalg.eigh(sample @ sample.T)  # of images: they are fewer than some networks' features
    real = sizes > 1e-9 * sizes.max()
    directions = sample.T @ vectors[:, real][:, -COMPONENTS:]
    directions = directions / directions.norm(dim=0, keepdim=True)
    return mean, directions.float() / deviation[:, None]


def _scores(inputs: Tensor, hidden: Tensor, bias: Tensor, weight: Tensor) -> Tensor:
    """Return the scores (a, n) of inputs (n, i) by attentions V (a, 32, i), b (a, 32), w (a, 1, 32)."""
    return (torch.tanh(inputs @ hidden.mT + bias[:, None]) @ weight.mT)[:, :, 0]


def _learn(
    inputs: Tensor, probabilities: Tensor, index: Tensor, labels: Tensor, learned_on: Tensor,
    weights: Tensor | None, seed: int,
) -> Learned:  # fmt: skip
    """Return V (a, 32, inputs), b (a, 32) and w (a, 1, 32) of several attentions, learned side by side.

    `index` (n,) is the case of each image, `labels` (m, ..) those of the cases, and `learned_on` bool (a, m) the
    cases that each is learned on.
    """
    several, cases = learned_on.shape
    draws = torch.randn(HIDDEN, inputs.shape[1], generator=torch.Generator().manual_seed(seed))
    hidden = (draws / inputs.shape[1] ** 0.5).repeat(several, 1, 1)
    bias = torch.zeros(several, HIDDEN)
    weight = torch.zeros(several, 1, HIDDEN)  # at the start all images weigh the same
    learned = [tensor.requires_grad_() for tensor in (hidden, bias, weight)]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=DECAY, fused=True)
    shares, importance = learned_on / learned_on.sum(dim=1, keepdim=True), _importance(labels, weights)
    prior = PRIOR / (2 * learned_on.sum(dim=1))
    for _ in range(STEPS):
        odds = torch.exp(_scores(inputs, hidden, bias, weight))  # |score| is at most the sum of |w|
        sums = torch.zeros(several, cases).index_add(1, index, odds)
        parts = (odds / sums[:, index])[:, :, None] * probabilities
        answers = torch.zeros(several, cases, probabilities.shape[1]).index_add(1, index, parts)
        losses = _case_losses(answers, labels) * importance
        loss = (losses * shares).sum() + (prior * weight.square().sum(dim=(1, 2))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return hidden.detach(), bias.detach(), weight.detach()


def _case_losses(answers: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of answers (a, m, classes) to cases, (a, m).

    Of label sets it is the mean over the labels that are known.
    """
    if labels.ndim == 1:
        return -answers.clamp_min(LEAST).log()[:, torch.arange(len(labels)), labels]
    known, bounded = labels >= 0, answers.clamp(LEAST, 1 - LEAST)
    losses = -torch.where(labels == 1, bounded, 1 - bounded).log() * known
    return losses.sum(dim=2) / known.sum(dim=1).clamp_min(1)


def _importance(labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return how much each case weighs in the loss, (m,) of mean 1: the weight of its class."""
    if weights is None:
        return torch.ones(len(labels))
    of_cases = weights[labels]
    return of_cases / of_cases.mean().clamp_min(1e-12)
