"""The parts of a chain in the latent: its start, a look at a point, the test, the tuned step.

Every chain walks on L(z) = log p0(z) + d(G(z)), with p0 the prior of the latent and d a log ratio
(or, without a test, a guide's logit or critic). Every part is a pure function of its arguments.
"""

from __future__ import annotations

import logging
import math
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from gantandem.errors import InputError, NonFiniteError
from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Moved, Mover, tree_map
from gantandem.samplers.langevin import Langevin, Point
from gantandem.samplers.optimisers import by_lane, rounded

logger = logging.getLogger(__name__)

PILOTS, PILOT_MOVES = 64, 120
"""``step_size="auto"`` is tuned by this many pilot chains in this many moves."""
PILOT_PASSES = 3 * PILOTS * (1 + PILOT_MOVES)
FIRST_STEP = 0.1
MOVES = 100
"""Of fewer moves none need be accepted."""


class ChainState(NamedTuple):
    """One chain a lane: where it is (gradient included), its moves, and (W, 2) its tally."""

    id: Tensor
    attempt: Tensor
    here: Point
    cond: Tensor | None
    step: Tensor
    tally: Tensor

    def noise(self, key: Key) -> Tensor:
        """The standard normals xi of each lane's next move, of z's shape."""
        shape = tuple(self.here.z.shape[1:])
        return key.fold("noise").normal(self.id, self.attempt, self.step, shape)

    def report(self, done: Tensor) -> Moved:
        """What the engine is told of the chain as it stands."""
        here = self.here
        tally = torch.cat([self.step[:, None], self.tally], 1)
        return Moved(here.x, here.z, here.log_ratio, self.step, done, tally)


class LatentChain(Mover, ABC):
    """Base of movers that are chains in the latent: a step is one move, or a round of moves."""

    steps: Any
    """A setting: moves of a chain, where a step is one move."""
    events: ClassVar[tuple[str, ...]] = ("moves", "moves_accepted", "divergent")

    def chain(self, state: Any) -> ChainState:
        """The chain inside a state."""
        return state

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """Every move."""
        return torch.full_like(ids, self.steps)

    def conclude(self, events: Mapping[str, int]) -> None:
        """Refuse chains that accepted none of their moves: they are the plain draws they began as.

        Raises:
            InputError: Then.
        """
        moves, accepted, divergent = (events[event] for event in self.events)
        if moves >= MOVES and not accepted:
            raise InputError(
                f"{self.name} step_size: with {self.step_size} no chain accepted any of {moves:,} "
                f"moves ({divergent:,} led to a value that is not finite), so they would return "
                "plain samples. Take a smaller step_size, and check that the prior is continuous "
                "and the ratio finite"
            )


class RatioChain(LatentChain, ABC):
    """Base of chains that walk on the ratio of p_G, with a test: their step size can be tuned."""

    uses_guide: ClassVar[bool] = False
    uses_ratio: ClassVar[bool] = True
    target_acceptance: Any
    """A setting: the share of moves that is accepted at a tuned step size."""
    max_drift: Any
    """A setting: of the Langevin moves."""

    @property
    def pilot_passes(self) -> int:
        """Passes that ``prepare`` will spend."""
        return PILOT_PASSES if self.step_size == "auto" else 0

    @property
    def unused(self) -> list[str]:
        """Settings that change nothing here; the law does not name them."""
        return [] if self.step_size == "auto" else ["target_acceptance"]

    @property
    def tau(self) -> float:
        """The step size as a number.

        Raises:
            InputError: If it is still ``"auto"``.
        """
        if self.step_size == "auto":
            raise InputError(
                f"{self.name}: step_size='auto' was not tuned; sample() or prepare tunes it"
            )
        return self.step_size

    def prepare(self, gan: Networks, key: Key) -> Any:
        """Look the ratio up and tune the step size."""
        gan.need_pulled_ratio(self.name)
        gan.latent.need_continuous(self.name)
        new: Any = self
        if self.step_size != "auto":
            return new
        tau = tune_step(gan, key.fold("tune"), self.target_acceptance, self.name, self.max_drift)
        return replace(new, step_size=tau)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> Any:
        """Begin at draws from the prior."""
        return start(gan, key, ids, attempts, self.name)


def look(gan: Networks, z: Tensor, cond: Tensor | None) -> Point:
    """Evaluate latents on the calibrated ratio of p_G: 3 passes each."""
    return _point(gan, z, *gan.latent_ratio(z, cond))


