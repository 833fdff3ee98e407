"""How long an ensemble takes to answer, by every way of running its networks that was thought of.

    predict    Ensemble.predict, one network after another
    once       the same networks, their input made once and their answers averaged in torch
    last       with the weights in channels-last order
    jit        torch.jit.trace, freeze and optimize_for_inference (deprecated in torch 2.15)
    export     torch.export
    compile    torch.compile with frozen weights; only with --compile, as it takes minutes
    vmap       networks of one architecture under torch.func.vmap
    fast       FastEnsemble: ONNX Runtime

Prints milliseconds, then how many times as fast as `predict` each is. All sides take turns, and the median of
their turns counts; with --cpu it is that of the processor's time, which another program's load changes less.
With --heads it is instead an ensemble of so many linear heads on one frozen trunk, of the first of --members,
beside the same networks each by itself (`predict`, `fast apart`).

    uv run python benchmarks/inference.py [--members resnet20_small ...] [--size 28] [--threads 1] [--cpu]
    uv run python benchmarks/inference.py --heads 4 --members efficientnet_lite0 --size 224 --channels 3
"""

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medray._types import Array
from medray.config import TrainConfig
from medray.ensemble import Ensemble
from medray.ensemble.manifest import FORMAT, Manifest, ManifestData, MemberFacts, SelectedOn
from medray.serving.engine.onnx_ensemble import FastEnsemble
from medray.training.images import to_input
from medray.training.models import Network, build_network
from medray.training.stages import untrained_names

FOUR = ("resnet8_small", "resnet20_small", "lenet5_wide_bn", "lenet5_wide")
CLASSES = 11
Module = Callable[[Tensor], Tensor]


def made(backbones: Sequence[str], shape: tuple[int, int, int]) -> Ensemble:
    """An ensemble of networks that have seen noise only, but whose BatchNorm has something to fold."""
    torch.manual_seed(0)
    networks = []
    for backbone in backbones:
        network = build_network(TrainConfig(backbone=backbone), shape, CLASSES).train()
        with torch.no_grad():
            network(torch.rand(8, shape[2], *shape[:2]))
        networks.append(network.eval())
    return ensemble_of(networks, shape, {})


def ensemble_of(networks: Sequence[Network], shape: tuple[int, int, int], config: dict[str, Any]) -> Ensemble:
    """An ensemble of networks that were trained with `config`."""
    manifest = Manifest(
        FORMAT, "", "single", tuple(map(str, range(CLASSES))), shape, "stretch", "", "", (1.5,), None, "top-k",
        SelectedOn("val", 0, "auc", {}, {}), (), (), None, ManifestData("", "", {}), "",
        tuple(MemberFacts("", "", i, None, None, 1.0, 1, {}, config) for i in range(len(networks))),
    )  # fmt: skip
    return Ensemble(manifest, tuple(networks))


def heads_on_one_trunk(backbone: str, heads: int, shape: tuple[int, int, int]) -> tuple[Ensemble, Ensemble]:
    """An ensemble that knows of its frozen trunk, and one of the same networks that does not."""
    config = TrainConfig(backbone=backbone, trainable_blocks=0)
    (first,) = made([backbone], shape).networks
    frozen = untrained_names(first, config)
    networks = [first]
    for _ in range(heads - 1):
        own = build_network(config, shape, CLASSES).state_dict()
        networks.append(copy.deepcopy(first))
        networks[-1].load_state_dict({**own, **{n: t for n, t in first.state_dict().items() if n in frozen}})
    return ensemble_of(networks, shape, config.to_dict()), ensemble_of(networks, shape, {})


def answering(modules: Sequence[Module], members: int) -> Callable[[Array], Array]:
    """One module after another; their mean in torch."""

    @torch.inference_mode()
    def answer(images: Array) -> Array:
        x = to_input(images, torch.device("cpu"))
        logits = torch.cat([module(x) for module in modules], dim=1)
        mean: Array = logits.unflatten(1, (members, -1)).softmax(dim=2).mean(dim=1).numpy()
        return mean

    return answer


def jitted(module: nn.Module, x: Tensor) -> Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen = torch.jit.freeze(torch.jit.trace(module, x).eval())
        optimized: Module = torch.jit.optimize_for_inference(frozen)
    return optimized


