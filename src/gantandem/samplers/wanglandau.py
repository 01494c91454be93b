"""Wang-Landau chains in the latent (WL-GAN): MALA on a density that is flat over the energy.

The energy is E(z) = -L(z), L(z) = log p0(z) + d(G(z)), d the calibrated log p_data / p_G. Its range
is cut into bins, and the chain walks on L(z) - theta[bin(E(z))]. Where theta[i] is the logarithm of
the mass of bin i every bin is visited equally often, so that a chain climbs out of the modes it
would else be kept in. Keeping a state with weight exp(theta[bin]) undoes the tilt.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved
from gantandem.samplers.energy import energy_bins, energy_range, log_masses
from gantandem.samplers.langevin import Langevin, Point
from gantandem.samplers.latent_chain import (
    ChainState,
    RatioChain,
    TunedStep,
    langevin_move,
    start,
)
from gantandem.samplers.optimisers import by_lane
from gantandem.settings import (
    INCREASING,
    Between,
    Count,
    Interval,
    NotNegativeInt,
    Positive,
    Share,
    Width,
    at_least,
)

T = TypeVar("T")


class Reservoir(NamedTuple):
    """The state of the chain that is kept, one a row, and the log of the weights seen so far."""

    x: Tensor
    z: Tensor
    log_ratio: Tensor
    log_total: Tensor


class WangLandauState(NamedTuple):
    """One chain a lane, and its reservoir if there is one."""

    chain: ChainState
    kept: Reservoir | None


@dataclass(frozen=True, kw_only=True)
class WangLandau(RatioChain):
    """MALA on L(z) - theta[bin(E(z))], its energy histogram flat (WL-GAN).

    Two laws, by setting:

    * ``reweight=True``: exact. After ``burn_in`` moves one of the states that the chain visits is
      kept, with probability proportional to exp(theta[bin]). As ``steps`` grows its law tends to
      p_data, if the calibrated ratio is exact, whatever the frozen theta is: a poor one costs
      efficiency only. The weights are shared out within one chain, so that what is left at a finite
      length is of the order of one over the independent states it visits.
    * ``reweight=False``: biased. The last state, whose law is p_data with every energy bin brought
      to the same mass, as published.

    WL-GAN: Learning where to sample in generative latent space, after its authors' code
    (collaborative-learn); theta by the stochastic approximation of Liang, Liu and Carroll, JASA
    2007: theta[i] += gamma_t (1[bin = i] - 1 / bins), gamma_t = t0 / max(t0, t). The tilt is
    constant within a bin and has no gradient: it enters the accept test only.

    Departures from the authors' code: weights are learned in ``prepare``, by pilot chains that
    share them, and frozen, where theirs are learned along each chain, which then has no invariant
    law; the accept test uses the very step size that made the move (theirs adapts the noise and
    keeps the first step size in the test, which breaks detailed balance); energies are binned over
    a fitted range (theirs is a constant of one model); networks are in eval mode.

    Args:
        steps: Moves of a chain.
        burn_in: Moves before the first state that may be kept; None takes an eighth of ``steps``.
        step_size: tau, a variance: the noise has standard deviation sqrt(tau) (.1 as published).
            ``"auto"`` tunes it on the pilot chains, tilted as they are, and freezes it.
        target_acceptance: Share of moves accepted at the tuned step, between 0 and 1 (the middle
            of the published band, .35 to .45).
        max_drift: Longest drift, in units of sqrt(tau d), as in ``mala``; None bounds nothing, as
            published.
        bins: Energy bins of equal width; the two outer ones are open-ended.
        t0: Moves of the warm-up before the gain decreases.
        quantiles: The range of the bins: these quantiles of the energy where pilot chains settle.
        reach: The range goes up at least to this quantile of the energy of draws from the prior:
            what lies between the modes of p_data is what a draw from p_G meets. A wider range
            joins more modes, and spends more moves on states of little weight.
        pilots: Pilot chains, a multiple of 16, sharing one theta.
        warm_up: Moves of the pilot chains that learn theta; half as many before that fit the range.
        reweight: Undo the tilt.
        energy_range: Where the bins begin and end, in nats; what lies beyond belongs to the outer
            bins. None fits it.
        log_weights: theta, one number a bin; None learns it.

    Raises:
        InputError: If a setting is out of range.
        LawMismatchError: If no ratio was fitted on p_G.
        NotARatioError: If only a critic is at hand.
        NonFiniteError: If a fresh sample of the generator has no finite score.
    """

    name: ClassVar[str] = "wlgan"

    steps: Count = 640
    burn_in: NotNegativeInt | None = None
    step_size: Positive | Literal["auto"] = "auto"
    target_acceptance: Between = 0.4
    max_drift: Positive | None = 1.0
    bins: Annotated[int, at_least(3)] = 50
    t0: Count = 400
    quantiles: Annotated[tuple[Share, Share], INCREASING] = (0.01, 0.99)
    reach: Share = 0.75
    pilots: Width = 128
    warm_up: Count = 1000
    reweight: bool = True
    energy_range: Interval | None = None
    log_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if self.burn_in is not None and self.burn_in >= self.steps:
            raise InputError(
                f"wlgan burn_in: got {self.burn_in}, allowed is 0 to steps - 1 = {self.steps - 1}"
            )
        theta = self.log_weights
        if theta is not None and (self.energy_range is None or len(theta) != self.bins):
            raise InputError(
                f"wlgan log_weights: got {len(theta)} with energy_range={self.energy_range}; "
                f"allowed are {self.bins} finite numbers, one a bin, and the range of the bins"
            )

    # -- what is fixed before sampling ------------------------------------------------------------

    @property
    def burned_in(self) -> int:
        """Moves before the first state that may be kept."""
        return self.steps // 8 if self.burn_in is None else self.burn_in

    @property
    def pilot_passes(self) -> int:
        """Passes that ``prepare`` will spend."""
        moves = self._ranging + self._learning
        return super().pilot_passes + (3 * self.pilots * (1 + moves) if moves else 0)

    @property
    def _ranging(self) -> int:
        return 0 if self.energy_range is not None else max(1, self.warm_up // 2)

    @property
    def _learning(self) -> int:
        return 0 if self.log_weights is not None else self.warm_up

    @property
    def unused(self) -> list[str]:
        """Settings that change nothing once constants are fixed; the law does not name them."""
        if self._ranging or self._learning or self.step_size == "auto":
            return []
        return ["target_acceptance", "quantiles", "reach", "pilots", "warm_up", "t0"]

    def prepare(self, gan: Networks, key: Key) -> WangLandau:
        """Fit the range of energies, then learn theta and the step size, on pilot chains."""
        new = super().prepare(gan, key)
        if self._ranging or self._learning:
            key, ids = key.fold("warm-up"), torch.arange(self.pilots, device=gan.device)
            chain = start(gan, key, ids, torch.zeros_like(ids), self.name)
            if self._ranging:
                chain, span = new._fit_range(gan, key, chain)
                new = replace(new, energy_range=span)
            if self._learning:
                theta, tau = new._learn(gan, key, chain, tune=self.step_size == "auto")
                new = replace(new, log_weights=theta, step_size=tau)
        return new

    def _fit_range(
        self, gan: Networks, key: Key, chain: ChainState
    ) -> tuple[ChainState, tuple[float, float]]:
        """Quantiles of the energy where untilted pilot chains settle, and of their starts."""
        starts, seen = -chain.here.log_density, []
        q = Langevin(self.tau, max_drift=self.max_drift)
        for move in range(self._ranging):
            chain = langevin_move(gan, key, chain, q)
            if 2 * move >= self._ranging - 1:
                seen.append(-chain.here.log_density)
        return chain, energy_range(torch.cat(seen), starts, self.quantiles, self.reach)

    def _learn(
        self, gan: Networks, key: Key, chain: ChainState, *, tune: bool
    ) -> tuple[tuple[float, ...], float]:
        """theta[i] += gamma_t (share of pilots in bin i - 1 / bins): one theta for all pilots.

        With ``tune`` the step size follows, so that the tilted chain has the acceptance asked for:
        over a flattened landscape steps may be longer.
        """
        step = TunedStep(self.tau, self.target_acceptance)
        theta = torch.zeros(self.bins, dtype=torch.float64, device=gan.device)
        visits = torch.zeros_like(theta)
        for t in range(1, self.warm_up + 1):
            before, chain = chain, self._move(gan, key, chain, step.tau, theta)
            share = torch.bincount(self.bin(chain.here), minlength=self.bins) / self.pilots
            theta = theta + self.t0 / max(self.t0, t) * (share - 1 / self.bins)
            visits += share
            if tune:
                step.update(before, chain)
        tau = step.settled()[0] if tune else self.tau
        return log_masses(theta.cpu(), visits.cpu() > 0), tau

    # -- the chain --------------------------------------------------------------------------------

    def bin(self, here: Point) -> Tensor:
        """Index of the energy bin of each point, (W,) int64 from 0 to bins - 1."""
        return energy_bins(here, _known(self.energy_range), self.bins)

    def _move(
        self, gan: Networks, key: Key, chain: ChainState, tau: float, theta: Tensor
    ) -> ChainState:
        """One MALA move of every lane on L(z) - theta[bin(E(z))]."""
        q = Langevin(tau, max_drift=self.max_drift)
        return langevin_move(gan, key, chain, q, tilt=lambda point: theta[self.bin(point)])

    def chain(self, state: WangLandauState) -> ChainState:
        """The chain inside a state."""
        return state.chain

    def cost(self) -> Cost:
        """The ratio of p_G and its gradient at the start and after each move."""
        return Cost(start=3, step=3, scores=False)

    def init(self, gan: Networks, key: Key, ids: Tensor, attempts: Tensor) -> WangLandauState:
        """Begin at draws from the prior, with nothing kept."""
        chain, kept = super().init(gan, key, ids, attempts), None
        if self.reweight:
            here = chain.here
            nothing = torch.full_like(here.log_ratio, -torch.inf)
            kept = Reservoir(here.x, here.z, here.log_ratio, nothing)
        return WangLandauState(chain, kept)

    def step(
        self, gan: Networks, key: Key, state: WangLandauState
    ) -> tuple[WangLandauState, Moved]:
        """Move every chain once; then keep its state by its weight."""
        theta = _sent(_known(self.log_weights), gan.device)
        chain, kept = self._move(gan, key, state.chain, self.tau, theta), state.kept
        moved = chain.report(chain.step >= self.steps)
        if kept is not None:
            kept = self._keep(key, chain, kept, theta)
            moved = moved._replace(x=kept.x, z=kept.z, logit=kept.log_ratio)
        return WangLandauState(chain, kept), moved

    def _keep(self, key: Key, chain: ChainState, kept: Reservoir, theta: Tensor) -> Reservoir:
        """A reservoir over the chain: hold its state with probability weight / running total."""
        here, open_ = chain.here, chain.step > self.burned_in
        log_weight = torch.where(open_, theta[self.bin(here)], -torch.inf)
        log_total = torch.logaddexp(kept.log_total, log_weight)
        log_u = key.fold("keep").log_uniform(chain.id, chain.attempt, chain.step)
        hold = open_ & (log_u < log_weight - log_total)
        return Reservoir(
            torch.where(by_lane(hold, here.x), here.x, kept.x),
            torch.where(by_lane(hold, here.z), here.z, kept.z),
            torch.where(hold, here.log_ratio, kept.log_ratio),
            log_total,
        )


@functools.lru_cache(maxsize=16)
def _sent(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Settings on a device, float64: kept, since a host waits while it sends them."""
    return torch.tensor(values, dtype=torch.float64, device=device)


def _known(value: T | None) -> T:
    if value is None:
        raise InputError("wlgan was not prepared; sample() prepares it, or call prepare")
    return value
