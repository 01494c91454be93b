"""Langevin chains in the latent: unadjusted (ULA, DDLS) and Metropolis-adjusted (MALA, REP-GAN).

Both walk on L(z) = log p0(z) + d(G(z)), with p0 the prior of the latent: ULA on the guide's d and
without a test; MALA on the calibrated log ratio d = log p_data / p_G, with the full
Metropolis-Hastings test. Their parts, shared with the other chains, are in ``latent_chain.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.gan import GAN
from gantandem.latent import need_continuous
from gantandem.rng import Key
from gantandem.samplers.base import Cost, Moved
from gantandem.samplers.latent_chain import (
    PILOT_PASSES,
    ChainState,
    LatentChain,
    look_by_guide,
    mala_move,
    normal_noise,
    proceed,
    propose,
    resolved,
    start,
    tune_step,
)
from gantandem.settings import Between, Count, Positive


@dataclass(frozen=True, kw_only=True)
class ULA(LatentChain):
    """Unadjusted Langevin (DDLS): z <- z + (eps/2) grad L(z) + sqrt(eps) xi.

    L(z) = log p0(z) + d(G(z)), d the guide's logit or critic. Biased: for small eps and many
    steps the law tends to that with density proportional to p0(z) e^d(G(z)); at a given eps it is
    wider (a Gaussian of variance s^2 becomes s^2 / (1 - eps / (4 s^2))), and after few steps it
    still remembers the prior. A critic is an energy of unknown scale, so that not even the limit
    need be p_data. Che et al., Your GAN is Secretly an Energy-based Model, NeurIPS 2020,
    Algorithm 1.

    There is no accept test, with two exceptions, in which a chain stays where it is for that
    move: outside the prior's support (a uniform prior's border; never reflected), and where the
    move is not finite, which is counted as divergent. There is no ``"auto"``: without a test
    nothing says which step is small enough.

    Args:
        steps: Moves of a chain (100 to 1000 in the paper).
        step_size: eps, a variance: the noise has standard deviation sqrt(eps) (1e-4 to 1e-2 in the
            paper).

    Raises:
        InputError: If a setting is not a positive number, or the GAN has no guide.
        NonFiniteError: If a fresh sample of the generator has no finite score.
    """

    name: ClassVar[str] = "ula"
    uses_guide: ClassVar[bool] = True
    uses_ratio: ClassVar[bool] = False

    steps: Count = 100
    step_size: Positive = 0.0005

    def prepare(self, gan: GAN, key: Key) -> ULA:
        """Nothing to resolve."""
        gan.need_guide("ula")
        need_continuous(gan.latent, "ula")
        return self

    def cost(self) -> Cost:
        """The guide and its gradient at the start and after each move; the last scores x."""
        return Cost(start=3, step=3, scores=True)

    def init(self, gan: GAN, key: Key, ids: Tensor, attempts: Tensor) -> ChainState:
        """Begin at draws from the prior."""
        return start(gan, key, ids, attempts, "ula", look_by_guide)

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """Every move."""
        return torch.full_like(ids, self.steps)

    def step(self, gan: GAN, key: Key, state: ChainState) -> tuple[ChainState, Moved]:
        """Move every chain once."""
        z = propose(state.here, self.step_size, normal_noise(key, state))
        there = look_by_guide(gan, z, state.cond)
        state = proceed(state, there, there.log_prior > -torch.inf)
        return state, state.report(state.step >= self.steps)


@dataclass(frozen=True, kw_only=True)
class MALA(LatentChain):
    """Metropolis-adjusted Langevin (REP-GAN) on p0(z) r(G(z)), r the ratio of p_G.

    z' = z + (tau/2) grad L(z) + eta xi, accepted with min(1, pi(z') q(z | z') / (pi(z) q(z' | z))).
    Exact: as ``steps`` grows the law of x tends to p_data, if the calibrated ratio is exact; the
    gradient inside the proposal need not be. Wang et al., Reparameterized Sampling for Generative
    Adversarial Networks, ECML PKDD 2021, Algorithm 1.

    The law is that of the state after ``steps`` moves, of a chain begun at a draw from the prior.
    A move outside the prior's support is rejected, and so is one that is not finite, which is
    counted as divergent. Two departures from the authors' code: networks are in eval mode, where
    theirs leaves BatchNorm in train mode; and the drift is bounded (``max_drift``), as in Roberts
    and Tweedie, Exponential convergence of Langevin distributions, Bernoulli 1996, Section 1.4.3
    (MALTA). A chain that starts where the ratio is steep otherwise overshoots, is rejected and
    stays there: on a skewed target that gave a mean of .24 for .77 after 50 tuned moves.

    Args:
        steps: Moves of a chain (640 in the paper, with tau = .01; a tuned step needs fewer).
        step_size: tau, a variance: the noise has standard deviation sqrt(tau). ``"auto"`` tunes it
            on pilot chains to ``target_acceptance`` in ``prepare``, and freezes it.
        target_acceptance: Share of moves accepted at the tuned step, between 0 and 1; .57 is the
            best in high dimension (Roberts and Rosenthal 1998).
        noise: eta, standard deviation of the noise; None takes sqrt(tau). The paper allows it to
            differ; the accept test uses whichever made the move.
        max_drift: Longest drift (tau/2) grad L(z), in units of sqrt(tau d), the usual length of
            the noise in d dimensions; None bounds nothing, as published.

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
                f"mala noise: got {self.noise} with step_size='auto', which tunes both "
                "together; pass a step_size, or leave noise None"
            )

    @property
    def pilot_passes(self) -> int:
        """Passes that ``prepare`` will spend."""
        return PILOT_PASSES if self.step_size == "auto" else 0

    @property
    def unused(self) -> list[str]:
        """Settings that change nothing here; the law does not name them."""
        return [] if self.step_size == "auto" else ["target_acceptance"]

    def prepare(self, gan: GAN, key: Key) -> MALA:
        """Look the ratio up and tune the step size."""
        gan.need_pulled_ratio("mala")
        need_continuous(gan.latent, "mala")
        if self.step_size != "auto":
            return self
        tau = tune_step(gan, key.fold("tune"), self.target_acceptance, "mala", self.max_drift)
        return replace(self, step_size=tau)

    def cost(self) -> Cost:
        """The ratio of p_G and its gradient at the start and after each move.

        A selector judges by a ratio fitted on this law, which the last move has not seen.
        """
        return Cost(start=3, step=3, scores=False)

    def init(self, gan: GAN, key: Key, ids: Tensor, attempts: Tensor) -> ChainState:
        """Begin at draws from the prior."""
        return start(gan, key, ids, attempts, "mala")

    def lifetime(self, key: Key, ids: Tensor, attempts: Tensor) -> Tensor:
        """Every move."""
        return torch.full_like(ids, self.steps)

    def step(self, gan: GAN, key: Key, state: ChainState) -> tuple[ChainState, Moved]:
        """Move every chain once."""
        state = mala_move(
            gan, key, state, resolved("mala", self.step_size), self.noise, self.max_drift
        )
        return state, state.report(state.step >= self.steps)
