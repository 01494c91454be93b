"""What a network returns: one of several things, maps of scores, classes, or the wrong sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from gantandem.adapt.base import Adapter
from gantandem.errors import InputError


class Item(Adapter):
    """One of the things that a network returns: ``Item(D, 0)`` of a tuple (score, features).

    Args:
        network: What returns a tuple, a list, a dict or an object with attributes.
        item: Place, key or attribute.
    """

    def __init__(self, network: nn.Module, item: int | str) -> None:
        super().__init__(network)
        self.item = item

    def forward(self, *inputs: Any) -> Any:
        """Take it; InputError if there is none."""
        return _item(self.network(*inputs), self.item)


def _item(value: Any, item: int | str) -> Any:
    try:
        by_name = isinstance(item, str) and not isinstance(value, Mapping)
        return getattr(value, str(item)) if by_name else value[item]
    except (AttributeError, LookupError, TypeError):
        raise InputError(
            f"Item: the network returns {shown(value)}, which has no item {item!r}"
        ) from None


def shown(value: Any) -> str:
    """What a network returned, in a few words: kinds and shapes."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a dict of {', '.join(f'{k!r}: {shown(v)}' for k, v in value.items())}"
    if isinstance(value, tuple | list):
        kind = "list" if isinstance(value, list) else "tuple"
        return f"a {kind} of {', '.join(map(shown, value))}" if value else f"an empty {kind}"
    fields = {k: v for k, v in getattr(value, "__dict__", {}).items() if isinstance(v, Tensor)}
    inside = ", ".join(f"{name}: {shown(field)}" for name, field in fields.items())
    return type(value).__name__ + (f" with {inside}" if inside else "")


class Mean(Adapter):
    """Scores of patches, of scales, or both: the mean of each map, and of those the mean.

    Args:
        network: What returns a map (N, ...), or a list of maps, however deep.
        item: Where each scale is a list (features first, its score last), which of it is the score:
            ``-1``. None, the default, takes every tensor for a score.
    """

    def __init__(self, network: nn.Module, item: int | None = None) -> None:
        super().__init__(network)
        self.item = item

    def forward(self, *inputs: Any) -> Tensor:
        """Scores (N,)."""
        value = self.network(*inputs)
        if self.item is not None:
            value = [_item(scale, self.item) for scale in value]
        maps = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
        if not maps:
            raise InputError(
                f"Mean: the network returns {shown(value)}, but scores (N, ...) are needed"
            )
        return torch.stack([one.reshape(len(one), -1).mean(1) for one in maps]).mean(0)


class LogOdds(Adapter):
    """Classes, one of them "generated": its log odds against all others.

    Args:
        network: Returns (N, K) logits of classes.
        fake: Which class stands for generated samples; -1 is the last one. Default 0.
    """

    def __init__(self, network: nn.Module, fake: int = 0) -> None:
        super().__init__(network)
        self.fake = fake

    def forward(self, *inputs: Any) -> Tensor:
        """Logits (N,): log of the sum of all other classes over this one."""
        value = self.network(*inputs)
        fake = self.fake % value.shape[1]
        others = torch.cat([value[:, :fake], value[:, fake + 1 :]], 1)
        return others.logsumexp(1) - value[:, fake]


class ByLabel(Adapter):
    """A score for each class, of which the one of the condition counts: (N, K, ...) to (N, ...).

    The network itself is called on the sample alone (StarGAN v2, and others of many domains).
    """

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Choose the score of each row's label."""
        value = self.network(x)
        return value[torch.arange(len(value), device=value.device), labels]


class Negated(Adapter):
    """The other sign: for a discriminator that learnt 1 for generated samples.

    Of one that gives probabilities take the sigmoid off first: ``Negated(BeforeSigmoid(D))``.
    """

    def forward(self, *inputs: Any) -> Tensor:
        """Minus the score."""
        return -self.network(*inputs)


class Then(Adapter):
    """Something done to what the network returns: ``Then(G, nn.Tanh())``.

    Args:
        network: What is called first.
        after: A module, or a function; a GAN with a function cannot say how it is saved.
    """

    def __init__(self, network: nn.Module, after: nn.Module | Callable[[Any], Any]) -> None:
        super().__init__(network)
        self.after = after

    def forward(self, *inputs: Any) -> Any:
        """Call both."""
        return self.after(self.network(*inputs))


class Plus(Adapter):
    """The sum of two scores, as of several discriminators: ``Plus(Mean(mpd), Mean(msd))``.

    Args:
        network: One of them.
        other: The other one.
    """

    def __init__(self, network: nn.Module, other: nn.Module) -> None:
        super().__init__(network)
        self.other = other

    def forward(self, *inputs: Any) -> Tensor:
        """Add the scores."""
        scores = (part(*inputs) for part in (self.network, self.other))
        first, second = (score.reshape(len(score), -1).mean(1) for score in scores)
        return first + second


fx.wrap("_item")  # what looks at values is one step of a traced generator
