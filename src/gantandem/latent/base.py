"""What a prior over the generator's latent is, and what samplers ask of it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.rng import Key


class Latent(ABC):
    """A prior over z.

    To write your own prior, subclass it and define ``draw``, ``log_prob`` and ``config``. All other
    methods have a default that uses these three; override a method if you know a better way.
    """

    @abstractmethod
    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id: (N,) int64 -> (N, *shape) float32."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of (N, *shape) latents, (N,); -inf outside the support."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The settings as JSON-ready values; part of every law."""

    def to_file(self) -> dict[str, Any]:
        """What a file keeps, for ``make_latent``: the settings, and what laws do not depend on."""
        return self.config()

    # -- what chains walk on --------------------------------------------------------------------

    def log_prob_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Log density, (N,) float64, and its gradient for z, (N, *shape): 0 outside the support."""
        leaf = z.detach().requires_grad_()
        with torch.enable_grad():
            value = self.log_prob(leaf)
            total = value.sum()
        gradient = torch.zeros_like(z)
        if value.requires_grad:  # a uniform law has none
            (gradient,) = torch.autograd.grad(total, leaf)
        return value.detach().double(), gradient

    # -- where a moved latent may be ------------------------------------------------------------

    @property
    def discrete(self) -> bool:
        """No latent can move along a gradient."""
        return False

    def need_continuous(self, where: str) -> None:
        """Refuse a discrete prior where latents are moved along a gradient.

        Raises:
            InputError: If it is discrete; ``where`` begins the message.
        """
        if self.discrete:
            raise InputError(
                f"{where}: the prior of this GAN, {self}, is discrete, so a latent cannot move "
                "along a gradient. Accept plain samples instead (OBRS() or Metropolis()), or "
                "refine at a layer of the generator, refine(layer=...)"
            )

    def keep_inside(self, z: Tensor, before: Tensor) -> Tensor:
        """Bring moved latents back into the support: here, a move across its border is dropped.

        Args:
            z: (N, *shape) where the moves lead.
            before: (N, *shape) where they started, inside.
        """
        outside = self.log_prob(z) == -torch.inf
        return torch.where(outside.view(-1, *[1] * (z.dim() - 1)), before, z)

    @property
    def spherical(self) -> bool:
        """Rotations leave it as it is, so that a latent may be turned about the origin."""
        return False

    # -- truncation -----------------------------------------------------------------------------

    @property
    def mean(self) -> Tensor | float | None:
        """Mean of the law, (*shape) or one for every coordinate; None if none is known."""
        return None

    def shrunk(self, z: Tensor, psi: float) -> Tensor:
        """Move latents towards the mean: mean + psi (z - mean).

        Raises:
            InputError: If there is no mean.
        """
        mean = self.mean
        if mean is None:
            raise InputError(
                "direct truncation: how='shrink' needs a continuous prior with a known, finite "
                f"mean, and this GAN's is {self}. Pass truncation=None, or a prior that is already "
                "narrower as the GAN's latent"
            )
        return mean + psi * (z - mean)

    def truncated(self, key: Key, ids: Tensor, attempts: Tensor | int, psi: float) -> Tensor:
        """Draw with every coordinate within psi standard deviations of its mean, (N, *shape).

        Raises:
            InputError: If the law is not one of independent normals.
        """
        raise InputError(
            "direct truncation: how='resample' needs a normal prior with independent coordinates, "
            f"and this GAN's is {self}. Pass how='shrink', or truncation=None"
        )

    def clipped(self, z: Tensor, psi: float) -> Tensor:
        """Bring every coordinate to within psi standard deviations of its mean, by clipping it.

        Raises:
            InputError: If the law is not one of independent normals.
        """
        raise InputError(
            "direct truncation: how='clip' needs a normal prior with independent coordinates, and "
            f"this GAN's is {self}. Pass how='shrink', or truncation=None"
        )

    def __str__(self) -> str:
        """What messages call it."""
        return repr(self) if dataclasses.is_dataclass(self) else type(self).__name__
