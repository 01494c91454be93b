"""A pool of lanes of fixed width: continuous batching for samplers.

A lane holds one (id, attempt). A finished lane is refilled at once from a stock of initial states,
so work follows the mean number of steps and not the maximum, and the networks always see one batch
shape. When there is nothing to refill with, lanes idle; idle lanes are counted as waste.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gantandem.engine.transfer import to_device, to_host
from gantandem.errors import ContractError
from gantandem.networks.layers import SMALL, at_once
from gantandem.networks.networks import Networks
from gantandem.rng import Key
from gantandem.samplers.base import Moved, Mover, Selector, leaves, tree_map
from gantandem.samplers.optimisers import by_lane
from gantandem.settings import Width, check

LOOK_EVERY = 4
"""Steps between two looks at a device for lanes that the data end."""
LEAST = 16
"""A pool of a smaller width has one lane on a CPU."""
NEVER = 2**62
"""The step at which a lane ends that the data end."""


class Finished(NamedTuple):
    """Proposals that left the pool, one a row.

    ``lane`` is (N, 3) on the host: the id, the attempt, and how often the lane was stepped. The
    rest is on the device; ``tally`` is (N, E): what the mover counts, or None.
    """

    lane: Tensor
    x: Tensor
    z: Tensor
    logit: Tensor
    steps: Tensor
    tally: Tensor | None = None

    @property
    def id(self) -> Tensor:
        """(N,) ids, on the host."""
        return self.lane[:, 0]

    @property
    def size(self) -> int:
        """Number of proposals."""
        return self.lane.shape[0]


class Tickets(NamedTuple):
    """(id, attempt) pairs waiting for a lane, on the host."""

    id: Tensor
    attempt: Tensor


def check_width(width: int) -> int:
    """Refuse a pool width that is not 1, 2, 4, 8 or a positive multiple of 16.

    Raises:
        InputError: If it is not.
    """
    return check("width", Width, width)


def width_for(gan: Networks, sampler: Mover | Selector, width: int | None) -> int:
    """The width that was given, or that suits the samples and what moves them."""
    if width is not None:
        return check_width(width)
    return default_width(gan, sampler.proposal if isinstance(sampler, Selector) else sampler)


def lanes(width: int, device: torch.device) -> int:
    """How many lanes a pool of some width has: on a CPU, the next multiple of 64.

    There torch works through an activation by blocks of up to 64 numbers, each thread on a share
    of its own, and rounds the rest of a share otherwise. With such a number of rows there is no
    rest, whatever the size of a layer, and the bits of a sample do not depend on its lane. More
    than two threads ask for a multiple of 32 for each where the width is as large as that. Nor do
    they in a pool of one lane, which is what a width below 16 gives: it is for large samples.
    """
    width = check_width(width)
    if device.type != "cpu":
        return width
    if width < LEAST:
        return 1
    block = 32 * max(2, torch.get_num_threads())
    block = block if block <= width else 64
    return -(-width // block) * block


def default_width(gan: Networks, mover: Mover) -> int:
    """Lanes by default: 1024 for points, 256 for small images, 64 beyond.

    Fewer where the networks keep so much of a sample for a step that 64 lanes would take more than
    2 GiB: a power of two; one lane on a CPU, which is as fast there for samples of that size.
    """
    with gan.frozen():
        z, cond = gan.examples(2)
        size = gan.decode(z, cond)[0].numel()
    if size <= SMALL:
        return 1024 if size <= 64 else 256
    rows = at_once(gan, mover.layer or "latent", 64)
    return 1 if rows < 64 and gan.device.type == "cpu" else rows


class LanePool:
    """Steps the lanes of one mover.

    Which (id, attempt) a lane holds, and when it ends, the host knows: the device is never asked
    where the mover's ``lifetime`` says how long a lane lives. Where the data decide, every step is
    looked at on a CPU, and every ``LOOK_EVERY`` steps elsewhere; what a lane was when it ended is
    kept until then, so that a sample is the same.

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
        gan: Networks,
        mover: Mover,
        key: Key,
        width: int,
        tickets: Callable[[int], Tickets],
        available: Callable[[], int],
    ) -> None:
        self.gan, self.mover, self.key, self.width = gan, mover, key, lanes(width, gan.device)
        self._step = gan.stepper(mover)
        self._tickets, self._available = tickets, available
        self._device = gan.device
        self._state: Any = None
        # New states: the leaves of the mover's state, and what the host knows of them.
        self._stock: list[Tensor] = []
        self._stock_lane = np.zeros((0, 3), np.int64)
        self._stock_used = 0
        self._idle = np.arange(self.width)
        # Of every lane its id, its attempt and the step that ends it (0: it idles); and its first.
        self._lane = np.zeros((self.width, 3), np.int64)
        self._first = np.zeros(self.width, np.int64)
        self._now = 0
        self._believed = False
        self._watch = _Watch(self.width, self._device)
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
            left = len(self._stock_lane) - self._stock_used
            if left == 0:
                if not force and self._available() < self.width:
                    return
                left = self._restock()
                if left == 0:
                    return
            count = min(left, len(self._idle))
            lanes, self._idle = self._idle[:count], self._idle[count:]
            self._refill(lanes, to_device(torch.from_numpy(lanes), self._device))

    def _refill(self, lanes: np.ndarray, places: Tensor) -> None:
        begin, self._stock_used = self._stock_used, self._stock_used + len(lanes)
        self._lane[lanes] = self._stock_lane[begin : self._stock_used]
        self._lane[lanes, 2] += self._now
        self._first[lanes] = self._now
        for held, new in zip(leaves(self._state), self._stock, strict=True):
            held.index_copy_(0, places, new[begin : self._stock_used])
        self._watch.forget(places)

    def _restock(self) -> int:
        ticket = self._tickets(self.width)
        count, self._stock_used = len(ticket.id), 0
        padding = self.width - count
        self._stock_lane = self._stock_lane[:0]
        if count == 0:
            return 0
        ids, attempts = (
            torch.cat([v, v[:1].expand(padding)]) if padding else v
            for v in (ticket.id, ticket.attempt)
        )
        sent = (to_device(column, self._device) for column in (ids, attempts))
        state = self.mover.init(self.gan, self.key, *sent)
        self._stock = leaves(state)
        if self._state is None:
            self._state = tree_map(torch.clone, state)
        ends = self.mover.lifetime(self.key, ids, attempts)
        self._watch.needed = ends is None
        ends = torch.full_like(ids, NEVER) if ends is None else ends
        self._stock_lane = torch.stack([ids, attempts, ends], 1)[:count].numpy()
        return count

    def advance(self) -> Finished | None:
        """Move every lane once; return what finished, if anything did."""
        idle = self.idle
        if idle == self.width:
            return None
        self._state, moved = self._step(self.key, self._state)
        self._now += 1
        self.lane_steps += self.width
        self.idle_steps += idle
        if self._watch.needed:
            lanes, age, moved = self._watch.look(moved, self._lane[:, 2] > 0)
        else:
            lanes, age = np.flatnonzero(self._lane[:, 2] == self._now), None
            if len(lanes) and not self._believed and self._device.type == "cpu":
                self._believe(lanes, moved)
        count = len(lanes)
        if not count:
            return None
        places = to_device(torch.from_numpy(lanes), self._device)
        held = self._lane[lanes]
        lived = self._now - self._first[lanes]
        held[:, 2] = lived if age is None else age
        self.idle_steps += int((lived - held[:, 2]).sum())
        columns = (moved.x, moved.z, moved.logit, moved.steps, moved.tally)
        ended = tree_map(lambda value: value.index_select(0, places), columns)
        finished = Finished(torch.from_numpy(held), *ended)
        if not idle and len(self._stock_lane) - self._stock_used >= count:
            self._refill(lanes, places)  # the usual case: every lane goes on
            return finished
        self._lane[lanes, 2] = 0
        self._idle = np.concatenate([self._idle, lanes])
        self.fill()
        return finished

    def _believe(self, lanes: np.ndarray, moved: Moved) -> None:
        """Compare what the mover says of its lifetimes with what it does, once for a pool."""
        done = np.flatnonzero(moved.done.numpy() & (self._lane[:, 2] > 0))
        if not np.array_equal(done, lanes):
            raise ContractError(
                f"{self.mover.name}: lifetime() and step() disagree on which lanes are done at "
                f"step {self._now}. Where step() was overridden, override lifetime() too; it may "
                "return None"
            )
        self._believed = True


