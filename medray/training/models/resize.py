"""Resize: the first layer of a network that sees images at a size of its own."""

import torch
from torch import Tensor, nn

from medray.data.resampling import Size, shrinks, triangle_weights


class Resize(nn.Module):
    """Gives images (n, C, H, W) in [0, 1] the size (h, w) by the antialiased triangle filter.

    An image that shrinks is rounded to the 256 grey levels, and is what `medray.data.resampling.shrink` gives; one
    of the size already passes unchanged. `given` is the size (H, W) of the data set's images, for which the
    weights are kept; images of other sizes are taken too.
    """

    columns: Tensor
    rows: Tensor

    def __init__(self, given: Size, size: Size) -> None:
        super().__init__()
        self.given, self.size = given, size
        for name, before, after in (("rows", given[0], size[0]), ("columns", given[1], size[1])):
            self.register_buffer(name, torch.tensor(triangle_weights(before, after)), persistent=False)

    def extra_repr(self) -> str:
        """Return both sizes: a network's description tells one of another size apart."""
        return f"{self.given}, {self.size}"

    def forward(self, images: Tensor) -> Tensor:
        """Resize (n, C, H, W) to (n, C, h, w)."""
        before = (images.shape[2], images.shape[3])
        if before == self.size:
            return images
        # Exact sums need all bits: bfloat16 autocast, and TF32 on a GPU, leave float64 alone.
        device = images.device.type
        kind = torch.float32 if device == "cpu" and not torch.is_autocast_enabled(device) else torch.float64
        rows, columns = (table.to(kind) for table in self._weights(before))
        values = images.contiguous().to(kind)
        if shrinks(before, self.size):
            levels = torch.floor((values * 255).round() @ columns.T + 0.5)
            levels = torch.floor(levels.transpose(2, 3) @ rows.T + 0.5)
            resized = levels.to(images.dtype) / 255  # as images of these levels come
        else:
            resized = ((values @ columns.T).transpose(2, 3) @ rows.T).to(images.dtype)
        return resized.transpose(2, 3).contiguous(memory_format=torch.channels_last)

    def _weights(self, before: Size) -> tuple[Tensor, Tensor]:
        if before == self.given:
            return self.rows, self.columns
        height, width = (
            torch.tensor(triangle_weights(*sides), device=self.rows.device)
            for sides in zip(before, self.size, strict=True)
        )
        return height, width
