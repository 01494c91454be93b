"""Plain samples of the generator, from the whole prior or a truncated one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.latent import Latent
from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved, Mover
from gantandem.settings import Positive

How = Literal["resample", "clip", "shrink", "biggan"]
CUT = 2.0
"""Standard deviations at which BigGAN cuts its normal."""


class DirectState(NamedTuple):
    """One latent a lane."""

    id: Tensor
    attempt: Tensor
    z: Tensor
    cond: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Direct(Mover):
    """x = G(z): the law is p_G (Goodfellow et al. 2014). No discriminator runs.

    With ``truncation`` the law is another one, of less diversity and mostly better single samples
    (Brock, Donahue and Simonyan, ICLR 2019): that of G under the truncated prior. Acceptance on it
    needs a ratio that was fitted on it.

    Args:
        truncation: psi; None draws from the prior as it is.
        how: ``"resample"`` draws each coordinate of a normal prior until it is within psi standard
            deviations of its mean (Brock et al., their truncation trick): the truncated normal
            law, drawn exactly by its inverse distribution function from one keyed uniform instead
            of by a loop. ``"clip"`` clips it there instead, so that the borders have mass.
            ``"biggan"`` draws until within 2 and then takes mean + psi (z - mean), as the released
            BigGANs do. ``"shrink"`` takes z <- mean + psi (z - mean) with the prior's mean. The
            last two allow psi up to 1. StyleGAN shrinks a mapped latent: give the GAN the
            generator ``adapt.TruncatedW(G, psi)``.

    Raises:
        InputError: If a setting is not allowed, or means nothing for the GAN's prior: shrinking
            needs one with a finite mean and a continuous support, the others a normal prior with
            independent coordinates.
    """

    name: ClassVar[str] = "direct"
    uses_guide: ClassVar[bool] = False

    truncation: Positive | None = None
    how: How = "resample"

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        scales = self.how in ("shrink", "biggan")
        if self.truncation is not None and scales and self.truncation > 1:
            raise InputError(
                f"direct truncation: got {self.truncation}; with how={self.how!r} allowed is a "
                "number above 0 and up to 1"
            )

    def prepare(self, gan: Networks, key: Key) -> Direct:
        """Check that the prior can be truncated; without truncation ``how`` names no other law."""
        if self.truncation is None:
            return replace(self, how="resample")
        one = torch.zeros(1, dtype=torch.int64, device=gan.device)
        self._draw(gan.latent, key, one, one)
        return self

    def cost(self) -> Cost:
        """One generator pass; an acceptance's discriminator belongs to the same pass."""
        return Cost(start=0, step=1, scores=False)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> DirectState:
        """Draw the latents."""
        z = self._draw(gan.latent, key.fold("latent"), ids, attempts)
        return DirectState(ids, attempts, z, gan.conditions(ids))

    def _draw(self, latent: Latent, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        psi = self.truncation
        if psi is None:
            return latent.draw(key, ids, attempts)
        match self.how:
            case "resample":
                return latent.truncated(key, ids, attempts, psi)
            case "biggan":
                return latent.shrunk(latent.truncated(key, ids, attempts, CUT), psi)
            case "clip":
                return latent.clipped(latent.draw(key, ids, attempts), psi)
            case "shrink":
                return latent.shrunk(latent.draw(key, ids, attempts), psi)

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """One step."""
        return torch.ones_like(ids)

    def step(self, gan: Networks, key: Key, state: DirectState) -> tuple[DirectState, Moved]:
        """Decode; every lane is done at once."""
        x = gan.decode(state.z, state.cond)
        steps = torch.zeros_like(state.id)
        unknown = torch.full((len(x),), torch.nan, device=x.device)
        return state, Moved(x, state.z, unknown, steps, torch.ones_like(steps, dtype=torch.bool))
