"""CycleGAN's translator and PatchGAN, weights named as in pytorch-CycleGAN-and-pix2pix."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gantandem.nets.architecture import Published, Shapes


class CycleGANGenerator(Published):
    """Map images (N, channels, H, W) to images (N, out_channels, H, W) in [-1, 1]; H, W in fours.

    Two convolutions of stride 2, residual blocks, two transposed convolutions; instance norm.

    Args:
        channels: Of the images that go in, which are the latents. Default 3.
        out_channels: Of those that come out. Default 3.
        filters: Of the first layer; the blocks have four times as many. Default 64.
        blocks: Residual blocks; the paper has 9 for 256x256, 6 for 128x128. Default 9.

    Source: Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
    Networks, ICCV 2017, section 7.1; weights named as in pytorch-CycleGAN-and-pix2pix
    (``resnet_9blocks``, instance norm, no dropout).
    """

    def __init__(
        self, channels: int = 3, out_channels: int = 3, filters: int = 64, blocks: int = 9
    ) -> None:
        super().__init__()
        wide = 4 * filters
        layers: list[nn.Module] = [nn.ReflectionPad2d(3)]
        layers += _normed(nn.Conv2d(channels, filters, 7))
        layers += _normed(nn.Conv2d(filters, 2 * filters, 3, 2, 1))
        layers += _normed(nn.Conv2d(2 * filters, wide, 3, 2, 1))
        layers += [ResidualBlock(wide) for _ in range(blocks)]
        layers += _normed(nn.ConvTranspose2d(wide, 2 * filters, 3, 2, 1, 1))
        layers += _normed(nn.ConvTranspose2d(2 * filters, filters, 3, 2, 1, 1))
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(filters, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return images (N, out_channels, H, W) for images (N, channels, H, W)."""
        return self.model(x)

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        filters, channels, *_ = shapes["model.1.weight"]
        blocks = sum(name.endswith(".conv_block.1.weight") for name in shapes)
        last = shapes[f"model.{17 + blocks}.weight"]
        sizes = {"channels": channels, "out_channels": last[0]}
        return {**sizes, "filters": filters, "blocks": blocks}


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, added to what goes in.

    Args:
        size: Channels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), *_normed(nn.Conv2d(size, size, 3))]
        second = [nn.ReflectionPad2d(1), *_normed(nn.Conv2d(size, size, 3))[:2]]
        self.conv_block = nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the shape of x, (N, size, H, W)."""
        return x + self.conv_block(x)


class PatchGANDiscriminator(Published):
    """Give one score, shape (N,), for each image (N, channels, H, W): the mean over its patches.

    4x4 convolutions, of stride 2 but for the last two; instance norm and leaky ReLU (slope .2).
    With three layers of stride 2 each patch has 70x70 pixels.

    Args:
        channels: Of the images. Default 3.
        filters: Of the first layer. Default 64.
        layers: Of stride 2. Default 3.
        patches: Give the map (N, 1, h, w), as the original does, not its mean. Default False.

    Source: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, CVPR
    2017, section 3.2.2; weights named as in pytorch-CycleGAN-and-pix2pix (``NLayerDiscriminator``,
    instance norm).
    """

    def __init__(
        self, channels: int = 3, filters: int = 64, layers: int = 3, patches: bool = False
    ) -> None:
        super().__init__()
        self.patches = patches
        made: list[nn.Module] = [nn.Conv2d(channels, filters, 4, 2, 1), nn.LeakyReLU(0.2)]
        size = filters
        for index in range(1, layers + 1):
            wider = filters * min(2**index, 8)
            stride = 2 if index < layers else 1
            made += _normed(nn.Conv2d(size, wider, 4, stride, 1))[:2] + [nn.LeakyReLU(0.2)]
            size = wider
        self.model = nn.Sequential(*made, nn.Conv2d(size, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (N,) for images (N, channels, H, W)."""
        scores = self.model(x)
        return scores if self.patches else scores.mean((1, 2, 3))

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights."""
        filters, channels, *_ = shapes["model.0.weight"]
        layers = sum(name.endswith(".weight") for name in shapes) - 2
        shapes[f"model.{2 + 3 * layers}.weight"]
        return {"channels": channels, "filters": filters, "layers": layers}


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]