class _Watch:
    """Looks for lanes that the data end, now and then; keeps what they were when they ended."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.needed = False
        self._every = 1 if device.type == "cpu" else LOOK_EVERY
        self._turns = 0
        self._ended: Moved | None = None
        self._over = torch.zeros(width, dtype=torch.bool, device=device)
        self._age = torch.zeros(width, dtype=torch.int64, device=device)

    def look(self, moved: Moved, busy: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, Moved]:
        """Which lanes have ended, how often each was stepped (None: ever since), and as what."""
        if self._every == 1:
            return np.flatnonzero(moved.done.numpy() & busy), None, moved
        over = self._over
        self._ended = (
            tree_map(torch.clone, moved)
            if self._ended is None
            else tree_map(lambda a, b: torch.where(by_lane(over, b), a, b), self._ended, moved)
        )
        self._age += ~over
        over |= moved.done
        self._turns += 1
        if self._turns % self._every:
            return np.zeros(0, np.int64), None, moved
        seen, age = to_host((over, self._age))()
        lanes = np.flatnonzero(seen.numpy() & busy)
        return lanes, age.numpy()[lanes], self._ended

    def forget(self, places: Tensor) -> None:
        """Lanes that begin anew."""
        if self.needed and self._every > 1:
            self._over.index_fill_(0, places, False)
            self._age.index_fill_(0, places, 0)
