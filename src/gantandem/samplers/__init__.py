"""Samplers: movers make proposals, selectors judge them; they nest."""

from __future__ import annotations

from typing import Any

from gantandem.samplers.base import Chain, Cost, Moved, Mover, Proposal, Selector
from gantandem.samplers.base import from_config as from_config
from gantandem.samplers.base import to_config as to_config
from gantandem.samplers.collaborative import collaborative
from gantandem.samplers.dgflow import DGFlow
from gantandem.samplers.direct import Direct
from gantandem.samplers.dot import DOT
from gantandem.samplers.ex2mcmc import Ex2MCMC
from gantandem.samplers.langevin import MALA, ULA
from gantandem.samplers.latent_opt import LatentOpt
from gantandem.samplers.metropolis import Metropolis
from gantandem.samplers.refine import Refine
from gantandem.samplers.rejection import DRS, OBRS, Rejection
from gantandem.samplers.reservoir import ISIR, SIR
from gantandem.samplers.reweighted import LatentReweight
from gantandem.samplers.wanglandau import WangLandau

SAMPLERS: dict[str, type[Any]] = {
    "direct": Direct,
    "refine": Refine,
    "dgflow": DGFlow,
    "dot": DOT,
    "latent_opt": LatentOpt,
    "ula": ULA,
    "mala": MALA,
    "ex2mcmc": Ex2MCMC,
    "wlgan": WangLandau,
    "metropolis": Metropolis,
    "rejection": Rejection,
    "drs": DRS,
    "obrs": OBRS,
    "sir": SIR,
    "isir": ISIR,
    "latent_reweight": LatentReweight,
}
"""Built-in samplers by name; ``"module:Name"`` reaches anything else."""

__all__ = [
    "DOT",
    "DRS",
    "ISIR",
    "MALA",
    "OBRS",
    "SAMPLERS",
    "SIR",
    "ULA",
    "Chain",
    "Cost",
    "DGFlow",
    "Direct",
    "Ex2MCMC",
    "LatentOpt",
    "LatentReweight",
    "Metropolis",
    "Moved",
    "Mover",
    "Proposal",
    "Refine",
    "Rejection",
    "Selector",
    "WangLandau",
    "collaborative",
    "from_config",
    "to_config",
]
