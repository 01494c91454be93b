"""Architectures whose names of weights fit files in circulation, by role."""

from __future__ import annotations

from gantandem.nets.architecture import Published
from gantandem.nets.biggan import BigGANDiscriminator128, BigGANGenerator128
from gantandem.nets.biggan_deep import BigGANDeepDiscriminator128, BigGANDeepGenerator128
from gantandem.nets.cyclegan import CycleGANGenerator, PatchGANDiscriminator
from gantandem.nets.dcgan import (
    DCGANDiscriminator,
    DCGANDiscriminator32,
    DCGANGenerator,
    DCGANGenerator32,
)
from gantandem.nets.pgan import PGANDiscriminator, PGANGenerator
from gantandem.nets.sagan import SAGANDiscriminator128, SAGANGenerator128
from gantandem.nets.sngan import (
    SNGANConditionalDiscriminator32,
    SNGANConditionalGenerator32,
    SNGANDiscriminator32,
    SNGANGenerator32,
)
from gantandem.nets.wgan import WGANCritic32, WGANGenerator32

PUBLISHED: dict[str, dict[str, type[Published]]] = {
    "generator": {
        "dcgan-generator-32": DCGANGenerator32,
        "dcgan-generator-64": DCGANGenerator,
        "sngan-generator-32": SNGANGenerator32,
        "sngan-conditional-generator-32": SNGANConditionalGenerator32,
        "wgan-generator-32": WGANGenerator32,
        "sagan-generator-128": SAGANGenerator128,
        "biggan-generator-128": BigGANGenerator128,
        "biggan-deep-generator-128": BigGANDeepGenerator128,
        "pgan-generator-64": PGANGenerator,
        "cyclegan-generator": CycleGANGenerator,
    },
    "discriminator": {
        "dcgan-discriminator-32": DCGANDiscriminator32,
        "dcgan-discriminator-64": DCGANDiscriminator,
        "sngan-discriminator-32": SNGANDiscriminator32,
        "sngan-conditional-discriminator-32": SNGANConditionalDiscriminator32,
        "wgan-critic-32": WGANCritic32,
        "sagan-discriminator-128": SAGANDiscriminator128,
        "biggan-discriminator-128": BigGANDiscriminator128,
        "biggan-deep-discriminator-128": BigGANDeepDiscriminator128,
        "pgan-discriminator-64": PGANDiscriminator,
        "patchgan-discriminator": PatchGANDiscriminator,
    },
}
