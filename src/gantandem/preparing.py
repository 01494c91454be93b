"""Makes a sampler ready to run: what it finds on pilot samples, fixed before the first sample."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from gantandem.engine import Run
from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.samplers.base import Mover, Proposal, Selector
from gantandem.samplers.constants import MOST_CONDITIONS

PER_CONDITION = 200
"""A pilot has at least so many proposals of each condition, where conditions repeat."""
LOOKED_AT = 2**14
"""Ids whose conditions are looked at, where they come from a function."""
WIDEST = 2**14
"""Conditions have constants of their own while all of them together have this many numbers."""


def prepare(
    gan: GAN, sampler: Mover | Selector, *, width: int | None = None, strict: bool = True
) -> tuple[Any, int]:
    """Resolve every ``auto`` and fix every constant of a sampler on pilot samples.

    The pilot has ids and keys of its own, the same for every seed: constants never depend on what
    is sampled later. Where conditions repeat (class labels), it has as many proposals of each. A
    mover whose own ``prepare`` runs the networks says beforehand what that will cost, in an
    attribute ``pilot_passes``: 0 once it is prepared.

    Returns:
        The frozen sampler, and the passes spent.
    """
    mover = sampler.proposal if isinstance(sampler, Selector) else sampler
    spent = int(getattr(mover, "pilot_passes", 0))
    with gan.frozen():
        mover = mover.prepare(gan, Key(0).fold("prepare"))
    if not isinstance(sampler, Selector):
        return mover, spent

    def pilot(n: int) -> Proposal:
        nonlocal spent
        ratio = gan.ratio(mover, strict=strict)
        asked, count = _spread(gan, n)
        run = Run(asked, mover, count, Key(0).fold("pilot"), width=width, ratio=ratio)
        blocks = list(run.blocks())
        ids, attempts, log_ratio = (
            torch.cat([getattr(block, name) for block in blocks])
            for name in ("ids", "attempts", "log_ratio")
        )
        spent += run.passes
        return Proposal(ids, attempts - 1, log_ratio, asked.conditions(ids))

    return dataclasses.replace(sampler, proposal=mover).prepare(pilot), spent  # type: ignore


def _spread(gan: GAN, n: int) -> tuple[GAN, int]:
    """The GAN asked for every condition in turn, and how many proposals that takes."""
    kinds = _kinds(gan)
    if kinds is None:
        return gan, n
    each = max(-(-n // len(kinds)), min(n, PER_CONDITION))
    return gan.with_condition(kinds), each * len(kinds)


def _kinds(gan: GAN) -> Tensor | None:
    """(L, ...) the different conditions; None if there are none, or too many to count."""
    if isinstance(gan.condition, Tensor):
        rows = gan.condition.to(gan.device)
    else:
        rows = gan.conditions(torch.arange(LOOKED_AT, device=gan.device))
    if rows is None or rows[0].numel() > WIDEST:
        return None
    kinds = rows.unique(dim=0)
    return kinds if len(kinds) <= min(MOST_CONDITIONS, WIDEST // kinds[0].numel()) else None
