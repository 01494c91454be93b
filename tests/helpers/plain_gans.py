"""Small networks with weights of a seed, and GANs of an identity."""

from __future__ import annotations

import torch
from torch import nn

from gantandem import (
    GAN,
    Uniform,
)
from targets import Formula


def seeded(make, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def net(*sizes, last=None, seed=0):
    def make():
        layers = []
        for size_in, size_out in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(size_in, size_out), nn.Tanh()]
        return nn.Sequential(*layers[:-1], *([] if last is None else [last]))

    return seeded(make, seed)


def identity(score, latent=None, **options):
    """A GAN whose samples are its latents, with a formula for a discriminator."""
    latent = Uniform(2) if latent is None else latent
    return GAN(
        Formula(lambda z: z, torch.float32), Formula(score, torch.float32), latent, **options
    )


# -- values that are not finite -----------------------------------------------------------------


def nan_at(threshold):
    return lambda x: torch.where(x[:, 0] > threshold, torch.nan, x[:, 0])
