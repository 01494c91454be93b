"""A ratio network that looks at images through a frozen, trained backbone."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from torch import Tensor, nn

from gantandem.nets.classifier import DigitNetwork
from gantandem.nets.weights import load_weights


class DigitBackbone(DigitNetwork):
    """Features (N, 96) of images (N, 1, 28, 28) in [-1, 1], from a small classifier of digits.

    Of another architecture and another seed than ``MNISTClassifier``, by whose features images
    are measured: what judges must not be what measures. About 70k weights, made by
    ``python -m gantandem.training.classifier --network backbone``.
    """

    num_features = 96

    def __init__(self) -> None:
        super().__init__(
            *_block(1, 16, 1),
            nn.MaxPool2d(2),
            *_block(16, 32, 1),
            nn.MaxPool2d(2),
            *_block(32, 32, 2),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, self.num_features, bias=False),
            nn.BatchNorm1d(self.num_features),
            nn.ReLU(),
        )


def _block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


BACKBONES: dict[str, type[DigitBackbone]] = {"mnist-backbone": DigitBackbone}


class FeatureRatio(nn.Module):
    """Logits (N,) of a small head on the features of a frozen backbone.

    A discriminator fitted on pixels tells a generator's images from real ones by what no eye
    sees: a background not exactly black, the width of a stroke. Its ratio then picks the few
    images without these tells, whatever they show. Features of a network that was trained to
    see what images show leave the tells out. Sauer et al., Projected GANs Converge Faster,
    NeurIPS 2021, train with such discriminators; Kynkaanniemi et al., The Role of ImageNet
    Classes in Frechet Inception Distance, ICLR 2023, warn that a metric on related features
    then flatters.

    The backbone's weights are buffers: they are saved with the network, and no optimiser that
    is given its parameters changes them.

    Args:
        backbone: A shipped backbone, ``"mnist-backbone"``.
        hidden: Units of each of the head's two hidden layers.
        dropout: Share of them dropped while fitting.

    Raises:
        ValueError: If there is no such backbone.
    """

    def __init__(
        self, backbone: str = "mnist-backbone", hidden: int = 128, dropout: float = 0.2
    ) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"backbone {backbone!r}: allowed are {', '.join(BACKBONES)}")
        self.backbone = backbone
        network = BACKBONES[backbone]()
        load_weights(network, Path(str(files("gantandem") / "assets" / f"{backbone}.safetensors")))
        self.body = network.body.eval()
        for module in self.body.modules():
            for name, weight in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                module.register_buffer(name, weight.detach().clone())
        size = network.num_features
        self.head = nn.Sequential(
            nn.Linear(size, hidden),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def train(self, mode: bool = True) -> FeatureRatio:
        """Train the head; the backbone stays as it is."""
        super().train(mode)
        self.body.eval()
        return self

    def embed(self, x: Tensor) -> Tensor:
        """Return what the head sees of images (N, C, H, W): features, (N, size)."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N,) of images (N, C, H, W)."""
        return self.head(self.embed(x)).squeeze(1)
