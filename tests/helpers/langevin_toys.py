"""GANs whose law under chains in the latent is known, shared by the tests of those chains."""

from __future__ import annotations

import torch

from gantandem import GAN, Normal
from targets import Formula

N, RARE = 2_048, 1e-4


def accepted_share(out) -> float:
    events = out.manifest["events"]
    return events["moves_accepted"] / events["moves"]


def identity(log_ratio, latent, output="logit") -> GAN:
    return GAN(Formula(lambda z: z, torch.float32), Formula(log_ratio), latent, output=output)


MEAN, PRECISION = 0.7, 2.0


def narrow(output="logit") -> GAN:
    """L(z) is the log density of N(.7, 1/2), with a standard normal prior."""
    linear, square = PRECISION * MEAN, (1 - PRECISION) / 2
    return identity(lambda x: (square * x**2 + linear * x).sum(1), Normal(1), output)
