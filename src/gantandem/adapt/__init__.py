"""What fits networks to other code and other code to networks.

An adapter is a module around a network, one line each, and they nest:

    gan = gt.GAN(adapt.Keyword(G, "y"), adapt.Item(D, 0), latent=128, condition=labels)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml
from torch import nn

from gantandem.adapt.base import Adapter
from gantandem.adapt.conditions import (
    AsDict,
    Embedded,
    Joined,
    Keyword,
    OneHot,
    WithoutCondition,
)
from gantandem.adapt.inputs import OwnType, Parts, Reshape, Twice, With
from gantandem.adapt.noise import FixedNoise, NoiseFromLatent
from gantandem.adapt.outputs import ByLabel, Item, LogOdds, Mean, Negated, Plus, Then
from gantandem.adapt.packing import AgainstBatch, Packed
from gantandem.adapt.sigmoid import BeforeSigmoid
from gantandem.adapt.truncation import TruncatedW, average_w
from gantandem.errors import ConfigError, InputError, look_up

__all__ = [
    "ADAPTERS",
    "Adapter",
    "AgainstBatch",
    "AsDict",
    "BeforeSigmoid",
    "ByLabel",
    "Embedded",
    "FixedNoise",
    "Item",
    "Joined",
    "Keyword",
    "LogOdds",
    "Mean",
    "Negated",
    "NoiseFromLatent",
    "OneHot",
    "OwnType",
    "Packed",
    "Parts",
    "Plus",
    "Reshape",
    "Then",
    "TruncatedW",
    "Twice",
    "With",
    "WithoutCondition",
    "average_w",
    "wrapped",
]

ADAPTERS: dict[str, type[nn.Module]] = {
    "reshape": Reshape,
    "parts": Parts,
    "with": With,
    "twice": Twice,
    "own-type": OwnType,
    "keyword": Keyword,
    "as-dict": AsDict,
    "one-hot": OneHot,
    "embedded": Embedded,
    "joined": Joined,
    "by-label": ByLabel,
    "without-condition": WithoutCondition,
    "item": Item,
    "mean": Mean,
    "log-odds": LogOdds,
    "negated": Negated,
    "then": Then,
    "plus": Plus,
    "before-sigmoid": BeforeSigmoid,
    "fixed-noise": FixedNoise,
    "noise-from-latent": NoiseFromLatent,
    "against-batch": AgainstBatch,
    "packed": Packed,
    "truncated-w": TruncatedW,
}
"""By the name that files and the command line use."""


def wrapped(network: nn.Module, texts: Sequence[str]) -> nn.Module:
    """Put adapters around a network, as the command line writes them.

    Args:
        network: What is adapted.
        texts: ``"name"`` or ``"name=value"``, the innermost first; the value is that of the first
            argument behind the network, in YAML or as a shape: ``item=0``, ``reshape=100x1x1``,
            ``with={noise_mode: const}``. Further ones follow by name: ``as-dict=label,input=z``.
            ``"module:Class"`` names a module of one's own.

    Raises:
        ConfigError: If there is no such adapter, or it does not take that value.

    >>> wrapped(nn.Linear(4, 1), ["reshape=4", "mean"]).network.shape
    (4,)
    """
    for text in texts:
        name, given, value = text.partition("=")
        kind: Any = look_up("adapter", name.strip(), ADAPTERS, nn.Module)
        first, *others = re.split(r",\s*(?=[a-z_]+=)", value)
        arguments = [_read(first, text)] if given else []
        pairs = (other.partition("=") for other in others)
        named = {key: _read(other, text) for key, _, other in pairs}
        try:
            network = kind(network, *arguments, **named)
        except TypeError as error:
            reason = str(error).partition("() ")[2] or str(error)
            raise ConfigError(
                f"adapter {text!r}: {reason}; write {name}=VALUE, or only {name} if it takes no "
                "value"
            ) from None
        except InputError as error:
            raise ConfigError(f"adapter {text!r}: {error}") from None
    return network


def _read(value: str, text: str) -> Any:
    sizes = value.strip().split("x")
    if len(sizes) > 1 and all(size.lstrip("-").isdigit() for size in sizes):
        return tuple(map(int, sizes))
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"adapter {text!r}: {value!r} is not YAML ({error})") from None
