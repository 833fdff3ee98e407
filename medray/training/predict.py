"""A network's outputs of images, in evaluation mode."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from medray._types import Array
from medray.data.dataset import LabelledImages
from medray.stats.outputs import Outputs, joined
from medray.training.frozen.trunk import Rest
from medray.training.images import evaluation_batch, to_input
from medray.training.models import Network


@torch.inference_mode()
def predict_images(network: Network, images: LabelledImages, device: torch.device) -> Outputs:
    """Return a network's class probabilities, and its scores where it attends, in evaluation mode.

    They are computed in float32 also where training used bfloat16, so that an ensemble predicts what validation
    measured.
    """
    every = slice(0, len(images))
    return predict_part(network, network, images, lambda indices: to_input(images.take(indices)[0], device), every)


@torch.inference_mode()
def predict_part(
    whole: Network, network: Network | Rest, images: LabelledImages, inputs: Callable[[Array], Tensor], part: slice
) -> Outputs:
    """Return outputs of a `part` of images by the `whole` network or its rest, which gets `inputs` of indices."""
    network.eval()
    parts = []
    size = evaluation_batch(whole, images.shape)
    for start in range(part.start, part.stop, size):
        logits, score = network.logits_and_scores(inputs(np.arange(start, min(start + size, part.stop))))
        table = network.probabilities(logits).cpu().numpy()
        parts.append(Outputs(table, None if score is None else score.cpu().numpy()))
    return joined(parts)
