"""A variational autoencoder has no discriminator: fit one, follow it, and accept by it.

    python docs/examples/vae.py

The data are eight Gaussians on a ring. A small VAE puts samples between the modes and makes the
modes too wide. ``fit_ratio`` fits log p_data / p_VAE on its samples; the same network then guides
the movers and judges for the selectors. About 15 seconds on one core.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import torch

from gantandem import (
    GAN,
    OBRS,
    Comparison,
    DGFlow,
    Direct,
    Metropolis,
    Normal,
    Refine,
    compare,
    fit_ratio,
)
from gantandem.data.mixtures import draw_real, ring
from gantandem.evaluate.metrics.mixture import mixture_metrics
from gantandem.training.vae import train_vae
from shown import IMAGES, schedule

RING = ring(torch.arange(8) * math.pi / 4, radius=2.0, weights=torch.ones(8), std=0.15)


def main(n: int = 4000, scale: float = 1.0, folder: Path = IMAGES) -> Comparison:
    """Train, fit, compare; write ``vae.png`` and return what was found."""
    real = draw_real(RING, (20_000, 4_000, 4_000, 4_000), seed=0)
    vae = train_vae(real.fit, updates=int(1200 * scale), batch=256)

    gan = GAN(vae, None, Normal(vae.noise_dim))
    options = {"n": 20_000, "schedule": schedule(scale), "batch": 500, "progress": False}
    gan = fit_ratio(gan, real, proposal=Direct(), as_guide=True, **options)

    samplers = {
        "direct": Direct(),
        "dgflow": DGFlow(step_size=0.01),
        "refine": Refine(layer="latent"),
        "obrs": OBRS(expected=8),
        "metropolis": Metropolis(proposals=20),
    }
    metrics = functools.partial(mixture_metrics, mixture=RING)
    found = compare(gan, samplers, real, n, metrics=metrics, progress=False)
    found.plot(folder / "vae.png")
    return found


if __name__ == "__main__":
    print(main())
