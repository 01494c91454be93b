"""Pilot samples show a guide that is sure of everything, and a ratio that cannot be one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from gantandem.rng import Key

if TYPE_CHECKING:
    from gantandem.networks.networks import Networks
    from gantandem.ratios.ratio import Ratio

PILOTS = 64
SURE = 20.0
"""Beyond this logit -log sigmoid has no slope that float32 or Adam's 1e-8 leaves (measured)."""
ABOVE = 1.05
"""A mean ratio of pilots above this is not one of 1, where no ratio is below 1."""


def warn_saturated(
    networks: Networks, where: str, key: Key, *, of: Literal["real", "fake"] = "real"
) -> None:
    """Say that a guide is sure of every generated sample, so that its gradient moves nothing.

    Args:
        networks: With a guide.
        where: For the message.
        key: Of the pilot samples, 64.
        of: What samples are surely taken for where the gradient's weight vanishes: ``"real"``
            where it is sigmoid(-logit), ``"fake"`` where it is sigmoid(logit).
    """
    guide = networks.guide
    if guide is None or guide.output == "critic":
        return
    logits = []
    with networks.frozen():
        for ids in torch.arange(PILOTS, device=networks.device).split(8):
            cond = networks.conditions(ids)
            z = networks.latent.draw(key.fold("saturated"), ids)
            logits.append(guide(networks.decode(z, cond), cond))
    logit = torch.cat(logits)
    middle = float(logit.median())
    if (middle if of == "real" else -middle) > SURE:
        networks.say(
            f"saturated {where} {id(guide.network)}",
            f"{where}: the logit of {type(guide.network).__name__} on generated samples is "
            f"{middle:.3g} (median of {PILOTS}): it is certain that they are {of}, so the "
            "gradient that moves samples is almost 0 and they do not move. Check the range of "
            "its input, fill its statistics (gt.refresh_statistics), or follow a fitted guide: "
            "gan = gt.fit_ratio(gan, real, proposal=gt.Direct(), as_guide=True)",
        )


def warn_above_one(networks: Networks, ratio: Ratio, log_ratio: Tensor) -> None:
    """Say that no ratio is below 1: under the law that it was fitted on their mean is 1.

    Args:
        networks: What says it.
        ratio: What judges.
        log_ratio: (N,) of pilot samples of its law.
    """
    finite = log_ratio[log_ratio.isfinite()]
    if len(finite) < PILOTS or float(finite.min()) < 0 or float(finite.exp().mean()) < ABOVE:
        return
    kind, low, high = type(ratio.score.network).__name__, float(finite.min()), float(finite.max())
    networks.say(
        f"above one {id(ratio.score.network)} {ratio.calibrator is None}",
        f"the ratio that judges ({kind}) is above 1 for every one of {len(finite):,} pilot "
        f"samples (log ratios from {low:.3g} to {high:.3g}), but the mean of a true ratio is 1. "
        "Either it is not a logit (a probability: output='prob'; a score of another loss: "
        "output='critic'), or it is off by a constant: gan = gt.calibrate(gan, real)",
    )
