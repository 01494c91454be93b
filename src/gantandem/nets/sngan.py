"""SNGAN for 32x32 images, unconditional and by class, weights named as in mimicry."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.nets.architecture import Published, Shapes
from gantandem.nets.residual import DownBlock, FirstBlock, UpBlock


class SNGANGenerator32(Published):
    """Map latents (N, latent_dim) to images (N, channels, 32, 32) in [-1, 1].

    A linear layer to 4x4 and three residual blocks, each of which doubles the size.

    Args:
        latent_dim: Size of the latent, a standard normal. Default 128.
        channels: Of the images. Default 3.
        filters: Of every layer. Default 256.
        mimicry: Double bilinearly, as mimicry does, not by repeating, as the paper's code does.
            What mimicry trained needs it; the names and shapes are the same. Default False.

    Source: Miyato et al., Spectral Normalization for Generative Adversarial Networks, ICLR 2018,
    Table 4; weights named as in mimicry (``SNGANGenerator32``).
    """

    def __init__(
        self,
        latent_dim: int = 128,
        channels: int = 3,
        filters: int = 256,
        mimicry: bool = False,
    ) -> None:
        super().__init__()
        self._make(latent_dim, channels, filters, 0, mimicry)

    def _make(
        self, latent_dim: int, channels: int, filters: int, classes: int, mimicry: bool
    ) -> None:
        self.mimicry = mimicry
        self.l1 = nn.Linear(latent_dim, 16 * filters)
        self.block2 = UpBlock(filters, filters, classes, mimicry)
        self.block3 = UpBlock(filters, filters, classes, mimicry)
        self.block4 = UpBlock(filters, filters, classes, mimicry)
        self.b5 = nn.BatchNorm2d(filters)
        self.c5 = nn.Conv2d(filters, channels, 3, padding=1)

    def forward(self, z: Tensor, *labels: Tensor) -> Tensor:
        """Return images (N, channels, 32, 32) for latents (N, latent_dim)."""
        h = self.l1(z.flatten(1)).unflatten(1, (-1, 4, 4))
        for block in (self.block2, self.block3, self.block4):
            h = block(h, *labels)
        return self.c5(F.relu(self.b5(h))).tanh()

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        channels, filters, *_ = shapes["c5.weight"]
        return {"latent_dim": shapes["l1.weight"][1], "channels": channels, "filters": filters}


class SNGANConditionalGenerator32(SNGANGenerator32):
    """Map latents (N, latent_dim) and labels (N,) to images (N, channels, 32, 32) in [-1, 1].

    As :class:`SNGANGenerator32`, with conditional BatchNorm in the blocks.

    Args:
        latent_dim: Size of the latent, a standard normal. Default 128.
        channels: Of the images. Default 3.
        filters: Of every layer. Default 256.
        classes: Labels are 0 to ``classes - 1``. Default 10.
        mimicry: As for :class:`SNGANGenerator32`. Default False.

    Source: Miyato and Koyama, cGANs with Projection Discriminator, ICLR 2018; weights named as in
    mimicry (``CGANPDGenerator32``).
    """

    def __init__(
        self,
        latent_dim: int = 128,
        channels: int = 3,
        filters: int = 256,
        classes: int = 10,
        mimicry: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self._make(latent_dim, channels, filters, classes, mimicry)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Return images (N, channels, 32, 32) for latents (N, latent_dim) and labels (N,)."""
        return super().forward(z, labels)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        classes = shapes["block2.b1.embed.weight"][0]
        return {**super().read_arguments(shapes), "classes": classes}


class SNGANDiscriminator32(Published):
    """Give one score, shape (N,), for each image (N, channels, 32, 32) in [-1, 1].

    Four residual blocks, a sum over places and a linear layer. The weights are the normalised
    ones: files with spectral norm are read so. What is trained on from here has no such norm.

    Args:
        channels: Of the images. Default 3.
        filters: Of every layer. Default 128.
        mimicry: What goes around the later blocks is rectified, as in mimicry, whose ReLU works in
            place, and not in the paper's code. What mimicry trained needs it. Default False.

    Source: as :class:`SNGANGenerator32`; mimicry's ``SNGANDiscriminator32``.
    """

    def __init__(self, channels: int = 3, filters: int = 128, mimicry: bool = False) -> None:
        super().__init__()
        self.mimicry = mimicry
        self.block1 = FirstBlock(channels, filters)
        self.block2 = DownBlock(filters, filters, rectified=mimicry)
        self.block3 = DownBlock(filters, filters, down=False, rectified=mimicry)
        self.block4 = DownBlock(filters, filters, down=False, rectified=mimicry)
        self.l5 = nn.Linear(filters, 1)

    def features(self, x: Tensor) -> Tensor:
        """Return what the last layer sees, (N, filters)."""
        for block in (self.block1, self.block2, self.block3, self.block4):
            x = block(x)
        return F.relu(x).sum((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (N,) for images (N, channels, 32, 32)."""
        return self.l5(self.features(x)).squeeze(1)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        filters, channels, *_ = shapes["block1.c1.weight"]
        return {"channels": channels, "filters": filters}


class SNGANConditionalDiscriminator32(SNGANDiscriminator32):
    """Give one score, shape (N,), for each image (N, channels, 32, 32) with a label (N,).

    As :class:`SNGANDiscriminator32`, plus the projection of the features on the label's row.

    Args:
        channels: Of the images. Default 3.
        filters: Of every layer. Default 128.
        classes: Labels are 0 to ``classes - 1``. Default 10.
        mimicry: As for :class:`SNGANDiscriminator32`. Default False.

    Source: as :class:`SNGANConditionalGenerator32`, equation 3; mimicry's
    ``CGANPDDiscriminator32``.
    """

    def __init__(
        self, channels: int = 3, filters: int = 128, classes: int = 10, mimicry: bool = False
    ) -> None:
        super().__init__(channels, filters, mimicry)
        self.l_y = nn.Embedding(classes, filters)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Return scores (N,) for images (N, channels, 32, 32) and labels (N,)."""
        h = self.features(x)
        return self.l5(h).squeeze(1) + (self.l_y(labels) * h).sum(1)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        return {**super().read_arguments(shapes), "classes": shapes["l_y.weight"][0]}
