"""A ratio network that looks at images through a frozen, trained backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.nets.backbones import DigitBackbone, Seen, make_backbone, pooled
from gantandem.nets.copying import copy_network

__all__ = ["DigitBackbone", "FeatureRatio"]
DEFAULT = "mnist-backbone"


class FeatureRatio(nn.Module):
    """Logits (N,) of a small head on the features of a frozen backbone.

    A discriminator fitted on pixels tells a generator's images from real ones by what no eye
    sees: a background not exactly black, the width of a stroke. Its ratio then picks the few
    images without these tells, whatever they show. Features of a network that was trained to
    see what images show leave the tells out. Sauer et al., Projected GANs Converge Faster,
    NeurIPS 2021, train with such discriminators; Kynkaanniemi et al., The Role of ImageNet
    Classes in Frechet Inception Distance, ICLR 2023, warn that a metric on related features
    then flatters.

    The backbone is a copy in eval mode that stays so. Its weights are buffers: they are saved with
    the network, and no optimiser that is given its parameters changes them.

    Args:
        backbone: A module that takes images as the generator makes them and gives features (N, F)
            or maps (N, F, h, w); or a name, see ``gantandem.nets.backbones``: ``"mnist-backbone"``
            (the default), ``"efficientnet-lite0"``, ``"timm:resnet18"``, ...
        hidden: Units of each of the head's two hidden layers.
        dropout: Share of them dropped while fitting.
        features: F; None takes the backbone's ``num_features``.
        classes: Number of labels, where samples are scored given their labels; else 0.
        low: The generator's black, for a backbone by its name ...
        high: ... and its white.
        size: To which images are resized for a backbone by its name; None for what it was trained
            on. Its cost grows with the square.
        pretrained: Whether a backbone by its name is made with its weights. False where weights of
            a file fill it.

    Raises:
        ValueError: If there is no such backbone, or the number of its features is not known.
        MissingExtraError: If it needs a package that is not installed.
    """

    def __init__(
        self,
        backbone: str | nn.Module | None = None,
        hidden: int = 128,
        dropout: float = 0.2,
        features: int | None = None,
        classes: int = 0,
        low: float = -1.0,
        high: float = 1.0,
        size: int | None = None,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        backbone = DEFAULT if backbone is None else backbone
        self._name = backbone if isinstance(backbone, str) else None
        if isinstance(backbone, str):
            bounds = {"low": low, "high": high, "size": size}
            body = make_backbone(backbone, pretrained=pretrained, **bounds)
        else:
            body = copy_network(backbone)
        self.body = _freeze(body)
        self.hidden, self.dropout, self.classes = hidden, dropout, classes
        self.low, self.high, self.size = low, high, size
        self.pretrained = False  # a description of this network is filled with its weights
        known = getattr(body, "num_features", None) if features is None else features
        if not isinstance(known, int):
            raise ValueError(
                f"backbone {type(body).__name__}: it has no attribute num_features; pass "
                "features=, the number of columns that it returns"
            )
        self.features = known
        self.head = nn.Sequential(
            nn.Linear(known + classes, hidden),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    @property
    def backbone(self) -> str | nn.Module:
        """The name of the backbone, or the backbone itself."""
        return self.body if self._name is None else self._name

    def train(self, mode: bool = True) -> FeatureRatio:
        """Train the head; the backbone stays as it is."""
        super().train(mode)
        self.body.eval()
        return self

    def embed(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Return what the head sees of images (N, C, H, W): features, (N, size).

        With ``classes`` the labels (N,) stand behind them, a column for each.
        """
        seen = pooled(self.body(x))
        if not self.classes or cond is None:
            return seen
        return torch.cat([seen, F.one_hot(cond, self.classes).to(seen.dtype)], 1)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Return logits (N,) of images (N, C, H, W), given their labels (N,) with ``classes``."""
        return self.head(self.embed(x, cond)).squeeze(1)


def _freeze(body: nn.Module) -> nn.Module:
    """The network in eval mode, its weights as buffers."""
    for module in body.modules():
        if isinstance(module, torch.jit.ScriptModule | nn.RNNBase):  # which must keep them
            module.requires_grad_(False)
            continue
        for name, weight in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, weight.detach().clone())
    return body.eval()


def feature_count(body: nn.Module, x: Tensor, name: str | None = None) -> int:
    """How many features a backbone gives of samples (N, *x_shape).

    Args:
        body: The backbone.
        x: Samples of the generator.
        name: What messages call it; None for its class.

    Raises:
        ValueError: If it gives none, or does not take the samples.
    """
    network = copy_network(body).eval().to(x.device)
    try:
        with torch.no_grad():
            return pooled(network(x)).shape[1]
    except (RuntimeError, TypeError, IndexError, AttributeError, AssertionError) as error:
        points, own = x.dim() < 4, name or type(body).__name__
        data = f"{'points' if points else 'images'} of shape {tuple(x.shape[1:])}"
        wrap = (
            "The data are not images: leave backbone out, or give a network that takes such points"
            if points
            else "It must take the images as they are: wrap it in "
            "gantandem.nets.backbones.Seen(network, num_features, size=224), which resizes "
            "and normalises them"
        )
        if isinstance(body, Seen) and not points:
            wrap = (
                f"The images were resized to {body.size}. State the size that it takes, as in "
                "'NAME@224'"
            )
        raise ValueError(
            f"backbone {own} does not take {data}{_taken(body)}: {error}. {wrap}"
        ) from error


def _taken(body: nn.Module) -> str:
    """What the first layer of a network takes, in words; or nothing."""
    for layer in body.modules():
        if isinstance(layer, nn.Conv2d):
            return f" (its first layer takes images of {layer.in_channels} channels)"
        if isinstance(layer, nn.Linear):
            return f" (its first layer takes rows of {layer.in_features})"
    return ""
