"""What a GAN has, in a few short lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from gantandem.adapt.base import title
from gantandem.ratios.doubts import doubts
from gantandem.ratios.ratio import Ratio

if TYPE_CHECKING:
    from gantandem.gan import GAN


def describe(gan: GAN) -> str:
    """The networks, the prior, and what became of the discriminator; no network runs."""
    lines = [f"generator: {_network(gan.generator)}, latent {gan.latent}"]
    if gan.guide is None:
        lines.append("discriminator: none; gt.fit_ratio(gan, real) fits a ratio for acceptance")
    else:
        how = "shaped for " + str(gan.proposal) if gan.shaped else "not shaped"
        lines.append(f"guide: {_network(gan.guide.network)}, a {gan.guide.output}, {how}")
    lines += [f"ratio of {named(law, ratio)}: {_ratio(ratio)}" for law, ratio in gan.ratios.items()]
    if isinstance(gan.condition, Tensor):
        lines.append(f"condition: {len(gan.condition):,} rows of {gan.condition.dtype}")
    elif gan.condition is not None:
        lines.append("condition: a function of the ids")
    return "GAN(\n" + "".join(f"  {line}\n" for line in lines) + ")"


def named(law: str, ratio: Ratio) -> str:
    """The proposals that a ratio judges: their sampler in words, or the law's name."""
    return ratio.proposal or f"law {law}"


def _network(network: nn.Module) -> str:
    count = sum(weight.numel() for weight in network.parameters())
    return f"{title(network)} of {count:,} weights"


def _ratio(ratio: Ratio) -> str:
    words = [ratio.origin]
    if name := ratio.chosen.get("name"):
        words[0] += f" ({name})"
    if ratio.calibrator is not None and ratio.origin == "shipped":
        words.append("calibrated")
    if ratio.strength != 1:
        words.append(f"used as r^{ratio.strength:g}")
    if ratio.diagnosis is None:
        return ", ".join([*words, "not diagnosed"])
    against = doubts(ratio.diagnosis)
    return ", ".join([*words, f"diagnosed: {'; '.join(against) or 'no fault found'}"])
