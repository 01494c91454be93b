"""Small networks that estimate a log ratio, for data of any shape."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn


class ConvRatio(nn.Module):
    """Two stride-2 convolutions and a hidden layer with dropout: (N, C, H, W) to (N,) logits.

    Args:
        channels: C.
        height: H, at least 4.
        width: W, at least 4.
        filters: Of the first convolution; the second has twice as many.
        hidden: Units of the hidden layer.
        dropout: Share of activations dropped while fitting.
    """

    def __init__(
        self,
        channels: int = 1,
        height: int = 28,
        width: int = 28,
        filters: int = 32,
        hidden: int = 256,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        size = math.ceil(math.ceil(height / 2) / 2) * math.ceil(math.ceil(width / 2) / 2)
        self.main = nn.Sequential(
            nn.Conv2d(channels, filters, 5, 2, 2),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Conv2d(filters, 2 * filters, 5, 2, 2),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(2 * filters * size, hidden),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N,)."""
        return self.main(x).squeeze(1)


def ratio_spec(x_shape: tuple[int, ...]) -> dict[str, Any]:
    """Describe a ratio network for a data shape: convolutions for (C, H, W), else an MLP."""
    if len(x_shape) == 3 and min(x_shape[1:]) >= 4:
        channels, height, width = x_shape
        return {"net": "conv-ratio", "channels": channels, "height": height, "width": width}
    return {"net": "mlp-discriminator", "data_dim": math.prod(x_shape), "width": 128, "layers": 4}
