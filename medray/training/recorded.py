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

from medray.errors import one_line

WARM_UPS = 3  # PyTorch's own advice before a recording: libraries choose and allocate in the first steps
SAMPLES = 3  # of the times, of which the shortest count: other processes on the GPU lengthen them
WORTH = 2.0  # times as long as launching a step takes: where the GPU is busy for longer it gains little
LARGEST_SHARE = 0.25  # of the GPU's free memory, of a step: a recording keeps it to itself

Gradients = Callable[
    [Tensor, Tensor], Tensor
]  # of inputs (n, ...) and labels (n, ...): the loss, and the gradients


class RecordedStep:
    """Loss and gradients of batches of one shape, by the kernels that one such batch was computed with."""

    def __init__(self, gradients: Gradients, network: nn.Module, inputs: Tensor, labels: Tensor) -> None:
        self._inputs, self._labels = inputs.clone(), labels.clone()
        self._graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(inputs.device)
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
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
    recorded = None
    with torch.cuda.device(inputs.device):  # a recording is of the device that is current
        try:
            if _is_worth_recording(lambda: gradients(inputs, labels)):
                network.zero_grad(set_to_none=True)  # so that the recording allocates them
                recorded = _recorded(gradients, network, inputs, labels)
        finally:
            network.zero_grad(set_to_none=True)
            for buffer, before in kept:
                buffer.copy_(before)
            if recorded is None:  # what the trial steps allocated is of no use to another stream
                torch.cuda.synchronize()
                torch.cuda.empty_cache()
    return recorded


def _recorded(gradients: Gradients, network: nn.Module, inputs: Tensor, labels: Tensor) -> RecordedStep | None:
    """Record a step; None, with a warning, where that fails."""
    generator = torch.cuda.default_generators[inputs.device.index]
    state = generator.clone_state()
    try:
        with torch.cuda.stream(torch.cuda.current_stream()):  # which is current again behind it
            return RecordedStep(gradients, network, inputs, labels)
    except RuntimeError as error:  # PyTorch before 2.15 leaves all as if it were still recording
        generator.graphsafe_set_state(state)
        warnings.warn(f"a step could not be recorded and is launched: {one_line(error)}", stacklevel=2)
        return None


def _is_worth_recording(step: Callable[[], object]) -> bool:
    """Return whether a step can be recorded, fits, and is done by the GPU soon after it was launched."""
    with _aside():
        for _ in range(WARM_UPS):
            step()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        try:
            # Not by trying to record, which can leave the process unable to draw random numbers.
            with _waiting_forbidden():
                step()
        except RuntimeError:
            return False
        if torch.cuda.max_memory_allocated() - before > LARGEST_SHARE * torch.cuda.mem_get_info()[0]:
            return False
        launched, done = zip(*(_times(step) for _ in range(SAMPLES)), strict=True)
        return bool(min(done) < WORTH * min(launched))


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """Work on a stream of its own, as a recording does."""
    stream, usual = torch.cuda.Stream(), torch.cuda.current_stream()
    stream.wait_stream(usual)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        usual.wait_stream(stream)


@contextlib.contextmanager
def _waiting_forbidden() -> Iterator[None]:
    """Let the processor raise RuntimeError where it would wait for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is a prototype that does not find everything
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)


def _times(step: Callable[[], object]) -> tuple[float, float]:
    """Return after how many seconds a step was launched, and done."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    launched = time.perf_counter() - started
    torch.cuda.synchronize()
    return launched, time.perf_counter() - started
