"""What a run spends and meets, and when that is too much to go on with."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from gantandem.engine.window import Scored
from gantandem.errors import BudgetError, NonFiniteError
from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Chain, Mover, Proposal, Selector, tree_map

logger = logging.getLogger(__name__)

EXHAUSTED_SHARE = 0.001
"""More ids that used up their attempts are an error."""
NONFINITE_SHARE = 0.1
"""More proposals that are not finite are an error: what is left would be another law."""
REDRAWS = 16
"""Attempts of an id beyond its budget, while none of them was finite."""
PLAIN, LIKELY = 1e-6, 1e-2
"""Levels of significance: to stop early, and to judge a whole run."""
FLAT = 1e-3
"""Log ratios that differ by less are the same: acceptance by them changes nothing."""
FEW = 64
"""Of fewer proposals that is not said."""
LATENTS = 8
"""Latents that a generator is tried on."""


class Account:
    """The passes, proposals and events of a run.

    Args:
        gan: The networks.
        mover: Whose proposals are counted.
        selector: What judges them, if anything does.
        name: Of the sampler, for messages.
        scored: Passes that the judging ratio costs a proposal; None without a ratio.
    """

    def __init__(
        self, gan: Networks, mover: Mover, selector: Selector | None, name: str, scored: int | None
    ) -> None:
        self.gan, self.mover, self.selector, self.name = gan, mover, selector, name
        self.events = {"nonfinite": 0, "exhausted": 0}
        self.passes = self.proposals = 0
        self._cost, self._scored, self._rated = mover.cost(), scored or 0, scored is not None
        # Ids of a selector that ended, and that ended with a ratio of 0.
        self._ended = self._zero = 0
        # The lowest and the highest log ratio of finite proposals.
        self._range = torch.tensor([torch.inf, -torch.inf], dtype=torch.float64)

    def add(self, now: Scored, chain: Chain, new: Proposal) -> None:
        """Count what was judged, and stop the run as soon as it plainly comes to nothing.

        Args:
            now: Proposals, one of an id at most.
            chain: What their ids hold now.
            new: The proposals as the selector saw them.

        Raises:
            NonFiniteError: As :meth:`conclude`.
            BudgetError: As :meth:`conclude`.
        """
        count, broken = len(now.id), int(now.broken.sum())
        self.proposals += count
        self.passes += count * (self._cost.start + self._scored)
        self.passes += int(now.age.sum()) * self._cost.step
        self.events["nonfinite"] += broken
        if now.tally is not None:
            self._count(dict(zip(self.mover.events, now.tally.sum(0).tolist(), strict=True)))
        budget = 1
        if self.selector is not None:
            budget = self.selector.budget
            self._judged(self.selector, chain, new)
        if self._rated:
            low = torch.where(now.broken, torch.inf, now.log_ratio).min()
            high = torch.where(now.broken, -torch.inf, now.log_ratio).max()
            ends = torch.minimum(self._range[0], low), torch.maximum(self._range[1], high)
            self._range = torch.stack(ends)
        tried = now.attempt + 1 >= budget + REDRAWS
        if broken and bool((chain.empty & tried).any()):
            raise self._not_finite()
        self._check(self._ended, PLAIN)

    def _count(self, found: Mapping[str, int]) -> None:
        for event, number in found.items():
            self.events[event] = self.events.get(event, 0) + number

    def _judged(self, selector: Selector, chain: Chain, new: Proposal) -> None:
        new = tree_map(lambda column: column[: len(chain.done)], new)
        found = selector.count(chain, new)
        self._count({event: int(where.sum()) for event, where in found.items()})
        spent = chain.done & ~chain.accepted
        self.events["exhausted"] += int(spent.sum())
        self._zero += int((spent & (chain.log_ratio == -torch.inf)).sum())
        self._ended += int(chain.done.sum())

    def conclude(self, n: int) -> None:
        """Look at a whole run of n ids; warns, once for a GAN, if all log ratios are equal.

        Raises:
            NonFiniteError: If significantly more than 10% of the proposals were not finite.
            BudgetError: If significantly more than 0.1% of the ids ended without an acceptance.
            InputError: If the mover says that its samples are not what was asked for.
        """
        self._check(n, LIKELY)
        self.mover.conclude(self.events)
        spent = self.events["exhausted"]
        if spent:
            logger.warning(
                "%s: %d of %d ids used up their attempts; their last proposals have accepted=False",
                self.name,
                spent,
                n,
            )
        low, high = self._range.tolist()
        if self._rated and self.proposals >= FEW and high - low < FLAT:
            self.gan.say(
                "flat ratio",
                f"{self.mover.name}: all {self.proposals:,} proposals have the same log ratio "
                f"({low:.3g}), so acceptance changes nothing. The discriminator is constant or "
                "saturated on them: run diagnose(), or fit a ratio with fit_ratio()",
            )

    def _check(self, ended: int, level: float) -> None:
        if surely_above(self.events["nonfinite"], self.proposals, NONFINITE_SHARE, level):
            raise self._not_finite()
        spent = self.events["exhausted"]
        if surely_above(spent, ended, EXHAUSTED_SHARE, level):
            raise BudgetError(
                f"{self.name}: {spent:,} of {ended:,} ids used up their attempts without an "
                f"acceptance (allowed: {EXHAUSTED_SHARE:.1%}). {self._cause()}"
            )

    def _cause(self) -> str:
        if self._zero == self.events["exhausted"]:
            return (
                "All their proposals had a ratio of 0: take more proposals, refine them, or run "
                "diagnose()"
            )
        return one_for_all(self.gan) or (
            "The ratio's tail is too heavy for this budget: raise the budget, refine the "
            "proposals, or use OBRS with a smaller K"
        )

    def _not_finite(self) -> NonFiniteError:
        step, remedy = self.mover.step_size, ""
        if isinstance(step, (int, float)):
            remedy = f"take a smaller step_size (it is {step:g}) or fewer steps, or "
        return NonFiniteError(
            f"{self.mover.name}: {self.events['nonfinite']:,} of {self.proposals:,} proposals are "
            f"NaN or infinite (allowed: {NONFINITE_SHARE:.0%}): {remedy}check the weights and the "
            "input range of both networks"
        )


def surely_above(count: int, of: int, share: float, level: float) -> bool:
    """Whether ``count`` of ``of`` can hardly come of a probability of ``share`` or less.

    By Chernoff's bound exp(-of KL) on the tail of a binomial law, if that is below ``level``.
    """
    if count <= share * of:
        return False
    part = count / of
    bound = part * math.log(part / share)
    if part < 1:
        bound += (1 - part) * math.log((1 - part) / (1 - share))
    return -of * bound < math.log(level)


def no_score(score: Tensor) -> Tensor:
    """Where a score is none: NaN or +inf; -inf is a ratio of 0, which is never accepted."""
    return score.isnan() | (score == torch.inf)


def one_for_all(gan: Networks) -> str | None:
    """What to say of a generator that gives one x for every latent; None if it does not."""
    ids = torch.arange(LATENTS, device=gan.device)
    with gan.frozen():
        cond = gan.conditions(torch.zeros_like(ids))
        x = gan.decode(gan.latent.draw(Key(0).fold("example"), ids), cond)
    if bool((x != x[:1]).any()):
        return None
    return (
        f"The generator {type(gan.generator).__name__} ignores its latent: it gives the same "
        f"sample for {LATENTS} different latents{'' if cond is None else ' under one condition'}, "
        "so no attempt differs from another. Check its weights and its input"
    )
