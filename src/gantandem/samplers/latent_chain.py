"""The parts of a chain in the latent: a point and its gradient, the Langevin proposal, the test.

Every chain walks on L(z) = log p0(z) + d(G(z)), with p0 the prior of the latent and d a log ratio
(or, without a test, a guide's logit or critic). Every part is a pure function of its arguments.
"""

from __future__ import annotations

import logging
import math
from abc import ABC
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from gantandem.errors import InputError, NonFiniteError
from gantandem.gan import GAN
from gantandem.latent import Latent, Normal
from gantandem.rng import Key
from gantandem.samplers.base import Moved, Mover, tree_map
from gantandem.samplers.optimisers import rows

logger = logging.getLogger(__name__)

PILOTS, PILOT_MOVES = 64, 120
"""``step_size="auto"`` is tuned by this many pilot chains in this many moves."""
PILOT_PASSES = 3 * PILOTS * (1 + PILOT_MOVES)
FIRST_STEP = 0.1
MOVES = 100
"""Of fewer moves none need be accepted."""


class Point(NamedTuple):
    """A latent, evaluated; one a row.

    Args:
        z: (W, *z_shape).
        x: (W, *x_shape), G(z).
        log_ratio: (W,) float64 d(G(z)): the calibrated log ratio of p_G, or for ULA the guide's.
        log_prior: (W,) float64 log p0(z); -inf outside the prior's support.
        gradient: (W, *z_shape) of L(z), for the proposal.
    """

    z: Tensor
    x: Tensor
    log_ratio: Tensor
    log_prior: Tensor
    gradient: Tensor

    @property
    def log_density(self) -> Tensor:
        """L(z), (W,) float64."""
        return self.log_prior + self.log_ratio

    @property
    def finite(self) -> Tensor:
        """Where z, x, the log ratio and the gradient are finite, (W,) bool."""
        parts = (self.z, self.x, self.gradient)
        rows = [part.flatten(1).isfinite().all(1) for part in parts]
        return rows[0] & rows[1] & rows[2] & self.log_ratio.isfinite()


class ChainState(NamedTuple):
    """One chain a lane: where it is (gradient included), its moves, and (W, 2) its tally."""

    id: Tensor
    attempt: Tensor
    here: Point
    cond: Tensor | None
    step: Tensor
    tally: Tensor

    def report(self, done: Tensor) -> Moved:
        """What the engine is told of the chain as it stands."""
        here = self.here
        tally = torch.cat([self.step[:, None], self.tally], 1)
        return Moved(here.x, here.z, here.log_ratio, self.step, done, tally)


class LatentChain(Mover, ABC):
    """Base of movers that are chains in the latent: a step is one move, or a round of moves."""

    uses_guide: ClassVar[bool] = False
    uses_ratio: ClassVar[bool] = True
    events: ClassVar[tuple[str, ...]] = ("moves", "moves_accepted", "divergent")

    def chain(self, state: Any) -> ChainState:
        """The chain inside a state."""
        return state

    def conclude(self, events: Mapping[str, int]) -> None:
        """Refuse chains that accepted none of their moves: they are the plain draws they began as.

        Raises:
            InputError: Then.
        """
        moves, accepted, divergent = (events[event] for event in self.events)
        if moves >= MOVES and not accepted:
            raise InputError(
                f"{self.name} step_size: with {self.step_size} no chain accepted any of {moves:,} "
                f"moves ({divergent:,} led to what is not finite): they are plain draws. Take a "
                "smaller one, and check that the prior is continuous and the ratio finite"
            )


def log_prior(latent: Latent, z: Tensor) -> tuple[Tensor, Tensor]:
    """Log density of the prior, (W,) float64, and its gradient for z (0 outside the support)."""
    if isinstance(latent, Normal):
        return latent.log_prob(z.double()), -z
    leaf = z.detach().requires_grad_()
    with torch.enable_grad():
        value = latent.log_prob(leaf)
        total = value.sum()
    gradient = torch.zeros_like(z)
    if value.requires_grad:  # a uniform law has none
        (gradient,) = torch.autograd.grad(total, leaf)
    return value.detach().double(), gradient


def look(gan: GAN, z: Tensor, cond: Tensor | None) -> Point:
    """Evaluate latents on the calibrated ratio of p_G: 3 passes each."""
    return _point(gan, z, *gan.latent_ratio(z, cond))


def look_by_guide(gan: GAN, z: Tensor, cond: Tensor | None) -> Point:
    """Evaluate latents on the guide's logit or critic: 3 passes each."""
    return _point(gan, z, *gan.guidance("latent", z, (), cond))


def _point(gan: GAN, z: Tensor, x: Tensor, log_ratio: Tensor, slope: Tensor) -> Point:
    level, pull = log_prior(gan.latent, z)
    return Point(z, x, log_ratio.double(), level, slope + pull)


def start(
    gan: GAN,
    key: Key,
    ids: Tensor,
    attempts: Tensor,
    name: str,
    look: Callable[[GAN, Tensor, Tensor | None], Point] = look,
) -> ChainState:
    """Chains begin at draws from the prior.

    Raises:
        NonFiniteError: If one of these has no finite value, score or gradient.
    """
    z, cond = gan.latent.draw(key.fold("latent"), ids, attempts), gan.conditions(ids)
    here = look(gan, z, cond)
    broken = ~here.finite
    if bool(broken.any()):
        named = ", ".join(map(str, ids[broken].unique().tolist()[:5]))
        raise NonFiniteError(
            f"{name}, step 0: a fresh sample of the generator has a value, score or gradient that "
            f"is NaN or infinite (ids {named}). Check the weights and the input range of both "
            "networks"
        )
    zeros = torch.zeros_like(ids)
    return ChainState(ids, attempts, here, cond, zeros, torch.stack([zeros, zeros], 1))


