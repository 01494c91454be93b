"""Small networks that estimate a log ratio, for data of any shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.nets.mlp import MLPDiscriminator

POOLED = 16
"""Maps of convolutions are pooled to at most this height and width before a linear layer."""


class MLPRatio(nn.Module):
    """Four linear layers with LeakyReLU between: samples of any shape to (N,) logits.

    Samples are flattened, and their columns brought to mean 0 and standard deviation 1, by
    constants that :meth:`standardise` sets once.

    Args:
        x_shape: Of one sample.
        width: Size of every hidden layer.
        layers: Number of linear layers, at least 2.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, x_shape: Sequence[int], width: int = 128, layers: int = 4) -> None:
        super().__init__()
        inputs = math.prod(x_shape)
        sizes = [inputs, *[width] * (layers - 1)]
        hidden: list[nn.Module] = []
        for size_in, size_out in zip(sizes, sizes[1:], strict=False):
            hidden += [nn.Linear(size_in, size_out), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*hidden, nn.Linear(sizes[-1], 1))
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))

    def standardise(self, x: Tensor) -> None:
        """Set the constants from samples (N, *x_shape); a column that never varies is left."""
        flat = x.flatten(1).double()
        std = flat.std(0)
        self.mean.copy_(flat.mean(0))
        self.std.copy_(torch.where(std > 0, std, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N,)."""
        return self.main((x.flatten(1) - self.mean) / self.std).squeeze(1)


class ConvRatio(nn.Module):
    """Two stride-2 convolutions and a hidden layer with dropout: (N, C, H, W) to (N,) logits.

    Maps larger than 16 x 16 are averaged to that size before the hidden layer, whose weights
    would grow with the image otherwise.

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
        high, wide = (math.ceil(math.ceil(side / 2) / 2) for side in (height, width))
        pool = max(high, wide) > POOLED
        high, wide = min(high, POOLED), min(wide, POOLED)
        self.main = nn.Sequential(
            nn.Conv2d(channels, filters, 5, 2, 2),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Conv2d(filters, 2 * filters, 5, 2, 2),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            *([nn.AdaptiveAvgPool2d((high, wide))] if pool else []),
            nn.Flatten(),
            nn.Linear(2 * filters * high * wide, hidden),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N,)."""
        return self.main(x).squeeze(1)


class ConditionalRatio(nn.Module):
    """A ratio network that sees the condition beside the data: logits (N,).

    A label becomes a learnt vector. Vectors are appended to flat data, and to images as constant
    channels; a condition that is itself an image of the same size is appended as channels.

    Args:
        x_shape: Of one sample.
        classes: Number of labels, 0 to classes - 1; 0 where conditions are tensors.
        cond_shape: Of one condition, where conditions are tensors.
        features: Size of a label's vector.

    Raises:
        ValueError: If neither labels nor a shape of conditions are given, or both.
    """

    def __init__(
        self,
        x_shape: Sequence[int],
        classes: int = 0,
        cond_shape: Sequence[int] = (),
        features: int = 8,
    ) -> None:
        super().__init__()
        if bool(classes) == bool(cond_shape):
            raise ValueError("conditional-ratio takes either classes or cond_shape")
        self.embedding = nn.Embedding(classes, features) if classes else None
        shape, cond_shape = tuple(x_shape), tuple(cond_shape)
        self.image = is_image(shape)
        aligned = self.image and len(cond_shape) == 3 and cond_shape[1:] == shape[1:]
        size = features if classes else cond_shape[0] if aligned else math.prod(cond_shape)
        self.aligned = aligned
        joint = (shape[0] + size, *shape[1:]) if self.image else (math.prod(shape) + size,)
        body = ratio_spec(joint)
        if body.pop("net") == "conv-ratio":
            self.body: nn.Module = ConvRatio(**body)
        else:
            self.body = MLPDiscriminator(math.prod(joint), 128, 4)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Return logits (N,) of samples (N, *x_shape) with conditions (N,) or (N, *cond_shape)."""
        beside = cond.to(x.dtype) if self.embedding is None else self.embedding(cond)
        if not self.image:
            return self.body(torch.cat([x.flatten(1), beside.reshape(len(x), -1)], 1))
        if not self.aligned:
            beside = beside.reshape(len(x), -1)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.body(torch.cat([x, beside], 1))


def is_image(x_shape: tuple[int, ...]) -> bool:
    """Whether a shape is that of an image (C, H, W) of at least 4 x 4."""
    return len(x_shape) == 3 and min(x_shape[1:]) >= 4


def ratio_spec(
    x_shape: tuple[int, ...], classes: int = 0, cond_shape: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Describe a ratio network for a data shape: convolutions for (C, H, W), else an MLP.

    Args:
        x_shape: Of one sample.
        classes: Number of labels of conditional data, or 0.
        cond_shape: Of one condition that is a tensor, or empty.
    """
    if classes:
        return {"net": "conditional-ratio", "x_shape": list(x_shape), "classes": classes}
    if cond_shape:
        spec = {"net": "conditional-ratio", "x_shape": list(x_shape)}
        return {**spec, "cond_shape": list(cond_shape)}
    if is_image(x_shape):
        channels, height, width = x_shape
        return {"net": "conv-ratio", "channels": channels, "height": height, "width": width}
    return {"net": "mlp-ratio", "x_shape": list(x_shape)}
