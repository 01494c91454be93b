"""Runs a sampler over the lane pool: proposals in, judged in attempt order, samples out by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gantandem.engine.account import Account, no_score
from gantandem.engine.pool import Finished, LanePool, lanes, width_for
from gantandem.engine.transfer import to_device, to_host
from gantandem.engine.window import Scored, Window
from gantandem.errors import NonFiniteError, StoppedError
from gantandem.networks.networks import Networks
from gantandem.progress import Interrupted, uninterrupted
from gantandem.ratios.ratio import Ratio
from gantandem.rng import Key
from gantandem.samplers.base import Chain, Mover, Proposal, Selector, tree_map
from gantandem.samples import Samples

BULK = 4
"""Widths of finished proposals that are settled at a time where there is nothing to judge."""


class _Asked(NamedTuple):
    """A chunk that was scored, and of which the host is yet to hear: ``known`` waits for it."""

    lane: Tensor
    known: Callable[[], Any]
    x: Tensor
    z: Tensor
    size: int


class _Rows(NamedTuple):
    """Proposals that wait to be judged: what the host knows, and x and z on the device."""

    host: Scored
    x: Tensor
    z: Tensor

    @staticmethod
    def join(parts: list[_Rows]) -> _Rows:
        return (
            parts[0] if len(parts) == 1 else tree_map(lambda *columns: torch.cat(columns), *parts)
        )

    def where(self, chosen: Tensor) -> _Rows:
        if bool(chosen.all()):
            return self
        index = chosen.nonzero().squeeze(1)
        places = to_device(index, self.x.device)
        host = tree_map(lambda value: value.index_select(0, index), self.host)
        return _Rows(host, self.x.index_select(0, places), self.z.index_select(0, places))


class Run:
    """One run of a prepared sampler over the ids ``start`` to ``start + n - 1``.

    The host keeps the books (:class:`Window`) and judges; the device runs the networks and holds
    x and z. A chunk of finished proposals is scored at a time, and what the host wants to know of
    it is under way while the pool takes further steps.

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
        gan: Networks,
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
        self.width = lanes(width_for(gan, sampler, width), gan.device)
        self.discarded = 0
        self.interrupted = False
        self._device = gan.device
        self._cost = self.mover.cost()
        scored = None if ratio is None else int(self._cost.scores and not self._shared())
        self.account = Account(gan, mover, self.selector, self.name, scored)
        budget = None if self.selector is None else self.selector.budget
        self._window = window = Window(start, start + n, self.width, budget)
        self._pool = LanePool(gan, self.mover, key, self.width, window.tickets, window.waiting)
        self._buffer: list[Finished] = []
        self._buffered = 0
        self._asked: list[_Asked] = []
        self._lag = 0 if self._device.type == "cpu" else 1
        self._early: list[_Rows] = []

    @property
    def passes(self) -> int:
        """Passes behind what was judged."""
        return self.account.passes

    @property
    def waste(self) -> float:
        """Share of lane steps that were idle or went into attempts nobody needed."""
        useful = self._pool.lane_steps - self._pool.idle_steps - self.discarded
        return 1 - useful / max(1, self._pool.lane_steps)

    @property
    def _chunk(self) -> int:
        """Proposals settled at a time: some widths of small samples that no network scores."""
        scored = self.selector is not None or self.ratio is not None
        return self.width * (1 if scored or self._window.narrow else BULK)

    def blocks(self) -> Iterator[Samples]:
        """Samples in id order, at least a width of them at a time until the last.

        Before an error that stops the run, or Ctrl-C, what is finished is yielded.
        """
        while self._window.base < self._window.stop:
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
        pool, window = self._pool, self._window
        if pool.idle == self.width:
            pool.fill(force=True)
        finished = pool.advance()
        if finished is not None:
            window.fit(finished.x[0].nbytes)
            self._buffer.append(finished)
            self._buffered += finished.size
        starved = pool.idle >= max(1, self.width // 4)
        if self._buffered < self._chunk and not starved:
            return None
        if self._buffered >= (max(1, self._chunk // 8) if pool.idle < self.width else 1):
            self._score()
        elif window.dry and not self._asked:
            return None
        while len(self._asked) > (0 if starved else self._lag):
            self._settle()
        if starved:
            pool.fill(force=True)
        return self._emit()

    # -- scoring, on the device ---------------------------------------------------------------

    def _score(self) -> None:
        """Score up to a chunk of finished proposals, padded to its size."""
        # Of one part too: networks may round differently where a view's memory is not aligned.
        everything = tree_map(lambda *columns: torch.cat(columns), *self._buffer)
        count = min(everything.size, self._chunk)
        rest = tree_map(lambda value: value[count:], everything)
        self._buffer, self._buffered = ([rest] if rest.size else []), rest.size
        rows = tree_map(lambda value: self._pad(value[:count]), everything)
        cond = self.gan.conditions(to_device(rows.id, self._device))
        log_ratio = self._log_ratio(rows, cond)
        broken = ~rows.x.flatten(1).isfinite().all(1)
        if self.ratio is not None or self._cost.scores:
            broken |= no_score(log_ratio)
        known = to_host((log_ratio, broken, rows.steps, rows.tally, cond))
        self._asked.append(_Asked(rows.lane, known, rows.x, rows.z, count))

    def _pad(self, value: Tensor) -> Tensor:
        missing = self._chunk - len(value)
        return torch.cat([value, value[:1].expand(missing, *value.shape[1:])]) if missing else value

    def _log_ratio(self, rows: Finished, cond: Tensor | None) -> Tensor:
        if self.ratio is None:
            return rows.logit.double()
        if self._shared():
            return self.ratio.from_logit(rows.logit.double(), cond)
        return self.ratio.log_ratio(rows.x, cond)

    def _shared(self) -> bool:
        """The guide's logit is the ratio's: no further pass."""
        return self._cost.scores and self.ratio is not None and self.ratio.score is self.gan.guide

    def _refuse_fresh(self, ids: Tensor, z: Tensor, bad: Tensor, count: int) -> None:
        """A move may leave the finite numbers; a fresh sample of the generator must not."""
        parts = zip(to_device(ids, z.device).split(self.width), z.split(self.width), strict=True)
        broken = torch.cat([self._broken(*part) for part in parts]).cpu()
        broken = (broken & bad)[:count]
        if bool(broken.any()):
            those = ids[:count][broken].sort().values.tolist()
            named = ", ".join(map(str, those[:5])) + (", ..." if len(those) > 5 else "")
            raise NonFiniteError(
                f"{self.name}, step 0: {len(those)} fresh samples of the generator have a score or "
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

    # -- judging, on the host -----------------------------------------------------------------

    def _settle(self) -> None:
        """Judge the oldest chunk that was scored, and what waited for it."""
        lane, known, x, z, count = self._asked.pop(0)
        log_ratio, broken, *others = known()
        if bool(broken.any()):
            self._refuse_fresh(lane[:, 0], z, broken, count)
        host = Scored(lane, torch.where(broken, -torch.inf, log_ratio), broken, *others)
        self._early.append(tree_map(lambda value: value[:count], _Rows(host, x, z)))
        self._window.dry = False
        while self._early:
            early = _Rows.join(self._early)
            live, due = self._window.due(early.host)
            self.discarded += int(early.host.age[~live].sum())
            later = live & ~due
            self._early = [early.where(later)] if bool(later.any()) else []
            if not bool(due.any()):
                break
            now = early.where(due)
            for begin in range(0, len(now.x), self._chunk):
                part = slice(begin, begin + self._chunk)
                self._judge(tree_map(lambda value, part=part: value[part], now))

    def _judge(self, rows: _Rows) -> None:
        """Judge at most one attempt of each id.

        The rows are padded, so that no value depends on how many are judged together.
        """
        padded, window = tree_map(self._pad, rows.host), self._window
        slot = window.slot(padded.id)
        chain = Chain(*(column[slot] for column in window.chain))
        new = Proposal(padded.id, padded.attempt, padded.log_ratio, padded.condition)
        if self.selector is None:
            every = torch.ones_like(chain.done)
            after = chain.where(every, new)._replace(accepted=every, done=every)
        else:
            after = self.selector.judge(self.key.fold("judge"), chain, new)
        chain = chain.without(padded.broken, after)
        chain = Chain(*(column[: len(rows.x)] for column in chain))
        window.take(rows.host, rows.x, rows.z, chain)
        self.account.add(rows.host, chain, new)

    def _emit(self, *, everything: bool = False) -> Samples | None:
        count = self._window.ready(everything=everything)
        if not count:
            return None
        fields = self._window.leave(count)
        return Samples(**fields, manifest={}, condition=self.gan.conditions(fields["ids"]))

    def conclude(self, n: int) -> None:
        """Look at a whole run of n ids, see :meth:`Account.conclude`."""
        self.account.conclude(n)
