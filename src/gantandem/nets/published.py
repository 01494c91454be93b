"""Architectures whose names of weights fit files in circulation, by role."""

from __future__ import annotations

from gantandem.nets.architecture import Published
from gantandem.nets.dcgan import (
    DCGANDiscriminator,
    DCGANDiscriminator32,
    DCGANGenerator,
    DCGANGenerator32,
)
from gantandem.nets.sngan import (
    SNGANConditionalDiscriminator32,
    SNGANConditionalGenerator32,
    SNGANDiscriminator32,
    SNGANGenerator32,
)

PUBLISHED: dict[str, dict[str, type[Published]]] = {
    "generator": {
        "dcgan-generator-32": DCGANGenerator32,
        "dcgan-generator-64": DCGANGenerator,
        "sngan-generator-32": SNGANGenerator32,
        "sngan-conditional-generator-32": SNGANConditionalGenerator32,
    },
    "discriminator": {
        "dcgan-discriminator-32": DCGANDiscriminator32,
        "dcgan-discriminator-64": DCGANDiscriminator,
        "sngan-discriminator-32": SNGANDiscriminator32,
        "sngan-conditional-discriminator-32": SNGANConditionalDiscriminator32,
    },
}
