"""Generators of any shape, and every call that takes real data."""

from __future__ import annotations

import math

import torch
from torch import nn

from gantandem import GAN, Normal, Refine, calibrate, diagnose, fit_ratio, shape


def noise(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


class Map(nn.Module):
    """Latents to samples of a shape, through a last function."""

    def __init__(self, *size: int, last=torch.tanh, gain: float = 1.0, dtype=torch.float32):
        super().__init__()
        self.size, self.last, self.dtype = size, last, dtype
        values = gain * noise(8, math.prod(size), seed=1)
        self.register_buffer("weight", values)

    def forward(self, z):
        return self.last(z @ self.weight).reshape(-1, *self.size).to(self.dtype)


def flat(*size: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(size), 1))


def gan(*size: int, **options) -> GAN:
    return GAN(Map(*size, **options), flat(*size), Normal(8))


QUICK = {"n": 100, "schedule": [(2, 1e-3)], "batch": 16, "progress": False}
TINY = {"updates": 2, "check_every": 1, "check_samples": 64, "batch": 32, "progress": False}
CALLS = {
    "fit_ratio": lambda g, real: fit_ratio(g, real, network=g.guide.network, **QUICK),
    "shape": lambda g, real: shape(g, real, refine=Refine(steps=1, step_size=0.1), **TINY),
    "calibrate": lambda g, real: calibrate(g, real, method="platt"),
    "diagnose": diagnose,
    "observe": GAN.observe,
}


# -- ranges ------------------------------------------------------------------------------------

UNIT = torch.rand(100, 3, 8, 8, generator=torch.Generator().manual_seed(0))
