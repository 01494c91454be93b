"""GANs with conditions whose laws and ratios are known: a box of its own for each label."""

from __future__ import annotations

import math

import torch
from torch import nn

from gantandem import GAN, Normal

CENTRES = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
SLOPES = torch.tensor([0.9, -0.9, 0.6, -0.3])
HALF = 0.25
LABELS = torch.arange(4)


def inside(x, label):
    """Where a sample lies in the box of its class, (N, 2): uniform on [-1, 1]^2 under p_G."""
    return (x - CENTRES.to(x)[label]) / HALF


class Boxes(nn.Module):
    """A uniform law on a box of its own for each label; no latent leads out of it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("centres", CENTRES.clone())

    def forward(self, z, label):
        return self.centres[label] + HALF * torch.special.erf(z / math.sqrt(2))


class Tilt(nn.Module):
    """The exact log ratio of data with density proportional to 1 + a u_0 in a label's box."""

    def __init__(self, scale=None, shift=None):
        super().__init__()
        self.register_buffer("scale", torch.ones(4) if scale is None else torch.tensor(scale))
        self.register_buffer("shift", torch.zeros(4) if shift is None else torch.tensor(shift))

    def forward(self, x, label):
        u = inside(x, label)[:, 0].clamp(-1.5, 1.5)
        exact = torch.log((1 + SLOPES[label] * u).clamp(min=0.02))
        return self.scale[label] * exact + self.shift[label]


def boxes(discriminator=None, condition=LABELS) -> GAN:
    return GAN(Boxes(), discriminator, Normal(2), condition=condition)


def draw_data(n, shares=(0.25, 0.25, 0.25, 0.25), seed=0):
    """Exact data: (n, 2) points and their labels, the labels with these shares."""
    noise = torch.Generator().manual_seed(seed)
    label = torch.multinomial(torch.tensor(shares), n, replacement=True, generator=noise)
    u = 2 * torch.rand(n, 2, generator=noise) - 1
    slope = SLOPES[label]
    # The inverse of the distribution function ((1 + u) + a (u^2 - 1) / 2) / 2 of u_0.
    level = torch.rand(n, generator=noise)
    u[:, 0] = (torch.sqrt((1 - slope) ** 2 + 4 * slope * level) - 1) / slope
    return CENTRES[label] + HALF * u, label


class Plane(nn.Module):
    """The same law for every label."""

    def forward(self, z, label):
        return 0.5 * z


QUICK = {"n": 5000, "schedule": [(150, 5e-3), (60, 5e-4)], "batch": 400, "progress": False}
