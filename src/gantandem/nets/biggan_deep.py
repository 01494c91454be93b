"""BigGAN-deep for 128x128 images, weights named as in BigGAN-PyTorch."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.nets.architecture import Published, Shapes
from gantandem.nets.biggan import WIDTHS, ConditionalNorm, conv1, conv3, output_layer, twice
from gantandem.nets.residual import Attention


class BigGANDeepGenerator128(Published):
    """Map latents (N, latent_dim) and labels (N,) to images (N, channels, 128, 128) in [-1, 1].

    The whole latent, beside the shared embedding of the label, enters every block; the blocks are
    bottlenecks, two at each size. Self-attention at 64x64. The weights are the normalised ones.

    Args:
        latent_dim: Size of the latent, a normal, perhaps truncated. Default 128.
        channels: Of the images. Default 3.
        filters: Of the last block, a multiple of 4; the first has 16 times as many. Default 128.
        classes: Labels are 0 to ``classes - 1``. Default 1000.
        shared: Size of a label's embedding. Default 128.

    Source: Brock, Donahue and Simonyan, ICLR 2019, Table 7; weights named as in BigGAN-PyTorch
    (``BigGANdeep``, depth 2). Takes labels where the original takes ``G.shared(labels)``.
    """

    side: ClassVar = 4
    """Height and width of the first maps; the images have 32 times as many."""

    def __init__(
        self,
        latent_dim: int = 128,
        channels: int = 3,
        filters: int = 128,
        classes: int = 1000,
        shared: int = 128,
    ) -> None:
        super().__init__()
        sizes = [width * filters for width in WIDTHS]
        condition = shared + latent_dim
        self.shared = nn.Embedding(classes, shared)
        self.linear = nn.Linear(condition, self.side**2 * sizes[0])
        blocks: list[list[nn.Module]] = []
        for size_in, size_out in zip(sizes, sizes[1:], strict=False):
            blocks.append([DeepUpBlock(size_in, size_in, condition, up=False)])
            blocks.append([DeepUpBlock(size_in, size_out, condition, up=True)])
        blocks[7].append(Attention(sizes[4]))
        self.blocks = nn.ModuleList(map(nn.ModuleList, blocks))
        self.output_layer = output_layer(sizes[-1], channels)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images (N, channels, 128, 128) for latents (N, latent_dim) and labels (N,)."""
        y = torch.cat([self.shared(labels), z.flatten(1)], 1)
        h = self.linear(y).unflatten(1, (-1, self.side, self.side))
        for blocks in self.blocks:
            for block in blocks:  # type: ignore[union-attr]
                h = block(h, y)
        return self.output_layer(h).tanh()

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        classes, shared = shapes["shared.weight"]
        channels, filters, *_ = shapes["output_layer.2.weight"]
        latent_dim = shapes["linear.weight"][1] - shared
        shapes["blocks.0.0.conv4.weight"]
        sizes = {"latent_dim": latent_dim, "channels": channels, "filters": filters}
        return {**sizes, "classes": classes, "shared": shared}


class BigGANDeepDiscriminator128(Published):
    """Give one score, shape (N,), for each image (N, channels, 128, 128) with a label (N,).

    A convolution and ten bottleneck blocks, self-attention at 64x64, a sum over places, and the
    projection on the label's row. The weights are the normalised ones.

    Args:
        channels: Of the images. Default 3.
        filters: Of the first convolution, a multiple of 4; the last block has 16 times as many.
            Default 128.
        classes: Labels are 0 to ``classes - 1``. Default 1000.

    Source: as :class:`BigGANDeepGenerator128`.
    """

    def __init__(self, channels: int = 3, filters: int = 128, classes: int = 1000) -> None:
        super().__init__()
        sizes = [width * filters for width in reversed(WIDTHS)]
        self.input_conv = conv3(channels, sizes[0])
        blocks: list[list[nn.Module]] = [
            [DeepDownBlock(size_in, size_out, True), DeepDownBlock(size_out, size_out, False)]
            for size_in, size_out in zip(sizes, sizes[1:], strict=False)
        ]
        blocks[0].append(Attention(sizes[1]))
        self.blocks = nn.ModuleList(map(nn.ModuleList, blocks))
        self.linear = nn.Linear(sizes[-1], 1)
        self.embed = nn.Embedding(classes, sizes[-1])

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return scores (N,) for images (N, channels, 128, 128) and labels (N,)."""
        h = self.input_conv(x)
        for blocks in self.blocks:
            for block in blocks:  # type: ignore[union-attr]
                h = block(h)
        h = F.relu(h).sum((2, 3))
        return self.linear(h).squeeze(1) + (self.embed(labels) * h).sum(1)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        filters, channels, *_ = shapes["input_conv.weight"]
        return {"channels": channels, "filters": filters, "classes": shapes["embed.weight"][0]}


class DeepUpBlock(nn.Module):
    """A bottleneck block of the generator; what goes around loses its last channels.

    Args:
        size_in: Channels before, four times those within.
        size_out: Channels after, no more than before.
        condition: Size of the condition.
        up: Double height and width (nearest).
    """

    def __init__(self, size_in: int, size_out: int, condition: int, up: bool) -> None:
        super().__init__()
        inner = size_in // 4
        self.size_out, self.up = size_out, up
        self.conv1 = conv1(size_in, inner)
        self.conv2 = conv3(inner, inner)
        self.conv3 = conv3(inner, inner)
        self.conv4 = conv1(inner, size_out)
        self.bn1 = ConditionalNorm(size_in, condition)
        self.bn2 = ConditionalNorm(inner, condition)
        self.bn3 = ConditionalNorm(inner, condition)
        self.bn4 = ConditionalNorm(inner, condition)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return maps (N, size_out, ...) for maps (N, size_in, H, W)."""
        h = self.conv1(F.relu(self.bn1(x, y)))
        h = F.relu(self.bn2(h, y))
        around = x[:, : self.size_out]
        if self.up:
            h, around = twice(h), twice(around)
        h = self.conv2(h)
        h = self.conv3(F.relu(self.bn3(h, y)))
        return self.conv4(F.relu(self.bn4(h, y))) + around


class DeepDownBlock(nn.Module):
    """A bottleneck block of the discriminator; what goes around gets channels added.

    Args:
        size_in: Channels before.
        size_out: Channels after, four times those within, no fewer than before.
        down: Halve height and width.
    """

    def __init__(self, size_in: int, size_out: int, down: bool) -> None:
        super().__init__()
        inner = size_out // 4
        self.down = down
        self.conv1 = conv1(size_in, inner)
        self.conv2 = conv3(inner, inner)
        self.conv3 = conv3(inner, inner)
        self.conv4 = conv1(inner, size_out)
        self.conv_sc = conv1(size_in, size_out - size_in) if size_in != size_out else None

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, size_out, ...) for maps (N, size_in, H, W)."""
        h = self.conv1(F.relu(x))
        h = self.conv2(F.relu(h))
        h = F.relu(self.conv3(F.relu(h)))
        if self.down:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        around = x if self.conv_sc is None else torch.cat([x, self.conv_sc(x)], 1)
        return self.conv4(h) + around
