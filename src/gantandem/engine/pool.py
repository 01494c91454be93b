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

from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.samplers.base import Mover, leaves, tree_map
from gantandem.settings import Width, check


class Finished(NamedTuple):
    """Proposals that left the pool, one a row.

    ``lane`` is (N, 3): what their lane held, see :class:`LanePool`. ``tally`` is (N, 2): a chain's
    accepted and divergent moves, or None. ``broken`` (N,) says, once they are scored, which are not
    finite: x has a NaN or an infinity, or the score is NaN or +inf (-inf is a ratio of 0).
    """

    lane: Tensor
    x: Tensor
    z: Tensor
    logit: Tensor
    steps: Tensor
    tally: Tensor | None = None
    broken: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Finished:
        """Apply a function to every column there is."""
        return tree_map(function, self)

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

    @property
    def size(self) -> int:
        """Number of proposals."""
        return self.lane.shape[0]


class Tickets(NamedTuple):
    """(id, attempt) pairs waiting for a lane."""

    id: Tensor
    attempt: Tensor


def check_width(width: int) -> int:
    """Refuse a pool width that is not a positive multiple of 16.

    Raises:
        InputError: If it is not.
    """
    return check("width", Width, width)


def lanes(width: int, device: torch.device) -> int:
    """How many lanes a pool of some width has: on a CPU, the next multiple of 64.

    There torch works through an activation by blocks of up to 64 numbers, each thread on a share
    of its own, and rounds the rest of a share otherwise. With such a number of rows there is no
    rest, whatever the size of a layer, and the bits of a sample do not depend on its lane. More
    than two threads ask for a multiple of 32 for each where the width is as large as that.
    """
    width = check_width(width)
    if device.type != "cpu":
        return width
    block = 32 * max(2, torch.get_num_threads())
    block = block if block <= width else 64
    return -(-width // block) * block


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
        width: Lanes wanted; W, the number there are, may be larger (see :func:`lanes`).
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
        self.gan, self.mover, self.key, self.width = gan, mover, key, lanes(width, gan.device)
        self._step = gan.stepper(mover)
        self._tickets, self._available = tickets, available
        self._state: Any = None
        # New states, row by row: what the lane will hold, then the leaves of the mover's state.
        self._stock: list[Tensor] = []
        self._stock_used = self._stock_size = 0
        self._idle = torch.arange(self.width, device=gan.device)
        self._busy = torch.zeros(self.width, dtype=torch.bool, device=gan.device)
        # The id, the attempt and the age (steps so far) of every lane, in one tensor: what leaves
        # and what enters is then one row each. A step of a small network costs no more than fifty
        # such operations.
        self._lane = torch.zeros(self.width, 3, dtype=torch.int64, device=gan.device)
        self._age = self._lane[:, 2]
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
        for held, new in zip([self._lane, *leaves(self._state)], self._stock, strict=True):
            held.index_copy_(0, lanes, new[begin : begin + count])

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
        state = self.mover.init(self.gan, self.key, ids, attempts)
        self._stock = [torch.stack([ids, attempts, torch.zeros_like(ids)], 1), *leaves(state)]
        if self._state is None:
            self._state = tree_map(torch.clone, state)
        return self._stock_size

    def advance(self) -> Finished | None:
        """Move every lane once; return what finished, if anything did."""
        idle = self.idle
        if idle == self.width:
            return None
        self._state, moved = self._step(self.key, self._state)
        self._age.add_(1)
        self.lane_steps += self.width
        self.idle_steps += idle
        lanes = (moved.done & self._busy if idle else moved.done).nonzero().squeeze(1)
        count = lanes.shape[0]
        if not count:
            return None
        rows = (self._lane, moved.x, moved.z, moved.logit, moved.steps)
        finished = Finished(*(row.index_select(0, lanes) for row in rows))
        if moved.tally is not None:
            finished = finished._replace(tally=moved.tally.index_select(0, lanes))
        if not idle and self._stock_size - self._stock_used >= count:
            self._refill(lanes, count)  # the usual case: every lane goes on
            return finished
        self._busy.index_fill_(0, lanes, False)
        self._idle = torch.cat([self._idle, lanes])
        self.fill()
        return finished
