"""Where starting weights come from, and that nothing ever starts from scratch instead."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.errors import WeightsError
from medray.training.loop import fit
from medray.training.models import build_network

GREY, COLOUR = (32, 32, 1), (32, 32, 3)
SMALL = "mobilenetv3_small_050"


def body(config: TrainConfig, shape: tuple[int, int, int] = (12, 12, 1), classes: int = 3) -> dict[str, Tensor]:
    return build_network(config, shape, classes).get_submodule("backbone").state_dict()


def lenet(classes: int = 7) -> dict[str, Tensor]:
    return body(TrainConfig(backbone="lenet5"), classes=classes)


def refusal(config: TrainConfig, shape: tuple[int, int, int] = (12, 12, 1)) -> str:
    with pytest.raises(WeightsError) as caught:
        build_network(config, shape, 3)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of local weights, which MEDRAY_WEIGHTS names."""
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(tmp_path))
    return tmp_path


def test_a_folder_of_weights_is_looked_into_first_and_is_read_as_timm_would(folder: Path) -> None:
    import timm

    path = folder / f"{SMALL}.safetensors"
    save_file(timm.create_model(SMALL, num_classes=7).state_dict(), path)
    for shape in (GREY, COLOUR):
        found = body(TrainConfig(backbone=SMALL, pretrained=True), shape)
        overlay = {"file": str(path), "num_classes": 7, "hf_hub_id": None}
        timms = timm.create_model(
            SMALL, pretrained=True, pretrained_cfg_overlay=overlay, in_chans=shape[2], num_classes=3
        ).state_dict()
        assert found.keys() == timms.keys()
        assert all(torch.equal(found[n], timms[n]) for n in found if not n.startswith("classifier."))
        assert found["classifier.weight"].shape == (3, 1024)


def test_weights_may_be_a_folder_of_one_file_for_each_backbone(tmp_path: Path) -> None:
    donor = lenet()
    save_file(donor, tmp_path / "lenet5.safetensors")
    found = body(TrainConfig(backbone="lenet5", weights=str(tmp_path)))
    assert torch.equal(found["0.weight"], donor["0.weight"])
    missing = tmp_path / "lenet5_wide.safetensors"
    assert (
        refusal(TrainConfig(backbone="lenet5_wide", weights=str(tmp_path))) == f"weights: no such file: {missing}"
    )


def test_our_own_networks_may_lie_in_the_folder_too(folder: Path) -> None:
    donor = lenet()
    message = refusal(TrainConfig(backbone="lenet5", pretrained=True))
    assert f"{folder / 'lenet5.safetensors'} does not exist" in message
    assert "no published weights of lenet5; nothing was trained from scratch instead" in message
    save_file(donor, folder / "lenet5.safetensors")
    assert torch.equal(body(TrainConfig(backbone="lenet5", pretrained=True))["3.bias"], donor["3.bias"])


def test_alexnet_is_not_read_from_the_pickle_that_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDRAY_WEIGHTS", raising=False)
    message = refusal(TrainConfig(backbone="torchvision:alexnet", pretrained=True), (64, 64, 3))
    assert "MEDRAY_WEIGHTS names no folder, and torchvision publishes them as a pickle" in message


def test_a_folder_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(tmp_path / "none"))
    assert "MEDRAY_WEIGHTS names no folder: " in refusal(TrainConfig(backbone="lenet5", pretrained=True))


def test_a_pickle_is_refused_with_a_way_to_convert_it_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    monkeypatch.chdir(tmp_path)
    donor = lenet()
    torch.save(donor, "donor.pth")
    message = refusal(TrainConfig(backbone="lenet5", weights="donor.pth"))
    assert "donor.pth is a pickle, which could run code; convert it by safetensors.torch.save_file(" in message
    eval(message.partition("convert it by ")[2], {"torch": torch, "safetensors": safetensors})
    assert torch.equal(
        body(TrainConfig(backbone="lenet5", weights="donor.safetensors"))["3.weight"], donor["3.weight"]
    )


def test_a_head_that_fits_is_kept_and_one_that_does_not_is_left_out_whole(tmp_path: Path) -> None:
    donor = lenet(3)
    path = tmp_path / "w.safetensors"
    config = TrainConfig(backbone="lenet5", weights=str(path))
    save_file(donor, path)
    assert torch.equal(body(config)["13.weight"], donor["13.weight"])
    wide = body(TrainConfig(backbone="lenet5", weights=str(path), head_width=5))
    assert torch.equal(wide["10.weight"], donor["10.weight"])
    assert wide["13.3.weight"].shape == (3, 5)
    save_file({n: t for n, t in donor.items() if n != "13.weight"}, path)
    assert not torch.equal(body(config)["13.bias"], donor["13.bias"])


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(sorted(n for n in lenet() if not n.startswith("13."))), drop=st.booleans())
def test_any_other_key_that_is_missing_or_misshapen_is_named(
    tmp_path_factory: pytest.TempPathFactory, name: str, drop: bool
) -> None:
    path = tmp_path_factory.mktemp("w") / "w.safetensors"
    donor = lenet()
    shape = tuple(donor[name].shape)
    left = {n: t for n, t in donor.items() if n != name}
    save_file(left if drop else left | {name: torch.zeros(2, *shape)}, path)
    message = refusal(TrainConfig(backbone="lenet5", weights=str(path)))
    wanted = (
        f"it lacks {name} of shape {shape}" if drop else f"it holds {name} of shape {(2, *shape)}, not {shape}"
    )
    assert message.endswith(wanted)


def test_the_first_of_many_keys_are_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"13.weight": torch.zeros(1)}, path)
    message = refusal(TrainConfig(backbone="lenet5", weights=str(path)))
    assert message.endswith("it lacks 0.weight of shape (6, 1, 3, 3); 0.bias of shape (6,) and 6 more")
    save_file(lenet() | {"more": torch.zeros(1)}, path)
    assert refusal(TrainConfig(backbone="lenet5", weights=str(path))).endswith("it holds more")


def test_older_files_do_not_count_the_batches_of_batch_norm(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    donor = body(TrainConfig(backbone="resnet8_small"))
    save_file({n: t for n, t in donor.items() if not n.endswith("num_batches_tracked")}, path)
    found = body(TrainConfig(backbone="resnet8_small", weights=str(path)))
    assert all(torch.equal(found[n], t) for n, t in donor.items())


def test_a_training_starts_from_the_file_and_goes_on_without_it(dataset: ImageDataset, folder: Path) -> None:
    path = folder / "lenet5.safetensors"
    save_file(lenet(), path)
    config = TrainConfig(backbone="lenet5", pretrained=True, trainable_blocks=0, epochs=3, batch_size=16)
    slices = dataset.split("train"), dataset.split("val")
    unbroken = [result.train_loss for result in fit(config, *slices)]
    state = next(fit(config, *slices)).state()
    assert torch.equal(state.network["backbone.3.weight"], load_file(path)["3.weight"])
    path.unlink()
    assert [result.train_loss for result in fit(config, *slices, resume=state)] == unbroken[1:]
