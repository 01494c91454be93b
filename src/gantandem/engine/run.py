"""Runs a sampler over the lane pool: proposals in, judged in attempt order, samples out by id."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gantandem.engine.account import Account, no_score
from gantandem.engine.pool import Finished, LanePool, Tickets, default_width, lanes
from gantandem.errors import NonFiniteError, StoppedError
from gantandem.gan import GAN
from gantandem.progress import Interrupted, uninterrupted
from gantandem.ratios.ratio import Ratio
from gantandem.rng import Key
from gantandem.samplers.base import Chain, Mover, Proposal, Selector, tree_map
from gantandem.samples import Samples

logger = logging.getLogger(__name__)

LOOK_AHEAD = 8
"""The pool works at most this many widths of ids ahead of the oldest unfinished one."""
BULK = 4
"""Widths of finished proposals that are settled at a time where there is nothing to judge."""
AHEAD = 32
"""At most this many attempts of an id are in flight at once."""


def _cat(parts: list[Finished]) -> Finished:
    # Of one part too: networks may round differently where a view's memory is not aligned.
    return tree_map(lambda *columns: torch.cat(columns), *parts)


class Run:
    """One run of a prepared sampler over the ids ``start`` to ``start + n - 1``.

    Args:
        gan: The networks.
        sampler: A prepared mover, or a prepared selector over one.
        n: Number of samples.
        key: Random numbers.
        start: First id.
        width: Lanes; None for the default.
        ratio: What proposals are judged by; None leaves a mover's own logit.
    """

    def __init__(
        self,
        gan: GAN,
        sampler: Any,
        n: int,
        key: Key,
        *,
        start: int = 0,
        width: int | None = None,
        ratio: Ratio | None = None,
    ) -> None:
        self.gan, self.key, self.ratio = gan, key, ratio
        self.selector: Selector | None = sampler if isinstance(sampler, Selector) else None
        mover: Any = self.selector.proposal if self.selector else sampler
        self.mover: Mover = mover
        self.name = type(sampler).__name__
        self.width = lanes(default_width(gan) if width is None else width, gan.device)
        self.base, self.stop = start, start + n
        self.window = LOOK_AHEAD * self.width
        # What no network scores and nothing waits for is settled some widths at a time.
        self._chunk = self.width * (1 if self.selector or ratio else BULK)
        self.discarded = 0
        self.interrupted = False
        self._device = gan.device
        self._cost = self.mover.cost()
        scored = None if ratio is None else int(self._cost.scores and not self._shared())
        self.account = Account(gan, mover, self.selector, self.name, scored)
        self._buffer: list[Finished] = []
        self._buffered = 0
        self._early: list[Finished] = []
        # All tickets are given out, and nothing was judged or emitted since.
        self._dry = False
        self._pool = LanePool(gan, self.mover, key, self.width, self._tickets, self._waiting)
        self._chain: Chain = self._empty_chain(self.window)
        self._held: dict[str, Tensor] = {}
        # Attempts of the id in each slot: begun, and judged.
        self._begun = torch.zeros(self.window, dtype=torch.int64, device=gan.device)
        self._judged = torch.zeros_like(self._begun)

    @property
    def passes(self) -> int:
        """Passes behind what was judged."""
        return self.account.passes

    @property
    def waste(self) -> float:
        """Share of lane steps that were idle or went into attempts nobody needed."""
        useful = self._pool.lane_steps - self._pool.idle_steps - self.discarded
        return 1 - useful / max(1, self._pool.lane_steps)

    # -- tickets --------------------------------------------------------------------------------

    def _ids(self) -> Tensor:
        """The ids the run may work on now, oldest first."""
        stop = min(self.stop, self.base + self.window)
        return torch.arange(self.base, stop, device=self._device)

    def _waiting(self) -> int:
        if self._dry:
            return 0
        slot = self._ids() % self.window
        return int((~self._chain.done[slot] & (self._begun == self._judged)[slot]).sum())

    def _tickets(self, count: int) -> Tickets:
        """The next attempts of the oldest ids, so that the window moves on.

        When fewer ids wait than lanes, lanes that would idle run further attempts of unfinished
        ids ahead of their turn. Attempts are judged in order whenever they were made, so this
        changes no sample; those nobody needs are waste, and not counted as passes.
        """
        ids = self._ids()
        slot = ids % self.window
        open_ = ids[~self._chain.done[slot]]
        waiting = open_[(self._begun == self._judged)[open_ % self.window]][:count]
        attempts = self._begun[waiting % self.window]
        self._begun[waiting % self.window] += 1
        missing = count - len(waiting)
        if missing and self.selector is not None and len(open_):
            ahead = min(-(-missing // len(open_)), AHEAD)
            further = open_.repeat_interleave(ahead)[:missing]
            depth = torch.arange(ahead, device=ids.device).repeat(len(open_))[:missing]
            tries = self._begun[further % self.window] + depth
            near = tries - self._judged[further % self.window] < AHEAD
            near &= tries < self.selector.budget
            further, tries = further[near], tries[near]
            self._begun.index_add_(0, further % self.window, torch.ones_like(further))
            waiting, attempts = torch.cat([waiting, further]), torch.cat([attempts, tries])
        self._dry = len(waiting) < count
        return Tickets(waiting, attempts)

    # -- the loop -------------------------------------------------------------------------------

    def blocks(self) -> Iterator[Samples]:
        """Samples in id order, at least a width of them at a time until the last.

        Before an error that stops the run, or Ctrl-C, what is finished is yielded.
        """
        while self.base < self.stop:
            block = None
            try:
                with uninterrupted() as check, self.gan.frozen():
                    while block is None:
                        check()
                        block = self._turn()
            except (Interrupted, StoppedError):
                self.interrupted = True
                block = self._emit(everything=True) if block is None else block
                if block is not None:
                    yield block
                raise
            yield block

    def _turn(self) -> Samples | None:
        pool = self._pool
        if pool.idle == self.width:
            pool.fill(force=True)
        finished = pool.advance()
        if finished is not None:
            self._buffer.append(finished)
            self._buffered += finished.size
        starved = pool.idle >= self.width // 4
        if self._buffered < self._chunk and not starved:
            return None
        if self._buffered >= (self._chunk // 8 if pool.idle < self.width else 1):
            self._settle()
        elif self._dry:
            return None
        if starved:
            pool.fill(force=True)
        return self._emit()

    def _settle(self) -> None:
        """Score up to a chunk of finished proposals, padded to its size, and judge them."""
        self._dry = False
        everything = _cat(self._buffer)
        count = min(everything.size, self._chunk)
        rest = everything.map(lambda value: value[count:])
        self._buffer, self._buffered = ([rest] if rest.size else []), rest.size
        rows = everything.map(lambda value: self._pad(value[:count]))
        log_ratio = self._score(rows)
        broken = ~rows.x.flatten(1).isfinite().all(1)
        if self.ratio is not None or self._cost.scores:
            broken |= no_score(log_ratio)
        if bool(broken.any()):
            self._refuse_fresh(rows, broken, count)
        logit = torch.where(broken, -torch.inf, log_ratio)
        scored = rows._replace(logit=logit, broken=broken)
        new = scored.map(lambda value: value[:count])
        self._early.append(new)
        while self._early:
            early = _cat(self._early)
            slot = early.id % self.window
            live = (early.id >= self.base) & ~self._chain.done[slot]
            turn = live & (early.attempt == self._judged[slot])
            self.discarded += int(early.age[~live].sum())
            later = live & ~turn
            self._early = [early.map(lambda value, rows=later: value[rows])] if later.any() else []
            if not turn.any():
                break
            if not turn.all():  # never so without a selector
                early = early.map(lambda value, rows=turn: value[rows])
            for begin in range(0, early.size, self._chunk):
                part = slice(begin, begin + self._chunk)
                self._judge(early.map(lambda value, part=part: value[part]))

    def _pad(self, value: Tensor) -> Tensor:
        missing = self._chunk - len(value)
        return torch.cat([value, value[:1].expand(missing, *value.shape[1:])]) if missing else value

    def _score(self, rows: Finished) -> Tensor:
        if self.ratio is None or self._shared():
            logit = rows.logit.double()
            if self.ratio is None:
                return logit
            return self.ratio.from_logit(logit, self.gan.conditions(rows.id))
        return self.ratio.log_ratio(rows.x, self.gan.conditions(rows.id))

    def _shared(self) -> bool:
        """The guide's logit is the ratio's: no further pass."""
        return self._cost.scores and self.ratio is not None and self.ratio.score is self.gan.guide

    def _refuse_fresh(self, rows: Finished, bad: Tensor, count: int) -> None:
        """A move may leave the finite numbers; a fresh sample of the generator must not."""
        parts = zip(rows.id.split(self.width), rows.z.split(self.width), strict=True)
        broken = torch.cat([self._broken(ids, z) for ids, z in parts])
        broken = (broken & bad)[:count]
        if bool(broken.any()):
            ids = rows.id[:count][broken].sort().values.tolist()
            named = ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")
            raise NonFiniteError(
                f"{self.name}, step 0: {len(ids)} fresh samples of the generator have a score or "
                f"value that is NaN or infinite (ids {named}). Check the weights and the input "
                "range of both networks"
            )

    def _broken(self, ids: Tensor, z: Tensor) -> Tensor:
        """Where the plain sample of a width of latents has no finite value or score."""
        cond = self.gan.conditions(ids)
        x = self.gan.decode(z, cond)
        broken = ~x.flatten(1).isfinite().all(1)
        for score in (self.ratio and self.ratio.score, self._cost.scores and self.gan.guide):
            if score:
                broken |= no_score(score(x, cond))
        return broken & z.flatten(1).isfinite().all(1)

    def _judge(self, turn: Finished) -> None:
        """Judge at most one attempt of each id.

        The rows are padded, so that no value depends on how many are judged together.
        """
        count = turn.size
        rows = turn.map(self._pad)
        assert rows.broken is not None  # scored
        slot = rows.id % self.window
        chain = Chain(*(column[slot] for column in self._chain))
        new = Proposal(rows.id, rows.attempt, rows.logit, self.gan.conditions(rows.id))
        if self.selector is None:
            every = torch.ones_like(chain.done)
            after = chain.where(every, new)._replace(accepted=every, done=every)
        else:
            after = self.selector.judge(self.key.fold("judge"), chain, new)
        chain = chain.without(rows.broken, after)
        chain, slot = Chain(*(column[:count] for column in chain)), slot[:count]
        self._hold(turn, slot, chain.keep)
        self._judged[slot] = turn.attempt + 1
        self._begun[slot] = torch.maximum(self._begun[slot], self._judged[slot])
        for table, column in zip(self._chain, chain, strict=True):
            table[slot] = column
        self.account.add(turn, chain, new)

    def _hold(self, rows: Finished, slot: Tensor, keep: Tensor) -> None:
        values = {"x": rows.x, "z": rows.z, "steps": rows.steps}
        if not self._held:
            self._held = {
                name: value.new_zeros(self.window, *value.shape[1:])
                for name, value in values.items()
            }
        kept = slot[keep]
        for name, value in values.items():
            self._held[name][kept] = value[keep]

    # -- emission -------------------------------------------------------------------------------

    def _emit(self, *, everything: bool = False) -> Samples | None:
        order = self._ids()
        slots = order % self.window
        done = self._chain.done[slots]
        ready = len(done) if bool(done.all()) else int((~done).nonzero()[0])
        if ready == 0 or (ready < self.width and self.base + ready < self.stop and not everything):
            return None
        slots = slots[:ready]
        block = Samples(
            x=self._held["x"][slots],
            z=self._held["z"][slots],
            log_ratio=self._chain.log_ratio[slots],
            steps=self._held["steps"][slots],
            attempts=self._judged[slots],
            accepted=self._chain.accepted[slots],
            ids=order[:ready],
            manifest={},
            condition=self.gan.conditions(order[:ready]),
        )
        for table, value in zip(self._chain, self._empty_chain(ready), strict=True):
            table[slots] = value
        self._begun[slots] = self._judged[slots] = 0
        self.base += ready
        self._dry = False
        return block

    def _empty_chain(self, rows: int) -> Chain:
        device = self._device
        low = torch.full((rows,), -torch.inf, dtype=torch.float64, device=device)
        no = torch.zeros(rows, dtype=torch.bool, device=device)
        zero = torch.zeros(rows, dtype=torch.int64, device=device)
        return Chain(low, low.clone(), ~no, no, zero, no.clone(), no.clone())

    def conclude(self, n: int) -> None:
        """Look at a whole run of n ids, see :meth:`Account.conclude`."""
        self.account.conclude(n)
