"""Group networks that have one frozen trunk, so that it runs once for all of them."""

import hashlib
from collections.abc import Collection, Iterable, Sequence

import torch
from torch import Tensor, nn

from medray._types import Array
from medray.config import TrainConfig
from medray.stats.outputs import Outputs, joined
from medray.training.frozen.trunk import Rest, Trunk, split_network
from medray.training.images import evaluation_batch, to_input
from medray.training.models import Network
from medray.training.stages import untrained_names


class NetworkGroup(nn.Module):
    """Networks with one trunk, which runs once for all of them, or one network as it is.

    `members` are their indices in the sequence that was grouped. They keep their own layers and weights.
    """

    def __init__(self, members: Sequence[int], trunk: Trunk | None, rests: Sequence[Network | Rest]) -> None:
        super().__init__()
        self.members = tuple(members)
        self.trunk = trunk
        self.rests = nn.ModuleList(rests)

    @property
    def network(self) -> Network:
        """A network that takes images as all of the group do."""
        network = self.rests[0] if self.trunk is None else self.trunk.network
        assert isinstance(network, Network)
        return network

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """Return each network's probabilities (n, classes) of images (n, C, H, W) in [0, 1].

        Behind them stand the scores (n,) of a network that attends.
        """
        inputs = images if self.trunk is None else self.trunk(images)
        answers = []
        for rest in self.rests:
            assert isinstance(rest, Network | Rest)
            logits, scores = rest.logits_and_scores(inputs)
            answers.append((rest.probabilities(logits), scores))
        return answers


def group_networks(
    networks: Sequence[Network], configs: Sequence[TrainConfig], images: Tensor
) -> tuple[NetworkGroup, ...]:
    """Return all networks, in groups of those that have one trunk; each of the others is a group of its own.

    `configs` are the settings that they were trained with; `images` (n, C, H, W) in [0, 1] try the trunks. One
    trunk is equal tensors, never trained, in the same backbone behind the same preprocessing.
    """
    frozen = [untrained_names(network, config) for network, config in zip(networks, configs, strict=True)]
    alike: dict[str, list[int]] = {}
    for member, network in enumerate(networks):
        key = _trunk_key(network, configs[member].backbone, frozen[member]) if frozen[member] else f"{member}"
        alike.setdefault(key, []).append(member)
    groups = []
    for members in alike.values():
        shared: list[tuple[int, Rest]] = []
        trunk: Trunk | None = None
        for member in members if len(members) > 1 else ():
            split = split_network(networks[member], frozen[member], images, configs[member].dropout)
            if split is None:
                continue
            trunk = trunk or split[0]
            if split[0].name == trunk.name and _answers_as(networks[member], trunk, split[1], images):
                shared.append((member, split[1]))
        if len(shared) > 1:
            groups.append(NetworkGroup([member for member, _ in shared], trunk, [rest for _, rest in shared]))
        alone = set(members) - ({member for member, _ in shared} if len(shared) > 1 else set())
        groups += [NetworkGroup([member], None, [networks[member]]) for member in alone]
    return tuple(sorted(groups, key=lambda group: group.members))


def _trunk_key(network: Network, backbone: str, frozen: Collection[str]) -> str:
    """Return what networks have in common whose trunks may be one."""
    before = [module for name, module in network.named_children() if name not in ("backbone", "link")]
    content = hashlib.sha256(f"{backbone} {before}".encode())
    for name, tensor in sorted(network.state_dict().items()):
        if name in frozen or not name.startswith(("backbone.", "link.")):
            content.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()


@torch.no_grad()
def _answers_as(network: Network, trunk: Trunk, rest: Rest, images: Tensor) -> bool:
    """Return whether a network's rest gives the network's own logits behind another one's trunk."""
    return torch.allclose(rest.eval()(trunk(images)), network.eval()(images), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def group_outputs(group: NetworkGroup, images: Array, device: torch.device) -> list[Outputs]:
    """Return the outputs of each network of a group, in evaluation mode, for uint8 images (n, H, W, C)."""
    group.eval()
    parts: list[list[Outputs]] = [[] for _ in group.members]
    size = evaluation_batch(group.network, images.shape[1:])
    for start in range(0, max(1, len(images)), size):
        answers = group(to_input(images[start : start + size].copy(), device))
        for part, (table, scores) in zip(parts, answers, strict=True):
            part.append(Outputs(table.float().cpu().numpy(), None if scores is None else scores.cpu().numpy()))
    return [joined(part) for part in parts]


def in_order(groups: Sequence[NetworkGroup], outputs: Iterable[Sequence[Outputs]]) -> list[Outputs]:
    """Return the outputs of all networks by their index, from those of each group."""
    groups_and_outputs = zip(groups, outputs, strict=True)
    pairs = [pair for group, part in groups_and_outputs for pair in zip(group.members, part, strict=True)]
    return [output for _, output in sorted(pairs, key=lambda pair: pair[0])]
