"""Images on a device, changed by PyTorch all at once, without waiting for the device."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from typing_extensions import override

from medray._types import Array
from medray.training.transforms.arguments import CONSTANT, NEAREST, REFLECT_101, REPLICATE, Sampling, by_channel
from medray.training.transforms.batch import Pixels
from medray.training.transforms.blurs import smoothing_matrices
from medray.training.transforms.colours import changed_hue, grey_levels

_MODES = ("nearest", "bilinear", "bicubic")
_LARGEST = 1 << 24  # values of the images that a step takes at a time: 16 times as many bytes


class DevicePixels(Pixels):
    """Images uint8 (n, H, W, C) on any device, changed in place; see `Pixels`."""

    def __init__(self, images: Tensor) -> None:
        self._images = images
        count, height, width, channels = images.shape
        self.shape = (count, height, width, channels)

    def _parts(self, rows: Array) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield slices of `rows`, these rows on the device, and their images as float (m, C, H, W)."""
        size = max(1, _LARGEST // max(1, self._images[:1].numel()))
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            index = self._tensor(rows[part])
            yield part, index, self._images.index_select(0, index).permute(0, 3, 1, 2).float()

    def _tensor(self, array: Array) -> Tensor:
        kept = array.astype(np.float32) if array.dtype == np.float64 else array
        tensor = torch.from_numpy(np.ascontiguousarray(kept))
        if self._images.is_cuda:
            tensor = tensor.pin_memory()
        return tensor.to(self._images.device, non_blocking=True)

    def _write(self, index: Tensor, images: Tensor) -> None:
        """Replace images by float ones (m, C, H, W), cut off and rounded down."""
        self._images.index_copy_(0, index, images.clamp(0, 255).byte().permute(0, 2, 3, 1))

    @override
    def turn(self, rows: Array, maps: Array) -> None:
        self.warp(rows, maps, Sampling(NEAREST, REPLICATE))

    @override
    def warp(self, rows: Array, maps: Array, sampling: Sampling) -> None:
        x, y = self._grid()
        for part, index, images in self._parts(rows):
            m = self._tensor(maps[part])[:, :, :, None, None]
            sources = [m[:, i, 0] * x + m[:, i, 1] * y + m[:, i, 2] for i in range(3)]
            self._write(index, self._sampled(images, sources[0] / sources[2], sources[1] / sources[2], sampling))

    def _grid(self) -> tuple[Tensor, Tensor]:
        """Return the columns (1, W) and rows (H, 1) of an image."""
        _, height, width, _ = self.shape
        device = self._images.device
        return torch.arange(width, device=device)[None].float(), torch.arange(height, device=device)[
            :, None
        ].float()

    def _sampled(self, images: Tensor, x: Tensor, y: Tensor, sampling: Sampling) -> Tensor:
        """Return images sampled at columns x and rows y, (m, H, W), rounded to levels."""
        _, height, width, channels = self.shape
        centres = sampling.border == REFLECT_101  # reflection about the outermost pixels' centres, not their edges
        if centres:
            grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
        else:
            grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
        padding = {CONSTANT: "zeros", REPLICATE: "border"}.get(sampling.border, "reflection")
        fill = self._tensor(np.array(by_channel(sampling.fill, channels)))[:, None, None]
        filled = sampling.border == CONSTANT and any(sampling.fill)
        sampled = grid_sample(
            images - fill if filled else images,
            grid,
            _MODES[sampling.interpolation],
            padding,
            align_corners=centres,
        )
        return (sampled + fill if filled else sampled).round()

    @override
    def displace(
        self, rows: Array, kernel: Array, alpha: float, shared: bool, sampling: Sampling, seed: int
    ) -> None:
        _, height, width, _ = self.shape
        generator = self._generator(seed)
        planes = 1 if shared else 2
        across = self._tensor(smoothing_matrices(kernel[None], width, reflect=False))[0]
        down = self._tensor(smoothing_matrices(kernel[None], planes * height, reflect=False))[0]
        x, y = self._grid()
        for _, index, images in self._parts(rows):
            size = (len(index), planes * height, width)
            fields = torch.randn(size, generator=generator, device=self._images.device)
            fields = fields / fields.abs().amax(dim=(1, 2), keepdim=True)
            smooth = (alpha * (down @ fields @ across.T)).view(-1, planes, height, width)
            self._write(index, self._sampled(images, x + smooth[:, 0], y + smooth[:, -1], sampling))

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self._images.device).manual_seed(seed)

    @override
    def means(self, rows: Array) -> Array:
        means = torch.cat([images.mean(dim=(1, 2, 3)) for _, _, images in self._parts(rows)])
        return means.cpu().numpy().astype(np.float64)

    @override
    def look_up(self, rows: Array, tables: Array) -> None:
        for part, index, images in self._parts(rows):
            levels = self._tensor(tables[part]).gather(1, images.flatten(1).long())
            self._write(index, levels.view(images.shape))

    @override
    def jitter(self, rows: Array, factors: Array, order: Array) -> None:
        for part, index, images in self._parts(rows):
            for change in order[part].T:
                images = self._changed(images, change, factors[part])
            self._write(index, images)

    def _changed(self, images: Tensor, change: Array, factors: Array) -> Tensor:
        """Return images after one change each: 0 brightness, 1 contrast, 2 saturation, 3 hue; see `jitter`.

        The first three move levels away from, or towards, black, the mean grey level, or the pixel's own.
        """
        kind = self._tensor(change)[:, None, None, None]
        factor = self._tensor(np.where(change == 3, 1, factors[np.arange(len(change)), change]))[
            :, None, None, None
        ]
        grey = grey_levels(images)
        target = torch.where(kind == 1, grey.mean(dim=(1, 2, 3), keepdim=True), torch.where(kind == 0, 0, grey))
        moved = (factor * images + (1 - factor) * target).clamp(0, 255)
        images = torch.where(kind == 2, moved.round(), moved.floor())
        hued = np.flatnonzero((change == 3) & (factors[:, 3] != 0))
        if len(hued) and images.shape[1] == 3:
            some = self._tensor(hued)
            shifts = self._tensor(factors[hued, 3])
            images = images.index_copy(0, some, changed_hue(images.index_select(0, some), shifts))
        return images

    @override
    def grey(self, rows: Array) -> None:
        for _, index, images in self._parts(rows):
            self._write(index, grey_levels(images).expand_as(images))

    @override
    def erase(self, rows: Array, boxes: Array, fill: tuple[float, ...] | str, seed: int) -> None:
        generator, channels = self._generator(seed), self.shape[3]
        x, y = self._grid()
        for part, index, images in self._parts(rows):
            holes = self._tensor(boxes[part])
            for hole in range(boxes.shape[1]):
                left, top, right, bottom = holes[:, hole, :, None, None].unbind(1)
                inside = ((x >= left) & (x < right) & (y >= top) & (y < bottom))[:, None]
                if isinstance(fill, str):
                    size = images.shape if fill == "random" else (*images.shape[:2], 1, 1)
                    filling = torch.randint(256, size, generator=generator, device=images.device).float()
                else:
                    filling = self._tensor(np.trunc(by_channel(fill, channels)))[:, None, None]
                images = torch.where(inside, filling, images)
            self._write(index, images)

    @override
    def add_noise(self, rows: Array, means: Array, deviations: Array, by_channel: bool, seed: int) -> None:
        generator = self._generator(seed)
        for part, index, images in self._parts(rows):
            mean, deviation = (self._tensor(each[part])[:, None, None, None] for each in (means, deviations))
            size = images.shape if by_channel else (len(images), 1, *images.shape[2:])
            noise = torch.randn(size, generator=generator, device=images.device)
            self._write(index, images + noise * deviation + mean)

    @override
    def blur(self, rows: Array, kernels: Array) -> None:
        _, height, width, _ = self.shape
        down, across = (smoothing_matrices(kernels, side, reflect=True) for side in (height, width))
        for part, index, images in self._parts(rows):
            left, right = self._tensor(down[part])[:, None], self._tensor(across[part])[:, None]
            smooth = left @ images @ right.transpose(2, 3)
            self._write(index, smooth.round())

    @override
    def read(self, rows: Array) -> Array:
        return self._images[self._tensor(rows)].cpu().numpy()

    @override
    def write(self, rows: Array, images: Array) -> None:
        self._images.index_copy_(0, self._tensor(rows), self._tensor(images))
