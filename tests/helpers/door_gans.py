"""Real data and a small GAN that come through every door."""

from __future__ import annotations

import torch

from gantandem import (
    GAN,
    Real,
)
from plain_gans import net

FIT = {"n": 100, "schedule": [(2, 1e-3)], "batch": 20, "width": 16, "progress": False}


def cloud(n):
    return 0.5 * torch.randn(n, 2, generator=torch.Generator().manual_seed(n))


REAL = Real(fit=cloud(100), select=cloud(30), calibrate=cloud(31), test=cloud(33))


def gan(**options):
    return GAN(net(2, 8, 2), net(2, 8, 1), 2, **options)