def drift(here: Point, tau: float | Tensor, limit: float | None = None) -> Tensor:
    """Mean of the proposal, z + (tau/2) grad L(z), float64.

    Args:
        here: W points.
        tau: A number, or (W,).
        limit: The drift is no longer than this times sqrt(tau d), the noise's usual length in d
            dimensions; None leaves it as it is.
    """
    wide = here.gradient.double()
    move = 0.5 * wide * (rows(tau, wide) if isinstance(tau, Tensor) else tau)
    if limit is not None:
        length = move.square().flatten(1).sum(1).sqrt()
        longest = limit * (tau * here.z[0].numel()) ** 0.5
        # Not length / longest: where both are 0 or the length is, the factor must be 1.
        move = move * rows(longest / length.clamp(min=longest), move)
    return here.z.double() + move


def propose(
    here: Point,
    tau: float | Tensor,
    xi: Tensor,
    noise: float | None = None,
    limit: float | None = None,
) -> Tensor:
    """Draw z + (tau/2) grad L(z) + eta xi; eta is ``noise``, or sqrt(tau) if that is None."""
    eta = tau**0.5 if noise is None else noise
    eta = rows(eta, xi) if isinstance(eta, Tensor) else eta
    return (drift(here, tau, limit) + eta * xi.double()).to(here.z.dtype)


def log_accept(
    here: Point,
    there: Point,
    tau: float | Tensor,
    noise: float | None = None,
    limit: float | None = None,
) -> Tensor:
    """Log of pi(z') q(z | z') / (pi(z) q(z' | z)), (W,) float64.

    q is the proposal as it was made: give the tau, noise and limit that were given to
    :func:`propose`. NaN or -inf where z' is not finite or outside the prior's support: such moves
    are rejected, never reflected.
    """
    variance = tau if noise is None else noise**2
    forth = (there.z - drift(here, tau, limit)).square().flatten(1).sum(1)
    back = (here.z - drift(there, tau, limit)).square().flatten(1).sum(1)
    return there.log_density - here.log_density + 0.5 * (forth - back) / variance


def normal_noise(key: Key, s: ChainState) -> Tensor:
    """The standard normals xi of each lane's next move, of z's shape."""
    return key.fold("noise").normal(s.id, s.attempt, s.step, tuple(s.here.z.shape[1:]))


def proceed(s: ChainState, there: Point, accept: Tensor) -> ChainState:
    """Move where ``accept`` and the point is finite; count what was accepted and divergent."""
    finite = there.finite
    accept = accept & finite
    here = tree_map(lambda old, new: torch.where(rows(accept, new), new, old), s.here, there)
    tally = s.tally + torch.stack([accept, ~finite], 1)
    return s._replace(here=here, step=s.step + 1, tally=tally)


def mala_move(
    gan: GAN,
    key: Key,
    s: ChainState,
    tau: float,
    noise: float | None = None,
    limit: float | None = None,
) -> ChainState:
    """One Metropolis-adjusted Langevin move of every lane: 3 passes each."""
    z = propose(s.here, tau, normal_noise(key, s), noise, limit)
    there = look(gan, z, s.cond)
    log_u = key.fold("accept").log_uniform(s.id, s.attempt, s.step)
    return proceed(s, there, log_u < log_accept(s.here, there, tau, noise, limit))


def tune_step(gan: GAN, key: Key, target: float, name: str, limit: float | None) -> float:
    """The step size at which MALA accepts a share ``target`` of its moves, on pilot chains.

    Robbins-Monro on log tau with the gain 4 t^-0.6, averaged over the second half. It costs
    ``PILOT_PASSES``.
    """
    ids = torch.arange(PILOTS, device=gan.device)
    s = start(gan, key, ids, torch.zeros_like(ids), name)
    log_tau, half, history = math.log(FIRST_STEP), PILOT_MOVES // 2, []
    for t in range(1, PILOT_MOVES + 1):
        before = s.tally
        s = mala_move(gan, key, s, math.exp(log_tau), limit=limit)
        share = float((s.tally - before)[:, 0].double().mean())
        history.append((log_tau, share))
        log_tau += 4 * t**-0.6 * (share - target)
    steps, shares = zip(*history[half:], strict=True)
    reached = sum(shares) / len(shares)
    if abs(reached - target) > 0.15:
        logger.warning(
            "%s: step_size='auto' aimed at an acceptance of %.2f and reached %.2f on pilot chains; "
            "pass step_size=... if the chain does not move well",
            name,
            target,
            reached,
        )
    return float(f"{math.exp(sum(steps) / len(steps)):.3g}")


def resolved(name: str, step_size: float | str) -> float:
    """The step size as a number.

    Raises:
        InputError: If it is still ``"auto"``.
    """
    if isinstance(step_size, str):
        raise InputError(f"{name}: step_size='auto' was not resolved; sample() or prepare does it")
    return step_size
