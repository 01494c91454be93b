"""Network architectures by name, and their weight files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from gantandem.adapt import ADAPTERS
from gantandem.errors import ConfigError, look_up
from gantandem.nets.boosted import BoostedRatio, LinearRatio
from gantandem.nets.classifier import MNISTClassifier
from gantandem.nets.copying import copy_network
from gantandem.nets.features import FeatureRatio
from gantandem.nets.infogan import InfoGANDiscriminator, InfoGANGenerator
from gantandem.nets.mlp import MLPDiscriminator, MLPGenerator
from gantandem.nets.published import PUBLISHED
from gantandem.nets.ratio import ConditionalRatio, ConvRatio, MLPRatio
from gantandem.nets.weights import load_weights, save_weights
from gantandem.settings import plain

__all__ = ["NETS", "build", "load_weights", "save_weights"]

BUILT_FROM = "_gantandem_spec"
"""The attribute in which a network keeps the description that it was built from."""


def sequential(**layers: nn.Module) -> nn.Sequential:
    """A ``torch.nn.Sequential`` of layers by name: ``{"net": "sequential", "0": ...}``."""
    return nn.Sequential(OrderedDict(layers))


NETS: dict[str, Callable[..., nn.Module]] = {
    "mlp-generator": MLPGenerator,
    "mlp-discriminator": MLPDiscriminator,
    "infogan-generator": InfoGANGenerator,
    "infogan-discriminator": InfoGANDiscriminator,
    "dcgan-generator": PUBLISHED["generator"]["dcgan-generator-64"],
    "dcgan-discriminator": PUBLISHED["discriminator"]["dcgan-discriminator-64"],
    "mnist-classifier": MNISTClassifier,
    "mlp-ratio": MLPRatio,
    "linear-ratio": LinearRatio,
    "boosted-ratio": BoostedRatio,
    "conv-ratio": ConvRatio,
    "conditional-ratio": ConditionalRatio,
    "feature-ratio": FeatureRatio,
    "sequential": sequential,
    **PUBLISHED["generator"],
    **PUBLISHED["discriminator"],
    **ADAPTERS,
}
_LAYERS: dict[str, Callable[..., nn.Module]] = {
    f"torch.nn:{name}": kind
    for name, kind in vars(nn).items()
    if isinstance(kind, type) and issubclass(kind, nn.Module)
}
TORCH = frozenset(_LAYERS)
"""The layers of torch, which a description names as anybody's classes; files may name them."""


Given = Sequence[tuple[Mapping[str, Any], nn.Module]]
"""Descriptions of networks that are at hand, with the networks."""


def build(spec: Mapping[str, Any], given: Given = ()) -> nn.Module:
    """Build a network from its description, freshly initialised.

    Args:
        spec: ``{"net": name, **arguments}``, the name one of ``NETS`` or ``"module:Class"`` for
            any subclass of ``torch.nn.Module`` that can be imported. A network among the arguments
            is described alike.
        given: Networks that are copied where their description stands, instead of built.

    Raises:
        ConfigError: If the name is unknown or the arguments do not suit the network.

    >>> build({"net": "mlp-generator", "width": 64}).main[0].out_features
    64
    """
    at_hand = next((network for known, network in given if known == spec), None)
    if at_hand is not None:
        return copy_network(at_hand)
    arguments = {key: _built(value, given) for key, value in spec.items()}
    name = arguments.pop("net", None)
    if not isinstance(name, str):
        raise ConfigError(f"a network needs the key 'net' with its name, got {dict(spec)!r}")
    make: Any = look_up("network", name, {**NETS, **_LAYERS}, nn.Module)
    if name in TORCH:  # whose layers want tuples, where files have lists
        arguments = {key: plain(value) for key, value in arguments.items()}
    try:
        network = make(**arguments)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]  # torch adds where in its own code it was
        raise ConfigError(f"network {name!r} does not take {arguments!r}: {reason}") from error
    if not isinstance(network, nn.Module):  # a class may make what it likes
        raise ConfigError(f"network {name!r} makes a {type(network).__name__}, not an nn.Module")
    vars(network)[BUILT_FROM] = dict(spec)
    return network


def _built(value: Any, given: Given) -> Any:
    return build(value, given) if isinstance(value, Mapping) and "net" in value else value