def mapped(networks: Sequence[Network]) -> Module:
    parameters, buffers = torch.func.stack_module_state(list(networks))
    bare = copy.deepcopy(networks[0]).to("meta")

    def one(own: dict[str, Tensor], own_buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(bare, (own, own_buffers), (x,))
        return found

    every = torch.func.vmap(one, in_dims=(0, 0, None), out_dims=1)
    return lambda x: every(parameters, buffers, x).flatten(1)


def compiled(module: nn.Module, x: Tensor) -> Module:
    import torch._inductor.config

    torch._inductor.config.freezing = True
    ready = torch.compile(module, dynamic=False)
    start = time.perf_counter()
    with torch.inference_mode():
        ready(x)
    print(f"  torch.compile took {time.perf_counter() - start:.1f} s for {len(x)} images")
    return ready


def sides(
    ensemble: Ensemble, images: Array, threads: int, with_compile: bool
) -> dict[str, Callable[[Array], object]]:
    """All ways, ready to answer."""
    x, networks = to_input(images, torch.device("cpu")), ensemble.networks
    alike: dict[str, list[Network]] = {}
    for network in networks:
        alike.setdefault(str(network), []).append(network)

    modules: dict[str, Sequence[Module]] = {
        "once": networks,
        "last": [copy.deepcopy(n).to(memory_format=torch.channels_last) for n in networks],
        "jit": [jitted(network, x) for network in networks],
        "export": [torch.export.export(network, (x,)).module() for network in networks],
        "vmap": [mapped(group) for group in alike.values()],
    }
    if with_compile:
        modules["compile"] = [compiled(copy.deepcopy(network), x) for network in networks]
    start = time.perf_counter()
    fast = FastEnsemble.prepare(ensemble, threads=threads)
    print(f"  FastEnsemble took {time.perf_counter() - start:.1f} s to prepare")
    own: dict[str, Callable[[Array], object]] = {"predict": ensemble.predict}
    return own | {n: answering(m, len(networks)) for n, m in modules.items()} | {"fast": fast.predict}


def milliseconds(
    ways: dict[str, Callable[[Array], object]], images: Array, turns: int, cpu: bool
) -> dict[str, float]:
    """The median time of each, in turns of about 50 ms."""
    clock = time.process_time if cpu else time.perf_counter
    calls, times = {}, {name: list[float]() for name in ways}
    for name, way in ways.items():
        way(images)
        start = time.perf_counter()
        way(images)
        calls[name] = max(1, round(0.05 / (time.perf_counter() - start)))
    for _ in range(turns):
        for name, way in ways.items():
            start = clock()
            for _ in range(calls[name]):
                way(images)
            times[name].append((clock() - start) / calls[name])
    return {name: 1000 * statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Print a table for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", nargs="+", default=list(FOUR), metavar="BACKBONE")
    parser.add_argument("--heads", type=int, metavar="N")
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--images", type=int, nargs="+", default=[1, 8, 16, 32, 64])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    shape = (given.size, given.size, given.channels)
    shared: dict[str, Callable[[Array], object]] = {}
    if given.heads:
        ensemble, apart = heads_on_one_trunk(given.members[0], given.heads, shape)
        fast, fast_apart = (FastEnsemble.prepare(e, threads=given.threads) for e in (ensemble, apart))
        shared = {"predict": apart.predict, "shared": ensemble.predict}
        shared |= {"fast apart": fast_apart.predict, "fast shared": fast.predict}
    else:
        ensemble = made(given.members, shape)
    for count in given.images:
        images = np.random.default_rng(1).integers(0, 256, size=(count, *shape), dtype=np.uint8)
        size = f"{given.size}×{given.size}"
        print(f"{len(ensemble.networks)} networks, {count} images of {size}, threads: {given.threads}")
        compared = shared or sides(ensemble, images, given.threads, given.compile)
        found = milliseconds(compared, images, given.turns, given.cpu)
        print("  " + "  ".join(f"{name} {taken:.1f}" for name, taken in found.items()) + "  ms")
        print("  " + "  ".join(f"{name} {found['predict'] / taken:.2f}" for name, taken in found.items()))


if __name__ == "__main__":
    main()
