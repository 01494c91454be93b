"""Makes a sampler ready to run: what it finds on pilot samples, fixed before the first sample."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gantandem.engine.account import one_for_all
from gantandem.engine.kept import keep
from gantandem.engine.piloting import pilot_size, say_pilot
from gantandem.engine.pool import width_for
from gantandem.engine.run import Run
from gantandem.errors import BudgetError
from gantandem.gan import GAN
from gantandem.nets.hashing import hashed_once
from gantandem.networks.saturated import warn_above_one
from gantandem.progress import track
from gantandem.ratios.lookup import networks_for
from gantandem.rng import Key
from gantandem.samplers.base import Accepts, Mover, Proposal, Selector
from gantandem.samplers.constants import MOST_CONDITIONS, by_condition, worst
from gantandem.samplers.named import SamplerLike, as_sampler
from gantandem.settings import check

logger = logging.getLogger(__name__)

PER_CONDITION = 200
"""A pilot has at least so many proposals of each condition, where conditions repeat."""
LOOKED_AT = 2**14
"""Ids whose conditions are looked at, where they come from a function."""
REFUSED_SHARE = 0.01
"""A sampler is refused if by its pilot more ids than this would use up their attempts."""
LOOKED_AT_GIVEN = 1000
"""Pilot proposals that show the cost of a sampler whose constants the user gave."""
COSTLY = 100
"""More expected proposals a sample are a warning."""
WIDEST = 2**14
"""Conditions have constants of their own while all of them together have this many numbers."""


class Prepared(NamedTuple):
    """What :func:`prepare` returns.

    Args:
        sampler: Every constant fixed.
        passes: What that took, now or when it was first prepared.
    """

    sampler: Any
    passes: int


class Ready(NamedTuple):
    """A sampler that can run.

    Args:
        sampler: Every constant fixed.
        passes: What that took.
        expected: What a sample will cost by the pilot: ``proposals_per_sample`` with its
            ``standard_error``, and ``passes_per_sample``; None where no pilot told.
        cached: The passes were spent before.
    """

    sampler: Any
    passes: int
    expected: dict[str, float] | None = None
    cached: bool = False


def prepare(
    gan: GAN, sampler: SamplerLike, *, width: int | None = None, strict: bool = True
) -> Prepared:
    """Resolve every ``auto`` and fix every constant of a sampler on pilot samples.

    The pilot has ids and keys of its own, the same for every seed: constants never depend on what
    is sampled later. Where conditions repeat (class labels), it has as many proposals of each. A
    mover whose own ``prepare`` runs the networks says beforehand what that will cost, in an
    attribute ``pilot_passes``: 0 once it is prepared. What was prepared is kept with the GAN.

    Args:
        gan: Networks, latent and ratios.
        sampler: A mover, a selector, or the name of one.
        width: Lanes of the pilot.
        strict: False turns a law mismatch into a warning.

    Returns:
        ``sampler``, frozen, and the ``passes`` behind it.

    Raises:
        BudgetError: If by the pilot over 1% of the ids would use up their attempts.
        NonFiniteError: If too many pilot proposals are not finite, or nothing can be accepted.
    """
    ready = make_ready(gan, sampler, width=width, strict=strict)
    return Prepared(ready.sampler, ready.passes)


@hashed_once()
def make_ready(
    gan: GAN,
    sampler: SamplerLike,
    *,
    width: int | None = None,
    strict: bool = True,
    progress: bool | None = None,
) -> Ready:
    """As :func:`prepare`, with what a sample is expected to cost.

    It is kept with the GAN: asked for again it costs nothing, as long as no network, condition or
    setting has changed.
    """
    check("gan", GAN, gan)
    sampler = as_sampler(gan, sampler)
    wide = width_for(gan.networks, sampler, width)
    fresh: list[Ready] = []

    def make() -> Ready:
        fresh.append(_make(gan, sampler, wide, strict, progress))
        return fresh[0]

    ready = keep(gan, sampler, (wide, strict), make)
    if not fresh:
        return ready._replace(cached=True)
    if (
        isinstance(sampler, Accepts) and ready.sampler != sampler
    ):  # which may be asked for by itself, its constants given
        keep(gan, ready.sampler, (wide, strict), lambda: ready._replace(passes=0))
    return ready


def _make(
    gan: GAN, sampler: Mover | Selector, width: int, strict: bool, progress: bool | None
) -> Ready:
    mover = sampler.proposal if isinstance(sampler, Selector) else sampler
    spent = mover.pilot_passes
    networks = networks_for(gan, mover)
    with networks.frozen():
        mover = mover.prepare(networks, Key(0).fold("prepare"))
    constant = one_for_all(networks)
    if constant is not None:
        networks.say("one for all", constant)
    if not isinstance(sampler, Selector):
        return Ready(mover, spent)
    pilots: list[tuple[Proposal, Run]] = []

    if isinstance(sampler, Accepts) and sampler.pilot is None:
        size = pilot_size(networks, mover, gan.ratio(mover, strict=strict))
        sampler = dataclasses.replace(sampler, pilot=size)  # type: ignore

    def pilot(n: int) -> Proposal:
        ratio = gan.ratio(mover, strict=strict)
        asked, count = _spread(gan, n)
        say_pilot(sampler.name, networks, mover, ratio, count)
        run = Run(
            networks_for(asked, mover), mover, count, Key(0).fold("pilot"), width=width, ratio=ratio
        )
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        with track(count, f"{sampler.name}: pilot", progress) as advance:
            for block in run.blocks():
                found.append((block.ids, block.attempts, block.log_ratio))
                advance(len(block))
        run.conclude(count)
        ids, attempts, log_ratio = (torch.cat(column) for column in zip(*found, strict=True))
        if strict:  # else it may be another law's
            warn_above_one(networks, ratio, log_ratio)
        pilots.append((Proposal(ids, attempts - 1, log_ratio, asked.conditions(ids)), run))
        return pilots[-1][0]

    frozen: Any = dataclasses.replace(sampler, proposal=mover).prepare(pilot)  # type: ignore
    if pilots and (caution := frozen.caution(pilots[0][0])):
        of = "" if mover.name == "direct" else f" of {mover.name}"
        cause = f"{frozen.name} {id(gan.ratio(mover, strict=strict).score.network)}"
        networks.say(cause, f"{frozen.name}{of}: {caution}")
    given = not pilots
    if given and isinstance(frozen, Accepts):
        pilot(min(frozen.pilot, LOOKED_AT_GIVEN))
    spent += sum(run.passes for _, run in pilots)
    if not isinstance(frozen, Accepts):
        return Ready(frozen, spent)
    return Ready(frozen, spent, _outlook(frozen, *pilots[0], given=given))


def _outlook(selector: Any, pilot: Proposal, run: Run, *, given: bool) -> dict[str, float]:
    """What a sample will cost, by the acceptance of the pilot, each condition by itself.

    Args:
        selector: Its constants are fixed.
        pilot: Proposals.
        run: What made them.
        given: Whether the user fixed the constants, and no pilot.

    Raises:
        BudgetError: If too many ids would use up their attempts.
    """
    log_accept = selector.log_accept(pilot).clamp(max=0)
    found = by_condition(selector.name, pilot._replace(log_ratio=log_accept), quiet=True)
    log_rate = torch.stack([v.logsumexp(0) - math.log(len(v)) for v in found.values()])
    # What is not finite is drawn again, at a cost, but does not use up an attempt of the budget.
    rate, budget = log_rate.exp(), selector.budget
    log_rate += math.log(1 - run.account.events["nonfinite"] / run.account.proposals)
    missed = (budget * torch.log1p(-rate.clamp(max=1 - 1e-15))).exp()
    name, share = selector.name, float(missed.mean())
    proposals = float((-log_rate).exp().mean())
    widths = torch.stack([v.exp().var(correction=0) / len(v) for v in found.values()])
    error = float((widths / rate.clamp(min=1e-50) ** 4).sum().sqrt()) / len(found)
    passes = proposals * run.passes / run.account.proposals
    lowest, where = worst(dict(zip(found, rate.clamp(min=1e-300).tolist(), strict=True)))
    if share > REFUSED_SHARE:
        remedy = one_for_all(run.gan) or (
            "Its constants were given: leave them out, so that a pilot finds them"
            if given
            else "Raise the budget, refine the proposals, or use OBRS with a smaller K"
        )
        raise BudgetError(
            f"{name}: in the pilot one proposal in {1 / lowest:.3g} is accepted{where}, so "
            f"{share:.1%} of the ids would use up their {budget:,} attempts (refused above "
            f"{REFUSED_SHARE:.0%}); a sample would take {proposals:.3g} proposals, or "
            f"{passes:.3g} passes. {remedy}"
        )
    say = logger.warning if proposals > COSTLY else logger.info
    say(
        "%s: the pilot estimates %.3g proposals (standard error %.1g) or %.3g passes a sample "
        "(most%s: %.3g proposals)",
        name,
        proposals,
        error,
        passes,
        where,
        1 / lowest,
    )
    return {
        "proposals_per_sample": float(f"{proposals:.4g}"),
        "passes_per_sample": float(f"{passes:.4g}"),
        "standard_error": float(f"{error:.2g}"),
    }


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
        rows = gan.condition  # it may be large, and stay where it is
    else:
        rows = gan.conditions(torch.arange(LOOKED_AT, device=gan.device))
    if rows is None or rows[0].numel() > WIDEST:
        return None
    kinds = rows.unique(dim=0).to(gan.device)
    return kinds if len(kinds) <= min(MOST_CONDITIONS, WIDEST // kinds[0].numel()) else None
