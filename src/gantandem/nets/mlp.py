"""Multi-layer perceptrons for low-dimensional data, as in the 2D experiments of the paper."""

from __future__ import annotations

from torch import Tensor, nn


class MLPGenerator(nn.Module):
    """Map latents (N, latent_dim) to points (N, data_dim); BatchNorm and ReLU between layers.

    Args:
        latent_dim: Size of the latent. Default 2.
        data_dim: Size of a data point. Default 2.
        width: Size of every hidden layer. Default 64.
        layers: Number of linear layers, at least 2. Default 6.

    Source: Liu et al., AAAI 2020, section 5.1; Glorot initialisation as in their code.
    """

    def __init__(
        self, latent_dim: int = 2, data_dim: int = 2, width: int = 64, layers: int = 6
    ) -> None:
        super().__init__()
        sizes = [latent_dim, *[width] * (layers - 1)]
        hidden: list[nn.Module] = []
        for size_in, size_out in zip(sizes, sizes[1:], strict=False):
            hidden += [nn.Linear(size_in, size_out), nn.BatchNorm1d(size_out), nn.ReLU()]
        self.main = nn.Sequential(*hidden, nn.Linear(sizes[-1], data_dim))
        _glorot(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return points (N, data_dim) for latents (N, latent_dim)."""
        return self.main(z)


class MLPDiscriminator(nn.Module):
    """Give one logit, shape (N,), for each point (N, data_dim); ReLU between layers, no norm.

    Args:
        data_dim: Size of a data point. Default 2.
        width: Size of every hidden layer. Default 64.
        layers: Number of linear layers, at least 2. Default 6.

    Source: Liu et al., AAAI 2020, section 5.1; Glorot initialisation as in their code.
    """

    def __init__(self, data_dim: int = 2, width: int = 64, layers: int = 6) -> None:
        super().__init__()
        sizes = [data_dim, *[width] * (layers - 1)]
        hidden: list[nn.Module] = []
        for size_in, size_out in zip(sizes, sizes[1:], strict=False):
            hidden += [nn.Linear(size_in, size_out), nn.ReLU()]
        self.main = nn.Sequential(*hidden, nn.Linear(sizes[-1], 1))
        _glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N,) for points (N, data_dim)."""
        return self.main(x).squeeze(1)


def _glorot(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
