"""How well does a chain mix? Acceptance, effective sample size, R-hat and divergences (ArviZ)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import torch

from gantandem.engine.sampling import prepare
from gantandem.errors import InputError, need, renamed
from gantandem.gan import GAN
from gantandem.nets.hashing import hashed_once
from gantandem.progress import track
from gantandem.ratios.lookup import networks_for
from gantandem.rng import Key
from gantandem.samplers.latent_chain import ChainState, LatentChain
from gantandem.samplers.named import SamplerLike, as_sampler
from gantandem.settings import at_least, check, show


@dataclass(frozen=True, kw_only=True)
class ChainReport:
    """What traced chains say of a chain mover.

    Args:
        sampler: Its name.
        chains: Number of chains.
        draws: Draws of each after the burn-in, one a step of the mover (for ``ex2mcmc`` a round).
        burn_in: Draws of each left out before.
        step_size: The step size they moved with; None if the mover has none.
        acceptance: Accepted share of the moves after the burn-in.
        divergences: Moves to a point that is not finite, burn-in included.
        ess_min: Smallest bulk effective sample size over the latent's coordinates, of
            ``chains * draws``.
        ess_median: Median of these.
        ess_log_density: Bulk effective sample size of L(z) = log p0(z) + d(G(z)).
        rhat_max: Largest rank-normalised split R-hat over the coordinates (1 at best; above 1.01
            the chains have not mixed).
        rhat_log_density: R-hat of L(z).
        passes: Passes of all chains, burn-in included.
        setup_passes: Passes of preparing the mover.
    """

    sampler: str
    chains: int
    draws: int
    burn_in: int
    step_size: float | None
    acceptance: float
    divergences: int
    ess_min: float
    ess_median: float
    ess_log_density: float
    rhat_max: float
    rhat_log_density: float
    passes: int
    setup_passes: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; what is not finite (a log density of -inf, say) becomes None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


@renamed(mover="sampler")
@hashed_once()
def chain_report(
    gan: GAN,
    sampler: SamplerLike,
    *,
    chains: int = 64,
    draws: int = 500,
    burn_in: int = 100,
    seed: int = 0,
    progress: bool | None = None,
) -> ChainReport:
    """Trace chains of a chain mover (``ula``, ``mala``, ``ex2mcmc``, ``wlgan``) and judge them.

    The chains are longer than a sample's: the mover's own number of steps does not matter here.
    Effective sample sizes and R-hat are those of Vehtari et al., Rank-normalization, folding, and
    localization, Bayesian Analysis 2021, as ArviZ computes them. They judge how a chain explores
    its own law; whether that law is p_data is for the ratio's diagnosis.

    Args:
        gan: Networks, latent and ratios. A conditional one must ask for one condition only, since
            chains of several conditions have several laws.
        sampler: What makes the chains, or its name; it is prepared here.
        chains: Chains, 2 or more.
        draws: Draws of each after the burn-in, 4 or more.
        burn_in: Draws of each left out before, 0 or more.
        seed: Of the chains.
        progress: True or False to force the progress bar; None shows it on a terminal.

    Raises:
        InputError: If the mover makes no chain, an argument is out of range, or the chains have
            several conditions.
        MissingExtraError: If ArviZ is not installed.
    """
    check("chain_report gan", GAN, gan)
    chains, draws, burn_in = (
        check(name, Annotated[int, at_least(least)], value)
        for name, value, least in (
            ("chains", chains, 2),
            ("draws", draws, 4),
            ("burn_in", burn_in, 0),
        )
    )
    need("arviz_stats", "chains")
    mover = as_sampler(gan, sampler)
    if not isinstance(mover, LatentChain):
        raise InputError(
            f"chain_report sampler: got {show(mover)}, which does not make chains in the latent; "
            "allowed are ULA, MALA, Ex2MCMC and WangLandau"
        )
    ids = torch.arange(chains, device=gan.device)
    cond = gan.conditions(ids)
    if cond is not None and bool((cond != cond[:1]).any()):
        raise InputError(
            "chain_report: this GAN has several conditions, so its chains would have several "
            "laws. Report each condition separately, for example "
            "gan.with_condition(torch.tensor([3]))"
        )
    ready, setup = prepare(gan, mover)
    cost, key = ready.cost(), Key(seed).fold("chains")
    places, levels, before = [], [], (0, 0, 0)
    networks = networks_for(gan, ready)
    with networks.frozen(), track(burn_in + draws, ready.name, progress) as advance:
        state = ready.init(networks, key, ids, torch.zeros_like(ids))
        for move in range(burn_in + draws):
            if move == burn_in:
                before = _counted(ready.chain(state))
            state, _ = ready.step(networks, key, state)
            if move >= burn_in:
                here = ready.chain(state).here
                places.append(here.z.flatten(1).cpu().numpy())
                levels.append(here.log_density.cpu().numpy())
            advance(1)
    moves, accepted, divergent = _counted(ready.chain(state))
    z, level = np.stack(places, 1).astype(np.float64), np.stack(levels, 1)
    ess, rhat = diagnose_draws(z)
    level_ess, level_rhat = diagnose_draws(level[..., None])
    return ChainReport(
        sampler=ready.name,
        chains=chains,
        draws=draws,
        burn_in=burn_in,
        step_size=None if ready.step_size is None else float(ready.step_size),
        acceptance=(accepted - before[1]) / (moves - before[0]),
        divergences=divergent,
        ess_min=float(ess.min()),
        ess_median=float(np.median(ess)),
        ess_log_density=float(level_ess[0]),
        rhat_max=float(rhat.max()),
        rhat_log_density=float(level_rhat[0]),
        passes=chains * (cost.start + (burn_in + draws) * cost.step),
        setup_passes=setup,
    )


def diagnose_draws(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bulk effective sample size and R-hat of each coordinate.

    Args:
        draws: (chains, draws, d) float64.

    Returns:
        Two arrays of shape (d,), NaN where a draw is not finite.

    Raises:
        MissingExtraError: If ArviZ is not installed.
    """
    stats: Any = need("arviz_stats.base", "chains")
    with np.errstate(invalid="ignore", divide="ignore"):  # a coordinate that never moves
        ess = stats.array_stats.ess(draws, chain_axis=0, draw_axis=1)
        rhat = stats.array_stats.rhat(draws, chain_axis=0, draw_axis=1)
    return np.asarray(ess), np.asarray(rhat)


def _counted(chain: ChainState) -> tuple[int, int, int]:
    """Moves, accepted moves and divergent ones of all chains."""
    accepted, divergent = chain.tally.sum(0).tolist()
    return int(chain.step.sum()), accepted, divergent
