"""BigGAN for 128x128 images, weights named as in BigGAN-PyTorch."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.nets.architecture import Published, Shapes
from gantandem.nets.residual import Attention

conv3 = partial(nn.Conv2d, kernel_size=3, padding=1)
conv1 = partial(nn.Conv2d, kernel_size=1)
twice = partial(F.interpolate, scale_factor=2)

WIDTHS = (16, 16, 8, 4, 2, 1)
"""Channels of G at 4x4, 8x8, ... 128x128, in filters."""


class BigGANGenerator128(Published):
    """Map latents (N, latent_dim) and labels (N,) to images (N, channels, 128, 128) in [-1, 1].

    The latent comes in six chunks: the first makes maps of 4x4, each other one enters a residual
    block, beside the shared embedding of the label. Self-attention at 64x64. The weights are the
    normalised ones: files with spectral norm are read so.

    Args:
        latent_dim: Size of the latent, a multiple of 6; a normal, perhaps truncated. Default 120.
        channels: Of the images. Default 3.
        filters: Of the last block; the first has 16 times as many. Default 96.
        classes: Labels are 0 to ``classes - 1``. Default 1000.
        shared: Size of a label's embedding. Default 128.

    Source: Brock, Donahue and Simonyan, Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, ICLR 2019, Table 4; weights named as in BigGAN-PyTorch (``G_shared``, ``hier``).
    Takes labels where the original takes ``G.shared(labels)``.
    """

    side: ClassVar = 4
    """Height and width of the first maps; the images have 32 times as many."""

    def __init__(
        self,
        latent_dim: int = 120,
        channels: int = 3,
        filters: int = 96,
        classes: int = 1000,
        shared: int = 128,
    ) -> None:
        super().__init__()
        chunk, left = divmod(latent_dim, len(WIDTHS))
        if left or not chunk:
            raise ValueError(f"latent_dim={latent_dim} is not a multiple of {len(WIDTHS)}")
        self.chunk = chunk
        sizes = [width * filters for width in WIDTHS]
        self.shared = nn.Embedding(classes, shared)
        self.linear = nn.Linear(chunk, self.side**2 * sizes[0])
        blocks = [
            [UpBlock(size_in, size_out, shared + chunk)]
            for size_in, size_out in zip(sizes, sizes[1:], strict=False)
        ]
        blocks[3].append(Attention(sizes[4]))  # type: ignore[arg-type]
        self.blocks = nn.ModuleList(map(nn.ModuleList, blocks))
        self.output_layer = output_layer(sizes[-1], channels)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images (N, channels, 128, 128) for latents (N, latent_dim) and labels (N,)."""
        first, *others = z.flatten(1).split(self.chunk, 1)
        embedded = self.shared(labels)
        h = self.linear(first).unflatten(1, (-1, self.side, self.side))
        for blocks, chunk in zip(self.blocks, others, strict=True):
            y = torch.cat([embedded, chunk], 1)
            for block in blocks:  # type: ignore[union-attr]
                h = block(h, y)
        return self.output_layer(h).tanh()

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        classes, shared = shapes["shared.weight"]
        channels, filters, *_ = shapes["output_layer.2.weight"]
        latent_dim = len(WIDTHS) * shapes["linear.weight"][1]
        sizes = {"latent_dim": latent_dim, "channels": channels, "filters": filters}
        return {**sizes, "classes": classes, "shared": shared}


