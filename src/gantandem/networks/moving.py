"""A GAN's networks on another device."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gantandem.latent import Latent
from gantandem.nets.copying import copy_network
from gantandem.networks.devices import find_device
from gantandem.networks.score import Score

if TYPE_CHECKING:
    from gantandem.gan import GAN


def moved(gan: GAN, device: str | torch.device) -> dict[str, Any]:
    """What changes in a GAN that moves: copies of its networks; nothing if it is there already.

    Networks that stand in several places are copied once.

    Raises:
        InputError: If there is no such device.
    """
    where = torch.empty(0, device=find_device(device)).device
    if where == gan.device:
        return {}
    copies: dict[int, Any] = {}

    def copied(network: nn.Module) -> nn.Module:
        if id(network) not in copies:
            copies[id(network)] = copy_network(network).to(where)
        return copies[id(network)]

    def score_of(score: Score) -> Score:
        if id(score) not in copies:
            copies[id(score)] = dataclasses.replace(score, network=copied(score.network))
        return copies[id(score)]

    def prior(latent: Any) -> Any:
        if not dataclasses.is_dataclass(latent) or isinstance(latent, type):
            return latent
        own = {field.name: getattr(latent, field.name) for field in dataclasses.fields(latent)}
        networks = {name: copied(v) for name, v in own.items() if isinstance(v, nn.Module)}
        inner = {name: prior(v) for name, v in own.items() if isinstance(v, Latent)}
        return dataclasses.replace(latent, **networks, **inner) if networks or inner else latent

    ratios = {}
    for law, ratio in gan.ratios.items():
        ratios[law] = dataclasses.replace(ratio, score=score_of(ratio.score))
        object.__setattr__(ratios[law], "weights", ratio.weights)  # a stale ratio stays one
    return {
        "generator": copied(gan.generator),
        "guide": None if gan.guide is None else score_of(gan.guide),
        "ratios": ratios,
        "latent": prior(gan.latent),
        "reweighted": prior(gan.reweighted),
    }
