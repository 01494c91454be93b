"""Training of a small variational autoencoder, for samplers beyond GANs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gantandem.errors import DataError, InputError
from gantandem.nets.vae import MLPVAE


def train_vae(
    x: Tensor,
    *,
    latent_dim: int = 2,
    width: int = 64,
    layers: int = 4,
    updates: int = 3000,
    batch: int = 500,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> MLPVAE:
    """Fit a variational autoencoder by the evidence lower bound (Kingma and Welling 2014, Eq. 10).

    Adam, its rate falling to 0 as a cosine. The global random state is left as it was.

    Args:
        x: (N, data_dim) training data.
        latent_dim: Size of the code.
        width: Of the hidden layers.
        layers: Linear layers of each half.
        updates: Of Adam.
        batch: Samples of an update.
        learning_rate: At the start.
        seed: Of initial weights, batches and codes.

    Returns:
        The model in eval mode; ``GAN(vae, None, Normal(vae.noise_dim))`` makes it a sampler.

    Raises:
        InputError: If ``updates`` or ``batch`` is below 1.
        DataError: If the data are not of shape (N, data_dim), or not finite.
    """
    if updates < 1 or batch < 1:
        raise InputError(f"train_vae: got updates {updates}, batch {batch}; allowed is 1 or more")
    if x.dim() != 2 or not len(x) or not bool(x.isfinite().all()):
        raise DataError(
            f"train_vae x: got shape {tuple(x.shape)}; allowed is (N, dim), all values finite"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = MLPVAE(latent_dim, x.shape[1], width, layers)
        with torch.no_grad():  # a high level at the start would drown the code for good
            vae.log_noise.fill_(math.log(0.1 * float(x.std()) + 1e-6))
        optimizer = torch.optim.Adam(vae.parameters(), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
        for _ in range(updates):
            loss = -lower_bound(vae, x[torch.randint(len(x), (batch,))]).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return vae.eval().requires_grad_(False)


def lower_bound(vae: MLPVAE, x: Tensor) -> Tensor:
    """Return a draw of the evidence lower bound of x (N, data_dim), (N,) nats."""
    mean, log_std = vae.encode(x)
    code = mean + log_std.exp() * torch.randn_like(mean)
    error = (x - vae.decoder(code)) / vae.log_noise.exp()
    fit = -0.5 * (error.square() + 2 * vae.log_noise + math.log(2 * math.pi)).sum(1)
    divergence = 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(1)
    return fit - divergence
