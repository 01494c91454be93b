"""Samplers in the place of generators."""

from __future__ import annotations

import torch

from gantandem import (
    Key,
    Normal,
    SampledGenerator,
)
from gantandem.testing import toy_gan


def latents(n=50, seed=0):
    return Normal(2).draw(Key(seed), torch.arange(n))


def model(sampler, gan=None, **options):
    return SampledGenerator(gan or toy_gan(), sampler, **{"width": 64, "strict": False, **options})
