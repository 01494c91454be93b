"""How a network takes its condition: one-hot, embedded, by keyword, in a dict, joined, or not."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx, nn

from gantandem.adapt.base import Adapter, check_names
from gantandem.errors import InputError


class Keyword(Adapter):
    """The condition by keyword: ``Keyword(G, "y")`` calls ``G(z, y=condition)``.

    Args:
        network: What is called.
        name: Of the argument.
        input: Of the latent's or sample's argument, ``G(z=z, y=condition)``; None, the default,
            gives it by its place.

    Raises:
        InputError: If the network's forward has no such argument.
    """

    def __init__(self, network: nn.Module, name: str, input: str | None = None) -> None:
        super().__init__(network)
        self.name, self.input = name, input
        names = [name] if input is None else [name, input]
        check_names(self, names, f"adapt.Keyword({{}}, {', '.join(map(repr, names))})")

    def forward(self, x: Any, cond: Any) -> Any:
        """Call the network."""
        if self.input is None:
            return self.network(x, **{self.name: cond})
        return self.network(**{self.input: x, self.name: cond})


class AsDict(Adapter):
    """Inputs in a dict: ``AsDict(G, "y")`` calls ``G(z, {"y": condition})``.

    Args:
        network: What is called.
        condition: The condition's key.
        input: The latent's or sample's key, ``G({"z": z, "y": condition})``; None, the default,
            gives it as it is.
    """

    def __init__(self, network: nn.Module, condition: str, input: str | None = None) -> None:
        super().__init__(network)
        self.condition, self.input = condition, input

    def forward(self, x: Any, *cond: Any) -> Any:
        """Call the network."""
        beside = dict(zip([self.condition], cond, strict=False))
        if self.input is None:
            return self.network(x, beside)
        return self.network({self.input: x, **beside})


class OneHot(Adapter):
    """Labels as one-hot vectors: (N,) integers to (N, classes) numbers.

    Args:
        network: What takes the vectors.
        classes: How many there are.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__(network)
        self.classes = classes

    def forward(self, x: Any, labels: Tensor) -> Any:
        """Call the network; InputError for a label that is none of 0 to classes - 1."""
        return self.network(x, _one_hot(labels, self.classes))


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    if labels.is_floating_point() or labels.dim() != 1:
        raise InputError(
            f"OneHot: got conditions of shape {tuple(labels.shape)}, {labels.dtype}; allowed are "
            "labels (N,), integers"
        )
    every = torch.arange(classes, device=labels.device)
    vectors = labels[:, None] == every
    known = vectors.any(1)
    if not bool(known.all()):
        wrong = int(labels[~known][0])
        raise InputError(f"OneHot: got the label {wrong}, allowed are 0 to {classes - 1}")
    return vectors.to(torch.get_default_dtype())


class Embedded(Adapter):
    """Labels through the network's own embedding: BigGAN's ``G(z, G.shared(y))``.

    The discriminator takes the labels as they are: ``GAN(Embedded(G), D, ..., condition=labels)``.

    Args:
        network: What takes embedded labels.
        name: The attribute that embeds.
    """

    def __init__(self, network: nn.Module, name: str = "shared") -> None:
        super().__init__(network)
        self.name = name
        if not isinstance(getattr(self.network, name, None), nn.Module):
            raise InputError(
                f"Embedded: {type(self.network).__name__} has no module {name!r} to embed labels; "
                "pass the name of the module that does, name=..."
            )

    def forward(self, x: Any, labels: Tensor) -> Any:
        """Call the network."""
        return self.network(x, getattr(self.network, self.name)(labels))


class Joined(Adapter):
    """The condition beside the input: vectors as further columns, maps as further channels.

    A condition of shape (N, k) beside maps (N, c, h, w) becomes k channels of equal values. Labels
    first become one-hot: ``OneHot(Joined(D), 10)``.
    """

    def forward(self, x: Tensor, cond: Tensor) -> Any:
        """Call the network on (N, c + k, ...)."""
        return self.network(_joined(x, cond))


def _joined(x: Tensor, cond: Tensor) -> Tensor:
    if cond.dim() < x.dim():
        cond = cond.reshape(len(cond), math.prod(cond.shape[1:]), *[1] * (x.dim() - 2))
        cond = cond.expand(*cond.shape[:2], *x.shape[2:])
    return torch.cat([x, cond.to(x.dtype)], 1)


class WithoutCondition(Adapter):
    """A network that knows no condition, beside one that does."""

    def forward(self, x: Any, *cond: Any) -> Any:
        """Call the network on the sample alone."""
        return self.network(x)


fx.wrap("_one_hot")  # what looks at values is one step of a traced generator
fx.wrap("_joined")
