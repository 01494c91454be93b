"""DCGAN pairs for 64x64 and 32x32 images, named as in PyTorch's DCGAN example."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from gantandem.nets.architecture import Published, Shapes


class DCGANGenerator(Published):
    """Map latents (N, latent_dim) to images (N, channels, 64, 64) in [-1, 1].

    Five 4x4 transposed convolutions, from 4x4 to 64x64; BatchNorm and ReLU between, tanh at the
    end. Latents of shape (N, latent_dim, 1, 1), as PyTorch's example draws them, are taken too.

    Args:
        latent_dim: Size of the latent. Default 100.
        channels: Of the images. Default 3.
        filters: Of the last hidden layer; each layer before it has twice as many. Default 64.

    Source: Radford, Metz and Chintala, Unsupervised Representation Learning with Deep
    Convolutional Generative Adversarial Networks, ICLR 2016, Figure 1 and section 3 (whose layers
    are twice as wide); sizes, names and initialisation as in PyTorch's example.
    """

    factors: ClassVar = (8, 4, 2, 1)

    def __init__(self, latent_dim: int = 100, channels: int = 3, filters: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = [latent_dim, *(factor * filters for factor in self.factors)]
        for index, (size_in, size_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
            stride, padding = (1, 0) if index == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(size_in, size_out, 4, stride, padding, bias=False),
                nn.BatchNorm2d(size_out),
                nn.ReLU(),
            ]
        last = nn.ConvTranspose2d(filters, channels, 4, 2, 1, bias=False)
        self.main = nn.Sequential(*layers, last, nn.Tanh())
        _start(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, channels, height, width) for latents (N, latent_dim)."""
        return self.main(z.view(z.size(0), -1, 1, 1))

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        last = f"main.{3 * len(cls.factors)}.weight"
        sizes = {"filters": shapes[last][0], "channels": shapes[last][1]}
        return {"latent_dim": shapes["main.0.weight"][0], **sizes}


class DCGANGenerator32(DCGANGenerator):
    """Map latents (N, latent_dim) to images (N, channels, 32, 32) in [-1, 1].

    As :class:`DCGANGenerator`, whose arguments it takes, without the widest layer.
    """

    factors: ClassVar = (4, 2, 1)


class DCGANDiscriminator(Published):
    """Give one logit, shape (N,), for each image (N, channels, 64, 64) in [-1, 1].

    Five 4x4 convolutions, from 64x64 to 1x1; BatchNorm and leaky ReLU (slope .2) between. No
    sigmoid at the end, where PyTorch's example has one: it holds no weights, so that checkpoints
    of the example fit.

    Args:
        channels: Of the images. Default 3.
        filters: Of the first layer; each layer after it has twice as many. Default 64.

    Source: as :class:`DCGANGenerator`.
    """

    factors: ClassVar = (1, 2, 4)

    def __init__(self, channels: int = 3, filters: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, filters, 4, 2, 1, bias=False)]
        layers.append(nn.LeakyReLU(0.2))
        for factor in self.factors:
            size_in, size_out = factor * filters, 2 * factor * filters
            layers += [
                nn.Conv2d(size_in, size_out, 4, 2, 1, bias=False),
                nn.BatchNorm2d(size_out),
                nn.LeakyReLU(0.2),
            ]
        widest = 2 * self.factors[-1] * filters
        self.main = nn.Sequential(*layers, nn.Conv2d(widest, 1, 4, 1, 0, bias=False))
        _start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N,) for images (N, channels, height, width)."""
        return self.main(x).view(x.size(0))

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        filters, channels, *_ = shapes["main.0.weight"]
        return {"channels": channels, "filters": filters}


class DCGANDiscriminator32(DCGANDiscriminator):
    """Give one logit, shape (N,), for each image (N, channels, 32, 32) in [-1, 1].

    As :class:`DCGANDiscriminator`, whose arguments it takes, without the widest layer.
    """

    factors: ClassVar = (1, 2)


def _start(network: nn.Module) -> None:
    """Weights from N(0, .02), those of BatchNorm from N(1, .02), as in the example."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
