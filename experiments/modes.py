"""Which shares of the modes a ratio gives, and how far samples of them are apart by chance."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gantandem.data.mixtures import Mixture
from gantandem.engine.sampling import sample
from gantandem.evaluate.metrics.mixture import GOOD, js, nearest
from gantandem.gan import GAN
from gantandem.samplers import Direct

DRAWS = 200_000
"""Weighted samples of p_G behind the shares."""


def ratio_shares(gan: GAN, mixture: Mixture, seed: int, draws: int = DRAWS) -> list[float]:
    """Share of every mode in the law that exact samplers tend to: p_G weighted by the ratio.

    Args:
        gan: With a ratio of p_G.
        mixture: Its modes; what lies in none has the rest of the mass.
        seed: Of the samples.
        draws: How many.
    """
    out = sample(gan, Direct(), draws, seed=seed, width=4_096, progress=False)
    with gan.networks.frozen():
        ratio = gan.ratio(Direct(), quiet=True)
        weight = torch.cat([ratio.log_ratio(x) for x in out.x.split(4_096)]).exp().cpu()
    distance, mode = nearest(out.x.cpu(), mixture)
    good = distance <= GOOD * mixture.std
    count = len(mixture.means)
    return (torch.bincount(mode[good], weight[good], minlength=count) / weight.sum()).tolist()


def js_deviation(
    shares: Sequence[float], mixture: Mixture, n: int, repeats: int = 1_000, seed: int = 0
) -> float:
    """Standard deviation of the JS of n independent draws, of which the modes have these shares.

    Args:
        shares: Of the modes; the rest lies outside.
        mixture: The truth that JS is measured to.
        n: Draws of a sample.
        repeats: Samples made to measure it.
        seed: Of these.
    """
    law = torch.tensor([*shares, max(0.0, 1 - sum(shares))], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(repeats):
        drawn = torch.multinomial(law, n, replacement=True, generator=generator)
        found.append(js(torch.bincount(drawn, minlength=len(law))[:-1], n, mixture))
    return float(torch.tensor(found, dtype=torch.float64).std())
