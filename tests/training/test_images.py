"""Images that live on a device: the same as those that are taken one batch after another."""

import numpy as np
import pytest
import torch

from medray.data.dataset import ImageDataset
from medray.training.images import ResidentImages, to_input

CPU, META = torch.device("cpu"), torch.device("meta")


def test_images_on_the_processor_are_copies_of_the_slice(dataset: ImageDataset) -> None:
    train, indices = dataset.split("train"), np.array([3, 0, 3])
    taken = ResidentImages(CPU).take(train, indices)
    assert (taken.numpy() == train.take(indices)[0]).all()
    taken.zero_()
    assert train.take(indices)[0].any()


def test_a_slice_is_copied_to_a_device_once(dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    whole = ResidentImages._copied

    def watched(self: ResidentImages, images: object) -> object:
        copied.append(id(images))
        return whole(self, images)  # type: ignore[arg-type]

    monkeypatch.setattr(ResidentImages, "_copied", watched)
    resident, train, val = ResidentImages(META), dataset.split("train"), dataset.split("val")
    for images in (train, val, train, train):
        taken = resident.take(images, np.arange(2))
        assert (taken.shape, taken.dtype, taken.device) == ((2, *train.shape), torch.uint8, META)
        assert to_input(taken, META).shape == (2, train.shape[2], *train.shape[:2])
    assert copied == [id(train), id(val)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_images_on_a_gpu_are_those_of_the_slice(dataset: ImageDataset) -> None:
    train, indices = dataset.split("train"), np.array([5, 1])
    taken = ResidentImages(torch.device("cuda")).take(train, indices)
    assert (taken.cpu().numpy() == train.take(indices)[0]).all()
