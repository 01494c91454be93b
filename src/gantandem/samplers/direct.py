"""Plain samples of the generator, from the whole prior or a truncated one."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch import distributions as dist

from gantandem.errors import InputError
from gantandem.latent import Distribution, Latent, Normal, Uniform
from gantandem.networks.networks import Networks
from gantandem.rng import Key, stable
from gantandem.samplers.base import Cost, Moved, Mover
from gantandem.settings import Positive

How = Literal["resample", "shrink"]


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
            of by a loop. ``"shrink"`` takes z <- mean + psi (z - mean) with the prior's mean, for
            psi up to 1. StyleGAN shrinks towards the mean of a mapped latent; for that, give the
            GAN that latent's own prior.

    Raises:
        InputError: If a setting is not allowed, or means nothing for the GAN's prior: resampling
            needs a normal prior with independent coordinates, shrinking one with a finite mean
            and a continuous support.
    """

    name: ClassVar[str] = "direct"
    uses_guide: ClassVar[bool] = False

    truncation: Positive | None = None
    how: How = "resample"

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if self.truncation is not None and self.how == "shrink" and self.truncation > 1:
            raise InputError(
                f"direct truncation: got {self.truncation}; with how='shrink' allowed is a "
                "number above 0 and up to 1"
            )

    def prepare(self, gan: Networks, key: Key) -> Direct:
        """Check that the prior can be truncated; without truncation ``how`` names no other law."""
        if self.truncation is None:
            return replace(self, how="resample")
        (_scale if self.how == "resample" else _mean)(gan.latent)
        return self

    def cost(self) -> Cost:
        """One generator pass; an acceptance's discriminator belongs to the same pass."""
        return Cost(start=0, step=1, scores=False)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> DirectState:
        """Draw the latents."""
        key, latent, psi = key.fold("latent"), gan.latent, self.truncation
        if psi is not None and self.how == "resample":
            mean, std, shape = _scale(latent)
            z = mean + std * truncated_normal(key.uniform(ids, attempts, shape=shape), psi)
        else:
            z = latent.draw(key, ids, attempts)
        if psi is not None and self.how == "shrink":
            mean = _mean(latent)
            z = mean + psi * (z - mean)
        return DirectState(ids, attempts, z, gan.conditions(ids))

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """One step."""
        return torch.ones_like(ids)

    def step(self, gan: Networks, key: Key, state: DirectState) -> tuple[DirectState, Moved]:
        """Decode; every lane is done at once."""
        x = gan.decode(state.z, state.cond)
        steps = torch.zeros_like(state.id)
        unknown = torch.full((len(x),), torch.nan, device=x.device)
        return state, Moved(x, state.z, unknown, steps, torch.ones_like(steps, dtype=torch.bool))


def truncated_normal(uniform: Tensor, psi: float) -> Tensor:
    """Map uniforms in (0, 1) to the standard normal law given |z| < psi.

    Its distribution function is (1 + erf(z / sqrt 2) / erf(psi / sqrt 2)) / 2, inverted here.

    Args:
        uniform: Of any shape, float32.
        psi: Threshold in standard deviations.

    Returns:
        Float32 of the same shape.
    """
    inside = math.erf(psi / math.sqrt(2))
    return stable(torch.erfinv, (2 * uniform.double() - 1) * inside).mul(math.sqrt(2)).float()


def _scale(latent: Latent) -> tuple[Tensor | float, Tensor | float, tuple[int, ...]]:
    """Mean, standard deviation and shape of a normal prior with independent coordinates."""
    if isinstance(latent, Normal):
        return 0.0, 1.0, latent.shape
    law = latent.law if isinstance(latent, Distribution) else None
    while isinstance(law, dist.Independent):
        law = law.base_dist
    if isinstance(law, dist.Normal):
        return law.loc, law.scale, tuple(law.batch_shape)
    raise InputError(
        f"direct truncation: how='resample' needs a normal prior with independent coordinates, "
        f"and this GAN's is {_described(latent)}. Pass how='shrink', or truncation=None"
    )


def _mean(latent: Latent) -> Tensor | float:
    """The prior's mean, towards which latents shrink."""
    if isinstance(latent, Normal):
        return 0.0
    if isinstance(latent, Uniform):
        return 0.5 * (latent.low + latent.high)
    if isinstance(latent, Distribution):
        with contextlib.suppress(NotImplementedError):  # transformed laws may not know theirs
            mean, support = latent.law.mean, latent.law.support
            if bool(mean.isfinite().all()) and not getattr(support, "is_discrete", True):
                return mean
    raise InputError(
        "direct truncation: how='shrink' needs a continuous prior with a known, finite mean, and "
        f"this GAN's is {_described(latent)}. Pass truncation=None, or a prior that is already "
        "narrower as the GAN's latent"
    )


def _described(latent: Latent) -> str:
    if isinstance(latent, Normal | Uniform):
        return str(latent)
    return str(latent.law) if isinstance(latent, Distribution) else type(latent).__name__
