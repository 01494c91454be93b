"""GANs whose ratio is known exactly, to judge samples by."""

from __future__ import annotations

import torch
from torch import nn

import gantandem as gt

SHIFT = 0.8


class Same(nn.Module):
    """Latents as they are, so that p_G is the prior."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, z):
        return z * self.one


class Exact(nn.Module):
    """Log N(x; SHIFT, 1) / N(x; 0, 1) of the first coordinate."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(SHIFT))

    def forward(self, x):
        return self.shift * x[:, 0] - self.shift**2 / 2


def exact_gan(**options):
    return gt.GAN(Same(), Exact(), 2, **options)


def plain(n, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


class Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = nn.Embedding.from_pretrained(torch.tensor([[0.0], [1.0], [2.0]]))

    def forward(self, x, y):
        return self.shift(y)[:, 0] * x[:, 0]


class LabelledSame(Same):
    def forward(self, z, y):
        return super().forward(z) + 0 * y[:, None]


def labelled_gan():
    return gt.GAN(LabelledSame(), Labelled(), 2, condition=torch.tensor([0, 1, 2]))


class Picture(nn.Module):
    """Grey pictures of 4 x 4 in [-1, 1]."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 16)

    def forward(self, z):
        return torch.tanh(4 * self.fc(z)).view(-1, 1, 4, 4)


class Brightness(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * x.flatten(1).mean(1)


class Eyes(nn.Module):
    """Maps of grey pictures, behind a layer that would learn statistics."""

    num_features = 6

    def __init__(self, width: int = 6):
        super().__init__()
        self.width = width
        self.see = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width))

    def forward(self, x):
        return torch.relu(self.see(x))
