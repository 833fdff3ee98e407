"""RecordedStep: loss and gradients of a batch on a GPU, recorded once and replayed.

A small network's step is hundreds of kernels of a few microseconds, and the processor takes longer to launch them
than the GPU to run them. A CUDA graph launches all of them at once
(https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

WARM_UPS = 3  # PyTorch's own advice before a recording: libraries choose and allocate in the first steps
WORTH = 2.0  # times as long as launching a step takes: where the GPU is busy for longer it gains little

Gradients = Callable[
    [Tensor, Tensor], Tensor
]  # of inputs (n, ...) and labels (n, ...): the loss, and the gradients


class RecordedStep:
    """Loss and gradients of batches of one shape, by the kernels that one such batch was computed with."""

    def __init__(self, gradients: Gradients, network: nn.Module, inputs: Tensor, labels: Tensor) -> None:
        self._inputs, self._labels = inputs.clone(), labels.clone()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._loss = gradients(self._inputs, self._labels)
        # A batch of another shape, computed between two replays, gives the parameters gradients of its own.
        self._gradients = [(p, p.grad) for p in network.parameters() if p.grad is not None]

    def fits(self, inputs: Tensor, labels: Tensor) -> bool:
        """Return whether a batch has the recorded shape."""
        return inputs.shape == self._inputs.shape and labels.shape == self._labels.shape

    def __call__(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch; its gradients are the parameters'."""
        self._inputs.copy_(inputs)
        self._labels.copy_(labels)
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        self._graph.replay()
        return self._loss.clone()


def record_step(gradients: Gradients, network: nn.Module, inputs: Tensor, labels: Tensor) -> RecordedStep | None:
    """Record a step by a batch of the shape that is wanted; None where it would gain little or can't be recorded.

    It can't where the network's forward waits for the GPU. The network's buffers stay as they are; random numbers
    are drawn.
    """
    kept = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        with _aside(inputs.device):
            for _ in range(WARM_UPS):
                gradients(inputs, labels)
            # A recording that fails leaves the random numbers unusable; so what would make it fail is looked for.
            with _waiting_forbidden():
                gradients(inputs, labels)
            if not _is_bound_by_launches(lambda: gradients(inputs, labels)):
                return None
            network.zero_grad(set_to_none=True)  # so that the recording allocates them
        return RecordedStep(gradients, network, inputs, labels)
    except RuntimeError:  # torch.cuda.OutOfMemoryError is one
        return None
    finally:
        network.zero_grad(set_to_none=True)
        for buffer, before in kept:
            buffer.copy_(before)


@contextlib.contextmanager
def _aside(device: torch.device) -> Iterator[None]:
    """Work on a stream of its own, as a recording does."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)


@contextlib.contextmanager
def _waiting_forbidden() -> Iterator[None]:
    """Let the processor raise RuntimeError where it would wait for the GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is a prototype that does not find everything
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def _is_bound_by_launches(step: Callable[[], object]) -> bool:
    """Return whether the GPU is done with a step soon after it was launched."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    launched = time.perf_counter() - started
    torch.cuda.synchronize()
    return time.perf_counter() - started < WORTH * launched
