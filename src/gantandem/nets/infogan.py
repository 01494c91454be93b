"""The InfoGAN pair for 28x28 grey images, without the code variables."""

from __future__ import annotations

from torch import Tensor, nn


class InfoGANGenerator(nn.Module):
    """Map latents (N, latent_dim) to images (N, 1, 28, 28) in [-1, 1].

    The output of the module ``maps``, shape (N, 128, 7, 7), is where the paper's refinement works.

    Args:
        latent_dim: Size of the latent. Default 62.

    Source: Chen et al., InfoGAN, NeurIPS 2016, appendix C.1. Departs from it in the tanh output,
    so that images lie in [-1, 1] as Liu et al. (AAAI 2020) have them.
    """

    def __init__(self, latent_dim: int = 62) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.Linear(latent_dim, 1024, bias=False),
            nn.BatchNorm1d(1024),
            nn.ReLU(),
            nn.Linear(1024, 128 * 7 * 7, bias=False),
            nn.BatchNorm1d(128 * 7 * 7),
            nn.ReLU(),
        )
        self.maps = nn.Unflatten(1, (128, 7, 7))
        self.render = nn.Sequential(
            nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        self.apply(_initialise)

    def forward(self, z: Tensor) -> Tensor:
        """Return images (N, 1, 28, 28) for latents (N, latent_dim)."""
        return self.render(self.maps(self.project(z)))


class InfoGANDiscriminator(nn.Module):
    """Give one logit, shape (N,), for each image (N, 1, 28, 28) in [-1, 1].

    Source: Chen et al., InfoGAN, NeurIPS 2016, appendix C.1; leaky ReLU slope .1, no sigmoid.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 64, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(64, 128, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(128 * 7 * 7, 1024, bias=False),
            nn.BatchNorm1d(1024),
            nn.LeakyReLU(0.1),
        )
        self.logit = nn.Linear(1024, 1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N,) for images (N, 1, 28, 28)."""
        return self.logit(self.features(x)).squeeze(1)


def _initialise(module: nn.Module) -> None:
    """Draw weights from N(0, .02^2), biases 0 (Radford et al. 2016).

    With torch's own, wider start the discriminator won within an epoch on both seeds tried, and
    the generator collapsed.
    """
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
