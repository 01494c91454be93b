"""Is the guide so sure of generated samples that nothing is left to follow?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from gantandem.rng import Key

if TYPE_CHECKING:
    from gantandem.gan import GAN

PILOTS = 64
SURE = 20.0
"""Beyond this logit -log sigmoid has no slope that float32 or Adam's 1e-8 leaves (measured)."""


def warn_saturated(gan: GAN, where: str, key: Key, *, of: Literal["real", "fake"] = "real") -> None:
    """Say that a guide is sure of every generated sample, so that its gradient moves nothing.

    Args:
        gan: With a guide.
        where: For the message.
        key: Of the pilot samples, 64.
        of: What samples are surely taken for where the gradient's weight vanishes: ``"real"``
            where it is sigmoid(-logit), ``"fake"`` where it is sigmoid(logit).
    """
    guide = gan.guide
    if guide is None or guide.output == "critic":
        return
    ids = torch.arange(PILOTS, device=gan.device)
    cond = gan.conditions(ids)
    with gan.frozen():
        logit = guide(gan.decode(gan.latent.draw(key.fold("saturated"), ids), cond), cond)
    middle = float(logit.median())
    if (middle if of == "real" else -middle) > SURE:
        gan._say(
            f"saturated {where} {id(guide.network)}",
            f"{where}: the logit of {type(guide.network).__name__} on generated samples is "
            f"{middle:.3g} (median of {PILOTS}): it is sure that they are {of}, and its gradient "
            "is weighed by next to 0, so that samples do not move. Check the range of its input, "
            "fill its statistics (gt.refresh_statistics), or follow a fitted guide: gan = "
            "gt.fit_ratio(gan, real, proposal=gt.Direct(), as_guide=True)",
        )