class BigGANDiscriminator128(Published):
    """Give one score, shape (N,), for each image (N, channels, 128, 128) with a label (N,).

    Six residual blocks, self-attention at 64x64, a sum over places, and the projection on the
    label's row. The weights are the normalised ones.

    Args:
        channels: Of the images. Default 3.
        filters: Of the first block; the last has 16 times as many. Default 96.
        classes: Labels are 0 to ``classes - 1``. Default 1000.

    Source: as :class:`BigGANGenerator128`.
    """

    def __init__(self, channels: int = 3, filters: int = 96, classes: int = 1000) -> None:
        super().__init__()
        sizes = [channels, *(width * filters for width in reversed(WIDTHS))]
        pairs = list(zip(sizes, sizes[1:], strict=False))
        blocks = [
            [DownBlock(*pair, down=index < 5, first=index == 0)] for index, pair in enumerate(pairs)
        ]
        blocks[0].append(Attention(sizes[1]))  # type: ignore[arg-type]
        self.blocks = nn.ModuleList(map(nn.ModuleList, blocks))
        self.linear = nn.Linear(sizes[-1], 1)
        self.embed = nn.Embedding(classes, sizes[-1])

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return scores (N,) for images (N, channels, 128, 128) and labels (N,)."""
        for blocks in self.blocks:
            for block in blocks:  # type: ignore[union-attr]
                x = block(x)
        h = F.relu(x).sum((2, 3))
        return self.linear(h).squeeze(1) + (self.embed(labels) * h).sum(1)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        filters, channels, *_ = shapes["blocks.0.0.conv1.weight"]
        return {"channels": channels, "filters": filters, "classes": shapes["embed.weight"][0]}


class StoredNorm(nn.Module):
    """BatchNorm with statistics under BigGAN's names, and a scale and shift of its own.

    Args:
        size: Channels of the maps.
    """

    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        stored(self, size)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise maps (N, size, H, W)."""
        mean, var = self.stored_mean, self.stored_var
        return F.batch_norm(x, mean, var, self.gain, self.bias, self.training)


class ConditionalNorm(nn.Module):
    """The same with scale and shift linear in the condition.

    Args:
        size: Channels of the maps.
        condition: Size of the condition.
    """

    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, size: int, condition: int) -> None:
        super().__init__()
        self.gain = nn.Linear(condition, size, bias=False)
        self.bias = nn.Linear(condition, size, bias=False)
        stored(self, size)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Normalise maps (N, size, H, W) with conditions (N, condition)."""
        h = F.batch_norm(x, self.stored_mean, self.stored_var, training=self.training)
        return (1 + self.gain(y))[:, :, None, None] * h + self.bias(y)[:, :, None, None]


def stored(norm: nn.Module, size: int) -> None:
    """Give a norm its statistics."""
    norm.register_buffer("stored_mean", torch.zeros(size))
    norm.register_buffer("stored_var", torch.ones(size))


def output_layer(size: int, channels: int) -> nn.Sequential:
    """What turns the last maps into images, before the tanh."""
    return nn.Sequential(StoredNorm(size), nn.ReLU(), conv3(size, channels))


class UpBlock(nn.Module):
    """A residual block that doubles height and width (nearest).

    Args:
        size_in: Channels before.
        size_out: Channels after.
        condition: Size of the condition.
    """

    def __init__(self, size_in: int, size_out: int, condition: int) -> None:
        super().__init__()
        self.conv1 = conv3(size_in, size_out)
        self.conv2 = conv3(size_out, size_out)
        self.conv_sc = conv1(size_in, size_out)
        self.bn1 = ConditionalNorm(size_in, condition)
        self.bn2 = ConditionalNorm(size_out, condition)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return maps (N, size_out, 2H, 2W) for maps (N, size_in, H, W)."""
        h = self.conv1(twice(F.relu(self.bn1(x, y))))
        h = self.conv2(F.relu(self.bn2(h, y)))
        return h + self.conv_sc(twice(x))


class DownBlock(nn.Module):
    """A residual block of the discriminator.

    Args:
        size_in: Channels before.
        size_out: Channels after.
        down: Halve height and width.
        first: Images go in, without a ReLU before.
    """

    def __init__(self, size_in: int, size_out: int, down: bool, first: bool) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1 = conv3(size_in, size_out)
        self.conv2 = conv3(size_out, size_out)
        self.conv_sc = conv1(size_in, size_out) if down or size_in != size_out else None

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, size_out, ...) for maps (N, size_in, H, W)."""
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        around = x if self.conv_sc is None else self.conv_sc(x)
        return F.avg_pool2d(h + around, 2) if self.down else h + around
