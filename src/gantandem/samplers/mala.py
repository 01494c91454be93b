"""Metropolis-adjusted Langevin in the latent (MALA, REP-GAN)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from gantandem.errors import InputError
from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved
from gantandem.samplers.langevin import Langevin
from gantandem.samplers.latent_chain import ChainState, RatioChain, langevin_move
from gantandem.settings import Between, Count, Positive


@dataclass(frozen=True, kw_only=True)
class MALA(RatioChain):
    """Metropolis-adjusted Langevin (REP-GAN) on p0(z) r(G(z)), r the ratio of p_G.

    z' = z + (tau/2) grad L(z) + eta xi, accepted with min(1, pi(z') q(z | z') / (pi(z) q(z' | z))).
    L = log p0(z) + log r(G(z)), pi = exp L, q is the density of the proposal, and xi is standard
    normal; see ``langevin.py``. Exact: as ``steps`` grows the law of x tends to p_data, if the
    calibrated ratio is exact; the gradient inside the proposal need not be. Wang et al.,
    Reparameterized Sampling for Generative Adversarial Networks, ECML PKDD 2021, Algorithm 1.

    The law is that of the state after ``steps`` moves, of a chain begun at a draw from the prior.
    A move outside the prior's support is rejected, and so is one that is not finite, which is
    counted as divergent. Two departures from the authors' code: networks are in eval mode, where
    theirs leaves BatchNorm in train mode; and the drift is bounded (``max_drift``), as in Roberts
    and Tweedie, Exponential convergence of Langevin distributions, Bernoulli 1996, Section 1.4.3
    (MALTA). A chain that starts where the ratio is steep otherwise overshoots, is rejected and
    stays there: on a skewed target that gave a mean of .24 instead of .77 after 50 tuned moves.

    Args:
        steps: Moves of a chain (640 in the paper, with tau = .01; a tuned step needs fewer).
        step_size: tau, a variance: the noise has standard deviation sqrt(tau). ``"auto"`` tunes it
            on pilot chains to ``target_acceptance`` in ``prepare``, and freezes it.
        target_acceptance: Share of moves accepted at the tuned step, between 0 and 1; .57 is the
            best in high dimension (Roberts and Rosenthal 1998).
        noise: eta, standard deviation of the noise; None takes sqrt(tau). The paper allows it to
            differ; the accept test uses whichever made the move.
        max_drift: Longest drift (tau/2) grad L(z), in units of sqrt(tau d), the usual length of
            noise with ``noise=None`` in d dimensions; None bounds nothing, as published.

    Raises:
        InputError: If a setting is out of range, or ``noise`` is given with ``"auto"``.
        LawMismatchError: If no ratio was fitted on p_G.
        NotARatioError: If only a critic is at hand.
        NonFiniteError: If a fresh sample of the generator has no finite score.
    """

    name: ClassVar[str] = "mala"

    steps: Count = 100
    step_size: Positive | Literal["auto"] = "auto"
    target_acceptance: Between = 0.57
    noise: Positive | None = None
    max_drift: Positive | None = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if self.noise is not None and self.step_size == "auto":
            raise InputError(
                f"mala noise: got {self.noise} with step_size='auto', which tunes step size and "
                "noise together; pass a step_size too, or leave noise out"
            )

    def cost(self) -> Cost:
        """The ratio of p_G and its gradient at the start and after each move.

        A selector judges by a ratio fitted on this law, which the last move has not seen.
        """
        return Cost(start=3, step=3, scores=False)

    def step(self, gan: Networks, key: Key, state: ChainState) -> tuple[ChainState, Moved]:
        """Move every chain once: ``Langevin`` is the proposal q, ``langevin_move`` the test."""
        q = Langevin(self.tau, self.noise, self.max_drift)
        state = langevin_move(gan, key, state, q)
        return state, state.report(state.step >= self.steps)
