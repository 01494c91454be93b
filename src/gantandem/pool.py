"""A pool of lanes of fixed width: continuous batching for samplers.

A lane holds one (id, attempt). A finished lane is refilled at once from a stock of initial states,
so work follows the mean number of steps and not the maximum, and the networks always see one batch
shape. When there is nothing to refill with, lanes idle; idle lanes are counted as waste.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.samplers.base import Mover, leaves, tree_map


class Finished(NamedTuple):
    """Proposals that left the pool, one a row; ``age`` is how often their lane was stepped.

    ``tally`` is (N, 2): a chain's accepted and divergent moves, or None.
    """

    id: Tensor
    attempt: Tensor
    x: Tensor
    z: Tensor
    logit: Tensor
    steps: Tensor
    age: Tensor
    tally: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Finished:
        """Apply a function to every column there is."""
        return tree_map(function, self)

    @property
    def size(self) -> int:
        """Number of proposals."""
        return self.id.shape[0]


class Tickets(NamedTuple):
    """(id, attempt) pairs waiting for a lane."""

    id: Tensor
    attempt: Tensor


def check_width(width: int) -> int:
    """Refuse a pool width that is not a positive multiple of 16.

    Raises:
        InputError: If it is not; below 16 or off a multiple, bits would depend on the batch.
    """
    if width < 16 or width % 16:
        raise InputError(f"width: got {width}, allowed are multiples of 16 (such as 256 or 1024)")
    return width


def default_width(gan: GAN) -> int:
    """Lanes by default: 1024 for points, 256 for small images, 64 beyond (memory)."""
    with gan.frozen():
        z, cond = gan._examples()
        size = gan.decode(z, cond)[0].numel()
    return 1024 if size <= 64 else 256 if size <= 4096 else 64


class LanePool:
    """Steps the lanes of one mover.

    Args:
        gan: The networks.
        mover: A prepared mover.
        key: Random numbers of its proposals.
        width: W, number of lanes.
        tickets: Asked for up to k further (id, attempt) pairs; may return fewer.
        available: How many pairs are waiting now.
    """

    def __init__(
        self,
        gan: GAN,
        mover: Mover,
        key: Key,
        width: int,
        tickets: Callable[[int], Tickets],
        available: Callable[[], int],
    ) -> None:
        self.gan, self.mover, self.key, self.width = gan, mover, key, check_width(width)
        self._tickets, self._available = tickets, available
        self._state: Any = None
        self._stock: Any = None
        self._stock_leaves: list[Tensor] = []
        self._stock_used = self._stock_size = 0
        self._idle = torch.arange(width, device=gan.device)
        self._busy = torch.zeros(width, dtype=torch.bool, device=gan.device)
        self._age = torch.zeros(width, dtype=torch.int64, device=gan.device)
        self.lane_steps = 0
        self.idle_steps = 0

    @property
    def idle(self) -> int:
        """Lanes without work."""
        return len(self._idle)

    def fill(self, *, force: bool = False) -> None:
        """Give idle lanes work: from the stock, and from new states while tickets last.

        Args:
            force: Make states even if fewer tickets than the width are waiting.
        """
        while len(self._idle):
            left = self._stock_size - self._stock_used
            if left == 0:
                if not force and self._available() < self.width:
                    return
                left = self._restock()
                if left == 0:
                    return
            count = min(left, len(self._idle))
            lanes, self._idle = self._idle[:count], self._idle[count:]
            self._refill(lanes, count)
            self._busy.index_fill_(0, lanes, True)

    def _refill(self, lanes: Tensor, count: int) -> None:
        begin, self._stock_used = self._stock_used, self._stock_used + count
        if self._state is None:
            self._state = tree_map(torch.clone, self._stock)
        for lane, fresh in zip(leaves(self._state), self._stock_leaves, strict=True):
            lane.index_copy_(0, lanes, fresh[begin : begin + count])
        self._age.index_fill_(0, lanes, 0)

    def _restock(self) -> int:
        ticket = self._tickets(self.width)
        self._stock_size, self._stock_used = len(ticket.id), 0
        if self._stock_size == 0:
            return 0
        padding = self.width - self._stock_size
        ids, attempts = (
            torch.cat([v, v[:1].expand(padding)]) if padding else v
            for v in (ticket.id, ticket.attempt)
        )
        self._stock = self.mover.init(self.gan, self.key, ids, attempts)
        self._stock_leaves = leaves(self._stock)
        return self._stock_size

    def advance(self) -> Finished | None:
        """Move every lane once; return what finished, if anything did."""
        if self.idle == self.width:
            return None
        ids, attempts = self._state.id, self._state.attempt
        self._state, moved = self.mover.step(self.gan, self.key, self._state)
        self._age += 1
        self.lane_steps += self.width
        self.idle_steps += self.idle
        lanes = (moved.done & self._busy if self.idle else moved.done).nonzero().squeeze(1)
        if not len(lanes):
            return None
        rows = (ids, attempts, moved.x, moved.z, moved.logit, moved.steps, self._age)
        finished = Finished(*(value.index_select(0, lanes) for value in rows))
        if moved.tally is not None:
            finished = finished._replace(tally=moved.tally.index_select(0, lanes))
        if not self.idle and self._stock_size - self._stock_used >= len(lanes):
            self._refill(lanes, len(lanes))  # the usual case: every lane goes on
            return finished
        self._busy.index_fill_(0, lanes, False)
        self._idle = torch.cat([self._idle, lanes])
        self.fill()
        return finished
