"""Samplers: movers make proposals, selectors judge them; they nest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gantandem.errors import ConfigError, look_up
from gantandem.samplers.base import Accepts, Chain, Cost, Moved, Mover, Proposal, Selector
from gantandem.samplers.collaborative import collaborative
from gantandem.samplers.dgflow import DGFlow
from gantandem.samplers.direct import Direct
from gantandem.samplers.dot import DOT
from gantandem.samplers.drs import DRS
from gantandem.samplers.ex2mcmc import Ex2MCMC
from gantandem.samplers.isir import ISIR
from gantandem.samplers.latent_opt import LatentOpt
from gantandem.samplers.mala import MALA
from gantandem.samplers.metropolis import Metropolis
from gantandem.samplers.obrs import OBRS
from gantandem.samplers.refine import Refine
from gantandem.samplers.rejection import Rejection
from gantandem.samplers.reweighted import LatentReweight
from gantandem.samplers.sir import SIR
from gantandem.samplers.ula import ULA
from gantandem.samplers.wanglandau import WangLandau
from gantandem.settings import check_names, show, to_config

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
    "Accepts",
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


def from_config(config: str | dict[str, Any]) -> Any:
    """Build a sampler from its name or its settings.

    Args:
        config: A built-in name such as ``"refine"``, ``"module:Name"`` for your own class, or a
            dictionary with ``name`` and settings, nested where a setting is itself a sampler.

    Raises:
        ConfigError: If the name or a setting is unknown (near matches are listed), or a value
            is not allowed.
    """
    config = {"name": config} if isinstance(config, str) else config
    if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
        raise ConfigError(
            f"sampler: got {show(config)}, allowed is a name, or a name and settings; 'name' is "
            "missing"
        )
    config = dict(config)
    name = config.pop("name")
    kind: Any = look_up("sampler", name, SAMPLERS, Mover, Selector)
    make: Any = kind
    if dataclasses.is_dataclass(kind):
        check_names(name, kind, config)
    values = {k: from_config(v) if isinstance(v, dict) else v for k, v in config.items()}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    if isinstance(values.get("proposal"), str):
        values["proposal"] = from_config(values["proposal"])
    try:
        return make(**values)
    except TypeError as error:
        raise ConfigError(f"sampler {name!r}: {error}") from None
