"""The WGAN-GP pair of convolutions for 32x32 images, weights named as in caogang/wgan-gp."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gantandem.nets.architecture import Published, Shapes


class WGANGenerator32(Published):
    """Map latents (N, latent_dim) to images (N, channels, 32, 32) in [-1, 1].

    A linear layer to 4x4 and three transposed 2x2 convolutions.

    Args:
        latent_dim: Size of the latent, a standard normal. Default 128.
        channels: Of the images. Default 3.
        filters: Of the last hidden layer. Default 128.

    Source: Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017; weights named as
    in caogang/wgan-gp (``gan_cifar10.py``).
    """

    def __init__(self, latent_dim: int = 128, channels: int = 3, filters: int = 128) -> None:
        super().__init__()
        flat = 4 * 4 * 4 * filters
        self.preprocess = nn.Sequential(
            nn.Linear(latent_dim, flat), nn.BatchNorm1d(flat), nn.ReLU()
        )
        self.block1 = _doubled(4 * filters, 2 * filters)
        self.block2 = _doubled(2 * filters, filters)
        self.deconv_out = nn.ConvTranspose2d(filters, channels, 2, 2)

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, channels, 32, 32) for latents (N, latent_dim)."""
        h = self.preprocess(z.flatten(1)).unflatten(1, (-1, 4, 4))
        return self.deconv_out(self.block2(self.block1(h))).tanh()

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        filters, channels, *_ = shapes["deconv_out.weight"]
        latent_dim = shapes["preprocess.0.weight"][1]
        return {"latent_dim": latent_dim, "channels": channels, "filters": filters}


class WGANCritic32(Published):
    """Give one critic's value, shape (N,), for each image (N, channels, 32, 32) in [-1, 1].

    Three 3x3 convolutions of stride 2, leaky ReLU (slope .01) between, and a linear layer.

    Args:
        channels: Of the images. Default 3.
        filters: Of the first layer; each layer after it has twice as many. Default 128.

    Source: as :class:`WGANGenerator32`.
    """

    def __init__(self, channels: int = 3, filters: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size_in, size_out in ((channels, filters), (filters, 2 * filters)):
            layers += [nn.Conv2d(size_in, size_out, 3, 2, 1), nn.LeakyReLU()]
        layers += [nn.Conv2d(2 * filters, 4 * filters, 3, 2, 1), nn.LeakyReLU()]
        self.main = nn.Sequential(*layers)
        self.linear = nn.Linear(4 * 4 * 4 * filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return values (N,) for images (N, channels, 32, 32)."""
        return self.linear(self.main(x).flatten(1)).squeeze(1)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        filters, channels, *_ = shapes["main.0.weight"]
        shapes["linear.weight"]
        return {"channels": channels, "filters": filters}


def _doubled(size_in: int, size_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(size_in, size_out, 2, 2), nn.BatchNorm2d(size_out), nn.ReLU()
    )
