"""Tiny networks of a user's own, their weight files, and a folder of small pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

SIZE = 8
QUICK = ("fit_ratio.n=64", "fit_ratio.schedule=[[4, 1e-3]]", "fit_ratio.batch=16")
SHAPED = (
    "shape.updates=2", "shape.check_every=1", "shape.check_samples=16", "shape.batch=16",
    "shape.width=16", "shape.refine.steps=2", "fit_ratio.n=64", "fit_ratio.schedule=[[2, 1e-3]]",
)  # fmt: skip


class Generator(nn.Module):
    """z (N, 6, 1, 1) to pictures (N, 3, 8, 8) in [-1, 1]."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width = width
        self.main = nn.Sequential(
            nn.ConvTranspose2d(6, width, 4, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z)


class Tupled(Generator):
    """One that returns its latent as well."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(z), z


class Doubled(Generator):
    """One that returns a larger picture first."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x = super().forward(z)
        return nn.functional.interpolate(x, scale_factor=2.0), x


class Discriminator(nn.Module):
    """One logit for each picture."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width = width
        self.main = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 4)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x).flatten()


class Eyes(nn.Module):
    """A backbone of six features."""

    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.conv = settled(nn.Conv2d(3, 6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).relu()


class Labelled(nn.Module):
    """A generator of two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.main = nn.Embedding(2, 6), Generator()

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.main(z + self.embed(y)[:, :, None, None])


class Judge(nn.Module):
    """A discriminator of two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.main = nn.Embedding(2, 1), Discriminator()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.main(x) + self.embed(y)[:, 0]


def settled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights of a seed, and statistics as of a training."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=noise) * 0.3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.add_(0.1)
            module.num_batches_tracked.fill_(10)
    return network


def weights(folder: Path, network: nn.Module, name: str) -> Path:
    """Save a network's weights as its users do."""
    path = folder / name
    torch.save(network.state_dict(), path)
    return path


def pictures(folder: Path, count: int = 120, size: int = SIZE) -> Path:
    """A folder of pictures in two classes, ``dark`` and ``light``."""
    noise = np.random.default_rng(0)
    for place in range(count):
        kind = ("dark", "light")[place % 2]
        low = 0 if kind == "dark" else 120
        pixels = noise.integers(low, low + 130, (size, size, 3)).astype(np.uint8)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{place:04d}.png")
    return folder
