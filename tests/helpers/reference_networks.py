"""Networks of tests that compare a sampler with a slow version of it."""

from __future__ import annotations

import torch
from torch import nn

from gantandem import GAN, Normal

N, WIDTH, SEED = 40, 16, 3


class Cast(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)


def networks(dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(4)
        generator = nn.Sequential(Cast(dtype), nn.Linear(2, 12), nn.Tanh(), nn.Linear(12, 3))
        score = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 1))
    generator, score = generator.to(dtype), score.to(dtype)
    with torch.no_grad():
        score[2].weight *= 4  # log ratios of a few nats
    return GAN(generator, score, Normal(2))


GAN_ = networks()
