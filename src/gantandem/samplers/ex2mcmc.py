"""Ex2MCMC: a global move by importance resampling, then local Langevin moves, repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved
from gantandem.samplers.langevin import Langevin
from gantandem.samplers.latent_chain import ChainState, RatioChain, langevin_move, look, proceed
from gantandem.samplers.optimisers import by_lane
from gantandem.settings import Between, Count, Positive, at_least


@dataclass(frozen=True, kw_only=True)
class Ex2MCMC(RatioChain):
    """Explore-exploit MCMC on p0(z) r(G(z)): one i-SIR move, then m MALA moves, repeated.

    The i-SIR move chooses among the current point and N - 1 fresh draws from the prior with
    weights r, and so jumps between modes; MALA (:class:`~gantandem.MALA`) explores the one it is
    in. Exact: both leave p0(z) r(G(z)) invariant for any N and any step size, so that the law of x
    tends to p_data as ``rounds`` grow, if the calibrated ratio is exact. Samsonov et al.,
    Local-Global MCMC kernels: the best of both worlds, NeurIPS 2022, Algorithms 1 and 2 (i-SIR and
    Ex2MCMC; not the adaptive FlEx2MCMC).

    The paper evaluates the N points at once and keeps every state of one long chain. Here fresh
    points are seen one after the other and one of them is held, each replacing the last with the
    probability r / (sum of r so far), so that no one holds N images; and every sample is the last
    state of a chain of its own. The drift of MALA is bounded, as documented there.

    A round is one step of the pool, 1 + m moves of the chain, and costs (N - 1) + 3 + 3 m passes:
    fresh points need no gradient, the chosen one does. ``moves_accepted`` counts accepted MALA
    moves and i-SIR moves to a fresh point; a fresh point that is not finite has the weight 0 and
    is counted as divergent.

    Args:
        rounds: Rounds of a chain.
        points: N, the current point and N - 1 fresh ones (10 in the paper).
        moves: m, MALA moves after each choice (3 in the paper).
        step_size: tau of MALA, a variance (.01 in the paper); ``"auto"`` tunes it on pilot chains
            of MALA alone to ``target_acceptance`` in ``prepare``, and freezes it.
        target_acceptance: Share of MALA moves accepted at the tuned step, between 0 and 1.
        max_drift: Longest drift of MALA in units of sqrt(tau d); None bounds nothing.

    Raises:
        InputError: If a setting is out of range.
        LawMismatchError: If no ratio was fitted on p_G.
        NotARatioError: If only a critic is at hand.
        NonFiniteError: If a chain starts at a sample without a finite score.
    """

    name: ClassVar[str] = "ex2mcmc"

    rounds: Count = 10
    points: Annotated[int, at_least(2)] = 10
    moves: Count = 3
    step_size: Positive | Literal["auto"] = "auto"
    target_acceptance: Between = 0.57
    max_drift: Positive | None = 1.0

    def cost(self) -> Cost:
        """A gradient at the start, for the chosen point and for every MALA move."""
        return Cost(start=3, step=self.points - 1 + 3 + 3 * self.moves, scores=False)

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """Every round."""
        return torch.full_like(ids, self.rounds)

    def step(self, gan: Networks, key: Key, state: ChainState) -> tuple[ChainState, Moved]:
        """One round: explore, then exploit."""
        q = Langevin(self.tau, max_drift=self.max_drift)
        state = self._isir(gan, key, state)
        for _ in range(self.moves):
            state = langevin_move(gan, key, state, q)
        return state, state.report(state.step >= self.rounds * (1 + self.moves))

    def _isir(self, gan: Networks, key: Key, s: ChainState) -> ChainState:
        """Choose among here and N - 1 fresh draws with weights r, in one pass over them."""
        ratio = gan.need_pulled_ratio("ex2mcmc")
        z, log_total = s.here.z, s.here.log_ratio
        fresh = torch.zeros_like(s.id, dtype=torch.bool)
        divergent = torch.zeros_like(s.id)
        # Every draw of a lane has a number of its own in the place of the attempt's.
        first = s.attempt * (self.rounds * (1 + self.moves)) + s.step
        for j in range(self.points - 1):
            draw = first * (self.points - 1) + j
            new = gan.latent.draw(key.fold("fresh"), s.id, draw)
            x = gan.decode(new, s.cond)
            log_r = ratio.log_ratio(x, s.cond)
            finite = x.flatten(1).isfinite().all(1) & log_r.isfinite()
            log_r = torch.where(finite, log_r, -torch.inf)
            log_total = torch.logaddexp(log_total, log_r)
            keep = key.fold("keep").log_uniform(s.id, draw) < log_r - log_total
            z, fresh = torch.where(by_lane(keep, z), new, z), fresh | keep
            divergent = divergent + ~finite
        s = proceed(s, look(gan, z, s.cond), fresh)
        return s._replace(tally=s.tally + torch.stack([torch.zeros_like(divergent), divergent], 1))
