"""What a gradient move does at the border of a latent prior."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.latent import Latent, Normal, Uniform


def keep_inside(latent: Latent, z: Tensor, before: Tensor) -> Tensor:
    """Bring moved latents back into the prior's support.

    Coordinates are clipped to the box of a ``Uniform``, as the authors of DOT and LOGAN do. For any
    other prior with a border a move across it is dropped: its row stays where it was.

    Args:
        latent: The prior.
        z: (N, ...) where the move leads.
        before: (N, ...) where it started, inside.
    """
    if isinstance(latent, Normal):
        return z
    if isinstance(latent, Uniform):
        return z.clamp(latent.low, latent.high)
    outside = latent.log_prob(z) == -torch.inf
    return torch.where(outside.view(-1, *[1] * (z.dim() - 1)), before, z)
