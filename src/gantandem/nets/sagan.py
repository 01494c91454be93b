"""SAGAN for 128x128 images by class, weights named as in mimicry."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.nets.architecture import Published, Shapes
from gantandem.nets.residual import Attention, DownBlock, FirstBlock, UpBlock


class SAGANGenerator128(Published):
    """Map latents (N, latent_dim) and labels (N,) to images (N, channels, 128, 128) in [-1, 1].

    A linear layer to 4x4 and five residual blocks with conditional BatchNorm, self-attention at
    32x32. The weights are the normalised ones: files with spectral norm are read so.

    Args:
        latent_dim: Size of the latent, a standard normal. Default 128.
        channels: Of the images. Default 3.
        filters: Of the first block; a multiple of 32. Default 1024.
        classes: Labels are 0 to ``classes - 1``. Default 1000.

    Source: Zhang et al., Self-Attention Generative Adversarial Networks, ICML 2019; weights named
    as in mimicry (``SAGANGenerator128``).
    """

    side: ClassVar = 4
    """Height and width of the first maps; the images have 32 times as many."""

    def __init__(
        self,
        latent_dim: int = 128,
        channels: int = 3,
        filters: int = 1024,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        sizes = [filters, filters, filters // 2, filters // 4, filters // 8, filters // 16]
        self.l1 = nn.Linear(latent_dim, self.side**2 * filters)
        self.block2 = UpBlock(sizes[0], sizes[1], classes, smooth=True)
        self.block3 = UpBlock(sizes[1], sizes[2], classes, smooth=True)
        self.block4 = UpBlock(sizes[2], sizes[3], classes, smooth=True)
        self.attn_block = Attention(sizes[3])
        self.block5 = UpBlock(sizes[3], sizes[4], classes, smooth=True)
        self.block6 = UpBlock(sizes[4], sizes[5], classes, smooth=True)
        self.b7 = nn.BatchNorm2d(sizes[5])
        self.c7 = nn.Conv2d(sizes[5], channels, 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images (N, channels, 128, 128) for latents (N, latent_dim) and labels (N,)."""
        h = self.l1(z.flatten(1)).unflatten(1, (-1, self.side, self.side))
        for block in (self.block2, self.block3, self.block4):
            h = block(h, labels)
        h = self.block6(self.block5(self.attn_block(h), labels), labels)
        return self.c7(F.relu(self.b7(h))).tanh()

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        classes, double = shapes["block2.b1.embed.weight"]
        sizes = {"channels": shapes["c7.weight"][0], "filters": double // 2}
        return {"latent_dim": shapes["l1.weight"][1], **sizes, "classes": classes}


class SAGANDiscriminator128(Published):
    """Give one score, shape (N,), for each image (N, channels, 128, 128) with a label (N,).

    Six residual blocks, self-attention at 32x32, a sum over places, and the projection on the
    label's row. The weights are the normalised ones.

    Args:
        channels: Of the images. Default 3.
        filters: Of the last block; a multiple of 64. Default 1024.
        classes: Labels are 0 to ``classes - 1``. Default 1000.

    Source: as :class:`SAGANGenerator128`; mimicry's ``SAGANDiscriminator128``.
    """

    def __init__(self, channels: int = 3, filters: int = 1024, classes: int = 1000) -> None:
        super().__init__()
        sizes = [filters // 16, filters // 8, filters // 4, filters // 2, filters]
        self.block1 = FirstBlock(channels, sizes[0])
        self.block2 = DownBlock(sizes[0], sizes[1], rectified=True)
        self.attn_block = Attention(sizes[1])
        self.block3 = DownBlock(sizes[1], sizes[2], rectified=True)
        self.block4 = DownBlock(sizes[2], sizes[3], rectified=True)
        self.block5 = DownBlock(sizes[3], sizes[4], rectified=True)
        self.block6 = DownBlock(sizes[4], sizes[4], down=False, rectified=True)
        self.l7 = nn.Linear(filters, 1)
        self.l_y = nn.Embedding(classes, filters)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return scores (N,) for images (N, channels, 128, 128) and labels (N,)."""
        h = self.attn_block(self.block2(self.block1(x)))
        for block in (self.block3, self.block4, self.block5, self.block6):
            h = block(h)
        h = F.relu(h).sum((2, 3))
        return self.l7(h).squeeze(1) + (self.l_y(labels) * h).sum(1)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        classes, filters = shapes["l_y.weight"]
        channels = shapes["block1.c1.weight"][1]
        return {"channels": channels, "filters": filters, "classes": classes}
