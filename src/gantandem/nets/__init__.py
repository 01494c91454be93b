"""Network architectures by name, and their weight files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from gantandem.errors import ConfigError, look_up
from gantandem.nets.boosted import BoostedRatio, LinearRatio
from gantandem.nets.classifier import MNISTClassifier
from gantandem.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from gantandem.nets.features import FeatureRatio
from gantandem.nets.infogan import InfoGANDiscriminator, InfoGANGenerator
from gantandem.nets.mlp import MLPDiscriminator, MLPGenerator
from gantandem.nets.ratio import ConditionalRatio, ConvRatio, MLPRatio
from gantandem.nets.sigmoid import BeforeSigmoid
from gantandem.nets.weights import load_weights, save_weights

__all__ = ["NETS", "build", "load_weights", "save_weights"]

NETS: dict[str, type[nn.Module]] = {
    "mlp-generator": MLPGenerator,
    "mlp-discriminator": MLPDiscriminator,
    "infogan-generator": InfoGANGenerator,
    "infogan-discriminator": InfoGANDiscriminator,
    "dcgan-generator": DCGANGenerator,
    "dcgan-discriminator": DCGANDiscriminator,
    "mnist-classifier": MNISTClassifier,
    "before-sigmoid": BeforeSigmoid,
    "mlp-ratio": MLPRatio,
    "linear-ratio": LinearRatio,
    "boosted-ratio": BoostedRatio,
    "conv-ratio": ConvRatio,
    "conditional-ratio": ConditionalRatio,
    "feature-ratio": FeatureRatio,
}


def build(spec: Mapping[str, Any]) -> nn.Module:
    """Build a network from its description, freshly initialised.

    Args:
        spec: ``{"net": name, **arguments}``, the name one of ``NETS`` or ``"module:Class"`` for
            any class that can be imported. A network among the arguments is described alike.

    Raises:
        ConfigError: If the name is unknown or the arguments do not suit the network.

    >>> build({"net": "mlp-generator", "width": 64}).main[0].out_features
    64
    """
    arguments = {key: _built(value) for key, value in spec.items()}
    name = arguments.pop("net", None)
    if not isinstance(name, str):
        raise ConfigError(f"a network needs a name under 'net', got {dict(spec)!r}")
    make = look_up("network", name, NETS)
    try:
        network = make(**arguments)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise ConfigError(f"network {name!r} does not take {arguments!r}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"network {name!r} gives a {type(network).__name__}, not an nn.Module")
    return network


def _built(value: Any) -> Any:
    return build(value) if isinstance(value, Mapping) and "net" in value else value
