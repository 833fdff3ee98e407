"""BatchNorm over a batch that lies in several processes, with the statistics of all of it.

PyTorch's SyncBatchNorm does this on GPUs only, and takes the place of modules, among them timm's that do more than
to normalise. Here the function under all of them is replaced, so networks and their tensors stay as they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class SharedStatistics(TorchFunctionMode):
    """Inside its block BatchNorms in training mode normalise by the statistics of all processes' images."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Call a function of PyTorch, or the shared one in its place."""
        return (_batch_norm if function is F.batch_norm else function)(*args, **(kwargs or {}))


def _batch_norm(
    inputs: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Do what `F.batch_norm` does with inputs (n, channels, ...), n being this process's part of the batch."""
    if not training:
        return F.batch_norm(inputs, running_mean, running_var, weight, bias, False, momentum, eps)
    outputs, mean, variance, count = _Normalise.apply(inputs, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * (count / (count - 1))).to(running_var.dtype), momentum)
    return outputs  # type: ignore[no-any-return]


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, axes = inputs.float(), [0, *range(2, inputs.ndim)]
        sums = torch.cat([x.sum(axes), x.new_full((1,), x.numel() // x.shape[1])])
        dist.all_reduce(sums)
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centred = x - _broadcast(mean, x)
        variance = centred.square().sum(axes)
        dist.all_reduce(variance)
        variance /= count
        scale = torch.rsqrt(variance + eps)
        ctx.save_for_backward(inputs, weight, mean, scale, count)
        outputs = centred * _broadcast(scale if weight is None else scale * weight, x)
        if bias is not None:
            outputs += _broadcast(bias, x)
        ctx.mark_non_differentiable(mean, variance, count)
        return outputs.to(inputs.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        inputs, weight, mean, scale, count = ctx.saved_tensors
        gradient, axes = gradients[0].float(), [0, *range(2, inputs.ndim)]
        normal = (inputs.float() - _broadcast(mean, inputs)) * _broadcast(scale, inputs)
        by_bias, by_weight = gradient.sum(axes), (gradient * normal).sum(axes)
        means = torch.stack([by_bias, by_weight])
        dist.all_reduce(means)
        means /= count
        back = gradient - _broadcast(means[0], inputs) - normal * _broadcast(means[1], inputs)
        back *= _broadcast(scale if weight is None else scale * weight, inputs)
        # Those of the parameters stay this process's own: they are averaged with all others.
        own = (None, None) if weight is None else (by_weight.to(weight.dtype), by_bias.to(weight.dtype))
        return back.to(inputs.dtype), *own, None


def _broadcast(by_channel: Tensor, inputs: Tensor) -> Tensor:
    return by_channel.view(1, -1, *[1] * (inputs.ndim - 2))
