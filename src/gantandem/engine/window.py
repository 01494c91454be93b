"""The ids that a run works on: which attempts are due, and what each id holds so far."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gantandem.engine.pool import Tickets
from gantandem.engine.transfer import to_device
from gantandem.samplers.base import Chain

LOOK_AHEAD, LEAST = 8, 3
"""A run works at most so many widths of ids ahead of the oldest unfinished one: 8, or as many as
``HELD`` allows, but at least 3, since lanes idle where the oldest ids hold up all others."""
HELD = 2**28
"""Bytes of samples that may be held until those before them are finished."""
AHEAD = 32
"""At most this many attempts of an id are in flight at once."""


class Scored(NamedTuple):
    """Finished proposals once they are scored, one a row, on the host.

    Args:
        lane: (N, 3) the id, the attempt, and how often the lane was stepped.
        log_ratio: (N,) float64; -inf where it is broken.
        broken: (N,) bool: x has a NaN or an infinity, or the score is NaN or +inf (-inf is a ratio
            of 0).
        steps: (N,) moves behind the sample.
        tally: (N, E) what the mover counts, a column for each of its ``events``, or None.
        condition: (N, ...) or None.
    """

    lane: Tensor
    log_ratio: Tensor
    broken: Tensor
    steps: Tensor
    tally: Tensor | None
    condition: Tensor | None

    @property
    def id(self) -> Tensor:
        """(N,) ids."""
        return self.lane[:, 0]

    @property
    def attempt(self) -> Tensor:
        """(N,) attempts."""
        return self.lane[:, 1]

    @property
    def age(self) -> Tensor:
        """(N,) how often the lane was stepped."""
        return self.lane[:, 2]


class Window:
    """The ids from ``base`` on, as far as a run may look ahead. An id has a slot in every table.

    Args:
        start: First id.
        stop: The id after the last.
        width: Lanes of the pool.
        budget: Most attempts of an id; None without a selector, where each has one.
    """

    def __init__(self, start: int, stop: int, width: int, budget: int | None) -> None:
        self.base, self.stop = start, stop
        self._width, self._budget = width, budget
        self._size = LOOK_AHEAD * width
        self._reach: int | None = None
        # All tickets are given out, and nothing was judged or emitted since.
        self.dry = False
        self.chain = empty_chain(self._size)
        # Attempts of the id in each slot: begun, and judged.
        self._begun = torch.zeros(self._size, dtype=torch.int64)
        self.judged = torch.zeros_like(self._begun)
        self._steps = torch.zeros_like(self._begun)
        self._rows: tuple[Tensor, Tensor] | None = None

    @property
    def reach(self) -> int:
        """Ids that may be worked on at once."""
        return LEAST * self._width if self._reach is None else self._reach

    @property
    def narrow(self) -> bool:
        """Whether samples are too large to look far ahead."""
        return self.reach < self._size

    def fit(self, size: int) -> None:
        """Reach as far as memory allows for samples of ``size`` bytes."""
        if self._reach is None:
            widths = HELD // (size * self._width)
            self._reach = min(max(widths, LEAST), LOOK_AHEAD) * self._width

    def slot(self, ids: Tensor) -> Tensor:
        """Where the tables hold an id."""
        return ids % self._size

    def _ids(self) -> Tensor:
        return torch.arange(self.base, min(self.stop, self.base + self.reach))

    # -- what to do next ----------------------------------------------------------------------

    def waiting(self) -> int:
        """How many ids wait for an attempt."""
        if self.dry:
            return 0
        slot = self.slot(self._ids())
        return int((~self.chain.done[slot] & (self._begun == self.judged)[slot]).sum())

    def tickets(self, count: int) -> Tickets:
        """The next attempts of the oldest ids, so that the window moves on.

        When fewer ids wait than lanes, lanes that would idle run further attempts of unfinished
        ids ahead of their turn. Attempts are judged in order whenever they were made, so this
        changes no sample; those nobody needs are waste, and not counted as passes.
        """
        ids = self._ids()
        open_ = ids[~self.chain.done[self.slot(ids)]]
        waiting = open_[(self._begun == self.judged)[self.slot(open_)]][:count]
        attempts = self._begun[self.slot(waiting)]
        self._begun[self.slot(waiting)] += 1
        missing = count - len(waiting)
        if missing and self._budget is not None and len(open_):
            ahead = min(-(-missing // len(open_)), AHEAD)
            further = open_.repeat_interleave(ahead)[:missing]
            depth = torch.arange(ahead).repeat(len(open_))[:missing]
            tries = self._begun[self.slot(further)] + depth
            near = tries - self.judged[self.slot(further)] < AHEAD
            near &= tries < self._budget
            further, tries = further[near], tries[near]
            self._begun.index_add_(0, self.slot(further), torch.ones_like(further))
            waiting, attempts = torch.cat([waiting, further]), torch.cat([attempts, tries])
        self.dry = len(waiting) < count
        return Tickets(waiting, attempts)

    # -- what was judged ----------------------------------------------------------------------

    def due(self, rows: Scored) -> tuple[Tensor, Tensor]:
        """Which proposals are of unfinished ids, and which of these are to be judged now."""
        slot = self.slot(rows.id)
        live = (rows.id >= self.base) & ~self.chain.done[slot]
        return live, live & (rows.attempt == self.judged[slot])

    def take(self, rows: Scored, x: Tensor, z: Tensor, chain: Chain) -> None:
        """Take what was judged: one proposal of an id at most.

        Args:
            rows: N proposals.
            x: (N, *x_shape), on the device, as z.
            z: (N, *z_shape).
            chain: What their ids hold now.
        """
        kept = chain.keep.nonzero().squeeze(1)
        ids = rows.id[kept]
        self._steps[self.slot(ids)] = rows.steps[kept]
        held = self._rows
        if held is None:
            held = x.new_zeros(self.reach, *x.shape[1:]), z.new_zeros(self.reach, *z.shape[1:])
            self._rows = held
        places = to_device(ids % self.reach, x.device)
        which = None if len(kept) == len(x) else to_device(kept, x.device)
        for table, value in zip(held, (x, z), strict=True):
            table.index_copy_(0, places, value if which is None else value.index_select(0, which))
        slot = self.slot(rows.id)
        self.judged[slot] = rows.attempt + 1
        self._begun[slot] = torch.maximum(self._begun[slot], self.judged[slot])
        for table, column in zip(self.chain, chain, strict=True):
            table[slot] = column

    def ready(self, *, everything: bool = False) -> int:
        """How many of the oldest ids may leave: a width at least, until the last."""
        done = self.chain.done[self.slot(self._ids())]
        ready = len(done) if bool(done.all()) else int((~done).nonzero()[0])
        few = ready < self._width and self.base + ready < self.stop
        return 0 if few and not everything else ready

    def leave(self, count: int) -> dict[str, Tensor]:
        """Let the oldest ids go: the fields of their samples, on the device."""
        assert self._rows is not None  # some ids are done
        device = self._rows[0].device
        ids = self._ids()[:count]
        slot, places = self.slot(ids), to_device(ids % self.reach, device)
        held = {
            "log_ratio": self.chain.log_ratio[slot],
            "steps": self._steps[slot],
            "attempts": self.judged[slot],
            "accepted": self.chain.accepted[slot],
            "ids": ids,
        }
        for table, value in zip(self.chain, empty_chain(count), strict=True):
            table[slot] = value
        self._begun[slot] = self.judged[slot] = 0
        self.base += count
        self.dry = False
        rows = (table.index_select(0, places) for table in self._rows)
        sent = {name: to_device(column, device) for name, column in held.items()}
        return dict(zip(("x", "z"), rows, strict=True)) | sent


def empty_chain(rows: int) -> Chain:
    """What ``rows`` ids hold before their first attempt."""
    low = torch.full((rows,), -torch.inf, dtype=torch.float64)
    no = torch.zeros(rows, dtype=torch.bool)
    return Chain(low, low.clone(), ~no, no, torch.zeros(rows).long(), no.clone(), no.clone())