def look_by_guide(gan: Networks, z: Tensor, cond: Tensor | None) -> Point:
    """Evaluate latents on the guide's logit or critic: 3 passes each."""
    return _point(gan, z, *gan.guidance("latent", z, (), cond))


def _point(gan: Networks, z: Tensor, x: Tensor, log_ratio: Tensor, slope: Tensor) -> Point:
    level, pull = gan.latent.log_prob_and_gradient(z)
    return Point(z, x, log_ratio.double(), level, slope + pull)


def start(
    gan: Networks,
    key: Key,
    ids: Tensor,
    attempts: Tensor,
    name: str,
    look: Callable[[Networks, Tensor, Tensor | None], Point] = look,
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


def proceed(s: ChainState, there: Point, accept: Tensor) -> ChainState:
    """Move where ``accept`` and the point is finite; count what was accepted and divergent."""
    finite = there.finite
    accept = accept & finite
    here = tree_map(lambda old, new: torch.where(by_lane(accept, new), new, old), s.here, there)
    tally = s.tally + torch.stack([accept, ~finite], 1)
    return s._replace(here=here, step=s.step + 1, tally=tally)


def langevin_move(
    gan: Networks,
    key: Key,
    s: ChainState,
    q: Langevin,
    tilt: Callable[[Point], Tensor] | None = None,
) -> ChainState:
    """Move every lane once from z to z' ~ q, at 3 passes, and accept it with min(1, alpha).

    alpha = pi(z') q(z | z') / (pi(z) q(z' | z)), log pi = L - tilt. Where z' is not finite or
    outside the prior's support alpha is NaN or 0: such moves are rejected, never reflected.

    Args:
        gan: Its ratio of p_G is in L.
        key: Random numbers.
        s: W chains.
        q: The proposal.
        tilt: From W points to (W,) float64; None for none.
    """
    here, there = s.here, look(gan, q.draw(s.here, s.noise(key)), s.cond)
    log_alpha = there.log_density - here.log_density + q.log_hastings(here, there)
    if tilt is not None:
        log_alpha = log_alpha + tilt(here) - tilt(there)
    log_u = key.fold("accept").log_uniform(s.id, s.attempt, s.step)
    return proceed(s, there, log_u < log_alpha)


class TunedStep:
    """A step size tau that follows the acceptance it meets: Robbins-Monro on log tau.

    log tau += 4 t^-0.6 (accepted - target) after the t-th move.

    Args:
        tau: The first step size.
        target: The share of moves that is to be accepted.
    """

    def __init__(self, tau: float, target: float) -> None:
        self._log_tau, self._target = math.log(tau), target
        self._history: list[tuple[float, float]] = []

    @property
    def tau(self) -> float:
        """The step size of the next move."""
        return math.exp(self._log_tau)

    def update(self, before: ChainState, after: ChainState) -> None:
        """Look at the share of chains that accepted a move made with this step size."""
        accepted = float((after.tally - before.tally)[:, 0].double().mean())
        self._history.append((self._log_tau, accepted))
        self._log_tau += 4 * len(self._history) ** -0.6 * (accepted - self._target)

    def settled(self) -> tuple[float, float]:
        """The step size and the share accepted, averaged over the second half of the moves."""
        steps, shares = zip(*self._history[len(self._history) // 2 :], strict=True)
        return rounded(math.exp(sum(steps) / len(steps))), sum(shares) / len(shares)


def tune_step(gan: Networks, key: Key, target: float, name: str, limit: float | None) -> float:
    """The step size at which MALA accepts a share ``target`` of its moves, on pilot chains.

    It costs ``PILOT_PASSES``.
    """
    ids = torch.arange(PILOTS, device=gan.device)
    s = start(gan, key, ids, torch.zeros_like(ids), name)
    step = TunedStep(FIRST_STEP, target)
    for _ in range(PILOT_MOVES):
        before, s = s, langevin_move(gan, key, s, Langevin(step.tau, max_drift=limit))
        step.update(before, s)
    tau, reached = step.settled()
    if abs(reached - target) > 0.15:
        logger.warning(
            "%s: step_size='auto' aimed at an acceptance of %.2f but reached %.2f on pilot "
            "chains; if the chain moves badly, pass step_size=...",
            name,
            target,
            reached,
        )
    return tau
