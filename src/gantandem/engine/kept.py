"""Prepared samplers, kept with the GAN as long as nothing they depend on has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor

from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.settings import to_config

MOST = 32
"""Prepared samplers that a GAN keeps; the oldest goes first."""
ROWS = 8
"""Latents on which the networks are looked at."""

T = TypeVar("T")


def keep(gan: GAN, sampler: Any, options: tuple[Hashable, ...], make: Callable[[], T]) -> T:
    """What ``make`` gave for this sampler and these networks before, or gives now.

    A sampler that is no frozen dataclass of JSON-ready settings may depend on anything, and is made
    anew each time.

    Args:
        gan: What it is prepared for; the GANs that its methods return share what is kept.
        sampler: As given, not yet prepared.
        options: What else it depends on.
        make: Makes it.
    """
    kinds = _kinds(sampler)
    try:
        settings = json.dumps(to_config(sampler), sort_keys=True)
    except TypeError:
        settings = None
    if kinds is None or settings is None:
        return make()
    networks = gan.networks
    with networks.frozen():
        key = (kinds, settings, options, gan.condition if callable(gan.condition) else None)
        key = (*key, _digest(gan))
        parts = networks.parts()  # an attribute that was exchanged since has another object
    found = networks.prepared.get(key)
    if found is not None and all(parts.get(n) is part for n, part in found[0].items()):
        return found[1]
    made = make()
    networks.prepared[key] = (parts, made)
    while len(networks.prepared) > MOST:
        del networks.prepared[next(iter(networks.prepared))]
    return made


def _kinds(sampler: Any) -> tuple[type, ...] | None:
    """The classes of a sampler and of what it nests; None if one is no frozen dataclass."""
    params = getattr(type(sampler), "__dataclass_params__", None)
    if params is None or not params.frozen:
        return None
    found: list[type] = [type(sampler)]
    for field in dataclasses.fields(sampler):
        value = getattr(sampler, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            inner = _kinds(value)
            if inner is None:
                return None
            found += inner
    return tuple(found)


def _digest(gan: GAN) -> str:
    """Hash the weights, what the networks compute on fixed latents, and what the GAN has noted."""
    digest = hashlib.blake2b(digest_size=16)

    def note(*values: Any) -> None:
        for value in values:
            if isinstance(value, Tensor):
                digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
                raw = value.detach().cpu().contiguous().flatten()
                value = raw.view(torch.uint8).numpy().tobytes() if raw.numel() else b""
            digest.update(value if isinstance(value, bytes) else f"{value!r};".encode())

    networks = gan.networks
    ids = torch.arange(ROWS, device=networks.device)
    z, cond = gan.latent.draw(Key(0).fold("example"), ids), networks.conditions(ids)
    x = networks.decode(z, cond)
    scores = {None: gan.guide, **{law: ratio.score for law, ratio in gan.ratios.items()}}
    logits: dict[int, Tensor] = {}
    for law, score in scores.items():
        if score is None:
            continue
        if id(score) not in logits:
            logits[id(score)] = score(x, cond)
            note(networks.weights_hash(score.network), score.output, logits[id(score)])
        if law is not None:
            ratio = gan.ratios[law]
            note(law, ratio.origin, ratio.from_logit(logits[id(score)], cond))
    note(z, x, networks.weights_hash(gan.generator), gan.latent.config(), str(networks.device))
    for condition in (gan.condition, cond):
        if isinstance(condition, Tensor):
            note(condition)
    first = None if gan.reweighted is None else gan.reweighted.config()
    note(first, gan.shaped, gan.proposal, gan.spread, gan.real_logits, gan.compile)
    note(torch.get_num_threads())
    return digest.hexdigest()
