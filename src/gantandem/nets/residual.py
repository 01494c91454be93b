"""Blocks of ResNet GANs, their weights named as in mimicry's."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_conv3 = partial(nn.Conv2d, kernel_size=3, padding=1)
_conv1 = partial(nn.Conv2d, kernel_size=1)


class ConditionalNorm(nn.Module):
    """BatchNorm whose scale and shift are a row of a table, that of the label.

    Args:
        size: Channels of the maps.
        classes: Rows of the table; each holds ``size`` scales, then ``size`` shifts.

    Source: Dumoulin, Shlens and Kudlur, A Learned Representation for Artistic Style, ICLR 2017,
    section 2.2; de Vries et al., NeurIPS 2017.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(size, affine=False)
        self.embed = nn.Embedding(classes, 2 * size)
        with torch.no_grad():
            self.embed.weight[:, :size].normal_(1, 0.02)
            self.embed.weight[:, size:].zero_()

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalise maps (N, size, H, W) with the rows of labels (N,)."""
        scale, shift = self.embed(labels)[:, :, None, None].chunk(2, 1)
        return scale * self.bn(x) + shift


class UpBlock(nn.Module):
    """A residual block that doubles height and width.

    Args:
        size_in: Channels before.
        size_out: Channels after.
        classes: Of :class:`ConditionalNorm`, which stands for BatchNorm if not 0.
        smooth: Double bilinearly, not by repeating each place.
    """

    def __init__(self, size_in: int, size_out: int, classes: int = 0, smooth: bool = False) -> None:
        super().__init__()
        self.mode = "bilinear" if smooth else "nearest"
        norm = partial(ConditionalNorm, classes=classes) if classes else nn.BatchNorm2d
        self.c1 = _conv3(size_in, size_out)
        self.c2 = _conv3(size_out, size_out)
        self.b1 = norm(size_in)
        self.b2 = norm(size_out)
        self.c_sc = _conv1(size_in, size_out)

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        """Return maps (N, size_out, 2H, 2W) for maps (N, size_in, H, W)."""
        h = F.relu(self.b1(x, *labels))
        h = self.c1(F.interpolate(h, scale_factor=2, mode=self.mode))
        h = self.c2(F.relu(self.b2(h, *labels)))
        return h + self.c_sc(F.interpolate(x, scale_factor=2, mode=self.mode))


class FirstBlock(nn.Module):
    """The residual block that images go into; it halves height and width.

    Args:
        size_in: Channels of the images.
        size_out: Channels after.
    """

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.c1 = _conv3(size_in, size_out)
        self.c2 = _conv3(size_out, size_out)
        self.c_sc = _conv1(size_in, size_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, size_out, H/2, W/2) for images (N, size_in, H, W)."""
        h = F.avg_pool2d(self.c2(F.relu(self.c1(x))), 2)
        return h + self.c_sc(F.avg_pool2d(x, 2))


class DownBlock(nn.Module):
    """A residual block of a discriminator.

    Args:
        size_in: Channels before.
        size_out: Channels after.
        down: Halve height and width.
        rectified: What goes around the block goes through the first ReLU as well.
    """

    def __init__(
        self, size_in: int, size_out: int, down: bool = True, rectified: bool = False
    ) -> None:
        super().__init__()
        self.down, self.rectified = down, rectified
        self.c1 = _conv3(size_in, size_in)
        self.c2 = _conv3(size_in, size_out)
        self.c_sc = _conv1(size_in, size_out) if down or size_in != size_out else None

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, size_out, ...) for maps (N, size_in, H, W)."""
        h = F.relu(x)
        x = h if self.rectified else x
        h = self.c2(F.relu(self.c1(h)))
        around = x if self.c_sc is None else self.c_sc(x)
        return F.avg_pool2d(h + around, 2) if self.down else h + around


class Attention(nn.Module):
    """Self-attention of maps over places, its keys and values pooled 2x2.

    Args:
        size: Channels of the maps.

    Source: Zhang et al., Self-Attention Generative Adversarial Networks, ICML 2019, section 3,
    with the pooling and the widths of the authors' code.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.theta = _conv1(size, size // 8, bias=False)
        self.phi = _conv1(size, size // 8, bias=False)
        self.g = _conv1(size, size // 2, bias=False)
        self.o = _conv1(size // 2, size, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, *unused: Tensor) -> Tensor:
        """Return maps of the shape of x, (N, size, H, W)."""
        queries = self.theta(x).flatten(2)
        keys = F.max_pool2d(self.phi(x), 2).flatten(2)
        values = F.max_pool2d(self.g(x), 2).flatten(2)
        weights = (queries.transpose(1, 2) @ keys).softmax(-1)
        looked = (values @ weights.transpose(1, 2)).unflatten(2, (x.size(2), x.size(3)))
        return x + self.gamma * self.o(looked)
