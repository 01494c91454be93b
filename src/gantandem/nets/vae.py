"""A variational autoencoder of points, whose generative half is called like a generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MLPVAE(nn.Module):
    """Gaussian encoder and decoder (Kingma and Welling 2014), one learnt noise level.

    ``forward`` is the whole generative model: its latent holds the code and the noise of the
    observation, so that samples follow the model's law and not that of its means alone.

    Args:
        latent_dim: Size of the code. Default 2.
        data_dim: Size of a data point. Default 2.
        width: Size of every hidden layer. Default 64.
        layers: Number of linear layers of each half, at least 2. Default 4.
    """

    def __init__(
        self, latent_dim: int = 2, data_dim: int = 2, width: int = 64, layers: int = 4
    ) -> None:
        super().__init__()
        self.latent_dim, self.data_dim = latent_dim, data_dim
        self.encoder = _mlp(data_dim, 2 * latent_dim, width, layers)
        self.decoder = _mlp(latent_dim, data_dim, width, layers)
        self.log_noise = nn.Parameter(torch.zeros(()))

    @property
    def noise_dim(self) -> int:
        """Size of what ``forward`` takes: code and observation noise."""
        return self.latent_dim + self.data_dim

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation (N, latent_dim) of the code of x (N, data_dim)."""
        mean, log_std = self.encoder(x).chunk(2, 1)
        return mean, log_std

    def forward(self, z: Tensor) -> Tensor:
        """Return points (N, data_dim) for standard normal z (N, latent_dim + data_dim)."""
        code, noise = z.split((self.latent_dim, self.data_dim), 1)
        return self.decoder(code) + self.log_noise.exp() * noise


def _mlp(size_in: int, size_out: int, width: int, layers: int) -> nn.Sequential:
    sizes = [size_in, *[width] * (layers - 1)]
    hidden: list[nn.Module] = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        hidden += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*hidden, nn.Linear(width, size_out))
