"""Guide, judge and measure: whose eyes each of them looks through, and whether they are shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.evaluate.metrics.finite import need_finite
from gantandem.gan import GAN
from gantandem.nets.backbones import pooled
from gantandem.nets.features import FeatureRatio
from gantandem.nets.hashing import weights_hash
from gantandem.networks.score import Score
from gantandem.ratios.lookup import plain_law
from gantandem.samplers.base import Mover, Selector

BATCH = 250


def features_of(backbone: nn.Module, x: Tensor) -> Tensor:
    """Features (N, F) of images (N, C, H, W), in float64 on the CPU; maps are averaged.

    Raises:
        NonFiniteError: If a feature is not finite.
    """
    place = next(iter(backbone.state_dict().values()), x).device
    with torch.no_grad():
        parts = [pooled(backbone(part.to(place))).cpu() for part in x.split(BATCH)]
    return need_finite(torch.cat(parts), "features of samples").double()


def eyes_of(network: nn.Module) -> dict[str, str]:
    """Backbones that a network looks through: what to call them, by the hash of their weights."""
    return {
        weights_hash(module.body): module.backbone
        if isinstance(module.backbone, str)
        else type(module.body).__name__
        for module in network.modules()
        if isinstance(module, FeatureRatio)
    }


def eyes_of_row(
    gan: GAN, sampler: Mover | Selector, law: str, measure: nn.Module | None
) -> dict[str, Any]:
    """The backbones that guided and judged the samples of a row.

    None where a network looks at samples as they are; a role that nobody has is left out.
    ``"shared"`` names the roles that look through the backbone that measures.

    Args:
        gan: With guide and ratios.
        sampler: What drew.
        law: Of its proposals.
        measure: The backbone that measures; None where there is none, or it is not known.
    """
    mover = sampler.proposal if isinstance(sampler, Selector) else sampler
    roles: dict[str, Score | None] = {"guide": gan.guide if mover.uses_guide else None}
    ratio = gan.ratios.get(law if isinstance(sampler, Selector) else plain_law(gan))
    if ratio is not None and (isinstance(sampler, Selector) or mover.uses_ratio):
        roles["judge"] = ratio.score
    seen = {role: eyes_of(one.network) for role, one in roles.items() if one is not None}
    found: dict[str, Any] = {role: ", ".join(eyes.values()) or None for role, eyes in seen.items()}
    own = None if measure is None else weights_hash(measure)
    if shared := [role for role, eyes in seen.items() if own in eyes]:
        found["shared"] = shared
    return found


def shared_eyes(gan: GAN, measure: nn.Module) -> Iterator[str]:
    """Warnings, where the backbone that measures also guides or judges.

    A distance measured by the judge's own eyes flatters: samples were chosen by what they see.

    Args:
        gan: With guide and ratios.
        measure: The backbone that measures.
    """
    own = weights_hash(measure)
    roles = {"guide": gan.guide} | {
        f"ratio of {ratio.proposal or 'the plain generator'}": ratio.score
        for ratio in gan.ratios.values()
    }
    for role, score in roles.items():
        name = None if score is None else eyes_of(score.network).get(own)
        if name is not None:
            yield (
                f"the {role} uses the backbone that also measures, {name}, so the distance "
                "overrates the samples that it chose. Measure with another backbone"
            )
