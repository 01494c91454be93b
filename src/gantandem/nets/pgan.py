"""Progressive GANs when they are grown, weights named as in pytorch_GAN_zoo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.nets.architecture import Published, Shapes


class PGANGenerator(Published):
    """Map latents (N, latent_dim) to images (N, channels, S, S), mostly in [-1, 1].

    S is 4 times 2 for each width after the first: 64 by default. The layers to RGB of smaller sizes
    are kept, since files have them, and unused.

    Args:
        latent_dim: Size of the latent, a standard normal, which is normalised. Default 512.
        channels: Of the images. Default 3.
        widths: Channels at 4x4, 8x8, 16x16, ... Default 512, 512, 512, 512, 256.

    Source: Karras et al., Progressive Growing of GANs, ICLR 2018, Table 2; weights named as in
    pytorch_GAN_zoo (``GNet``, with which no layer is blended in any more).
    """

    def __init__(
        self,
        latent_dim: int = 512,
        channels: int = 3,
        widths: Sequence[int] = (512, 512, 512, 512, 256),
    ) -> None:
        super().__init__()
        first, pairs = widths[0], list(zip(widths, widths[1:], strict=False))
        self.formatLayer = Equalised(nn.Linear(latent_dim, 16 * first))
        self.groupScale0 = nn.ModuleList([Equalised(nn.Conv2d(first, first, 3, padding=1))])
        self.scaleLayers = nn.ModuleList(
            nn.ModuleList(Equalised(nn.Conv2d(n, size, 3, padding=1)) for n in (before, size))
            for before, size in pairs
        )
        self.toRGBLayers = nn.ModuleList(Equalised(nn.Conv2d(n, channels, 1)) for n in widths)

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, channels, S, S) for latents (N, latent_dim)."""
        h = F.leaky_relu(self.formatLayer(_unit(z.flatten(1))), 0.2)
        h = _unit(h.unflatten(1, (-1, 4, 4)))
        h = _unit(F.leaky_relu(self.groupScale0[0](h), 0.2))
        for layers in self.scaleLayers:
            h = F.interpolate(h, scale_factor=2)
            for layer in layers:  # type: ignore[union-attr]
                h = _unit(F.leaky_relu(layer(h), 0.2))
        return self.toRGBLayers[-1](h)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        rgb = [_shape(shapes, f"toRGBLayers.{i}") for i in range(_count(shapes, "toRGBLayers"))]
        sizes = {"channels": rgb[0][0], "widths": tuple(shape[1] for shape in rgb)}
        return {"latent_dim": _shape(shapes, "formatLayer")[1], **sizes}


class PGANDiscriminator(Published):
    """Give one score, shape (N,), for each image (N, channels, S, S).

    With ``deviation`` a score depends on the other images of its group of four, as published: wrap
    the network in :class:`gantandem.adapt.AgainstBatch` with three images, or a GAN refuses it.

    Args:
        channels: Of the images. Default 3.
        widths: As for :class:`PGANGenerator`.
        deviation: The standard deviation over groups of four images is one more map. Default True.

    Source: as :class:`PGANGenerator`; ``DNet``.
    """

    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (512, 512, 512, 512, 256),
        deviation: bool = True,
    ) -> None:
        super().__init__()
        self.deviation = deviation
        first, pairs = widths[0], list(zip(widths, widths[1:], strict=False))
        self.scaleLayers = nn.ModuleList(
            nn.ModuleList(Equalised(nn.Conv2d(size, n, 3, padding=1)) for n in (size, before))
            for before, size in pairs
        )
        self.fromRGBLayers = nn.ModuleList(Equalised(nn.Conv2d(channels, n, 1)) for n in widths)
        self.groupScaleZero = nn.ModuleList(
            [
                Equalised(nn.Conv2d(first + deviation, first, 3, padding=1)),
                Equalised(nn.Linear(16 * first, first)),
            ]
        )
        self.decisionLayer = Equalised(nn.Linear(first, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (N,) for images (N, channels, S, S)."""
        h = F.leaky_relu(self.fromRGBLayers[-1](x), 0.2)
        for layers in reversed(list(self.scaleLayers)):
            for layer in layers:  # type: ignore[union-attr]
                h = F.leaky_relu(layer(h), 0.2)
            h = F.avg_pool2d(h, 2)
        if self.deviation:
            h = torch.cat([h, _deviation(h)], 1)
        h = F.leaky_relu(self.groupScaleZero[0](h), 0.2)
        h = F.leaky_relu(self.groupScaleZero[1](h.flatten(1)), 0.2)
        return self.decisionLayer(h).squeeze(1)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        count = _count(shapes, "fromRGBLayers")
        rgb = [_shape(shapes, f"fromRGBLayers.{i}") for i in range(count)]
        widths = tuple(shape[0] for shape in rgb)
        deviation = _shape(shapes, "groupScaleZero.0")[1] > widths[0]
        return {"channels": rgb[0][1], "widths": widths, "deviation": deviation}


class Equalised(nn.Module):
    """A layer whose output is scaled by He's constant, so that all weights learn alike.

    Args:
        module: A linear layer or a convolution with a bias, which is scaled as well.

    Source: Karras et al., ICLR 2018, section 4.1.
    """

    def __init__(self, module: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.module = module
        self.factor = math.sqrt(2 / module.weight[0].numel())
        nn.init.normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output, scaled."""
        return self.module(x) * self.factor


def _unit(h: Tensor) -> Tensor:
    """Channels of mean square 1 at every place."""
    return h * (h.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def _deviation(h: Tensor) -> Tensor:
    """A map (N, 1, H, W) of how much the images of a group of four differ, one number each."""
    n = h.size(0)
    group = min(4, n) if n % min(4, n) == 0 else n
    if group == 1:
        return torch.zeros_like(h[:, :1])
    spread = (h.unflatten(0, (-1, group)).var(1) + 1e-8).sqrt().flatten(1).mean(1)
    return spread.repeat_interleave(group)[:, None, None, None].expand_as(h[:, :1])


def _count(shapes: Shapes, name: str) -> int:
    """How many layers a list of that name has."""
    return len({key.split(".")[1] for key in shapes if key.startswith(f"{name}.")})


def _shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    """The shape of a layer's weights, under its name now or before 2019."""
    return shapes.get(f"{name}.module.weight") or shapes[f"{name}.weight"]
