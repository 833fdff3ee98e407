import pickle
from pathlib import Path

import pytest
import torch

from medray.config import TrainConfig
from medray.errors import WeightsError
from medray.training.weights import load_network, state_from_bytes, weights_from_bytes, write_weights


class Bomb:
    """A pickle that would run code where it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise SystemExit('a pickle was run')",)


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, pickle.dumps(Bomb()), b"{}" * 100])
def test_what_is_no_safetensors_file_is_refused_and_never_run(content: bytes) -> None:
    for read in (weights_from_bytes, state_from_bytes):
        with pytest.raises(WeightsError, match=r"bad\.safetensors holds no weights of medray"):
            read(content, "bad.safetensors")


def test_weights_come_back_with_their_facts(tmp_path: Path) -> None:
    tensors = {"a": torch.rand(3, 4).T, "b": torch.arange(3)}
    write_weights(tmp_path / "w", tensors, {"epoch": 3})
    back, facts = weights_from_bytes((tmp_path / "w").read_bytes(), "file")
    assert facts == {"epoch": 3}
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    write_weights(tmp_path / "w", {"a": torch.rand(300)}, {})
    content = (tmp_path / "w").read_bytes()
    with pytest.raises(WeightsError):
        weights_from_bytes(content[:-10], "file")


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="file is of another network than lenet5"):
        load_network(TrainConfig(), (28, 28, 1), 3, {"a": torch.rand(3)}, "file")
