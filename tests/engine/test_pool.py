"""The pool asks the device nothing that it can know, and samples do not depend on when it looks."""

from __future__ import annotations

import contextlib
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from asking import Asking
from gantandem import (
    OBRS,
    SAMPLERS,
    Key,
    Metropolis,
    Mover,
    Refine,
    fit_latent_reweight,
    prepare,
    sample,
)
from gantandem.engine import pool, run
from gantandem.engine.pool import LanePool, Tickets
from gantandem.engine.run import Run
from gantandem.engine.sampling import start_run
from gantandem.samplers.base import Cost, Moved, tree_map
from gantandem.samples import FIELDS
from gantandem.testing import toy_gan

META = torch.device("meta")
"""A device that refuses every question: nothing can be read from it."""


class State(NamedTuple):
    z: torch.Tensor
    step: torch.Tensor


class Walks:
    """A mover whose lanes live from one to seven steps."""

    name = "walks"
    uses_guide = False

    def __init__(self, known=True):
        self.known = known

    def cost(self):
        return Cost(start=0, step=1, scores=False)

    def init(self, gan, key, ids, attempts):
        return State(torch.zeros(len(ids), 2, device=ids.device), torch.zeros_like(ids))

    def lifetime(self, key, ids, attempts):
        return key.fold("stop").integers(7, ids, attempts) + 1 if self.known else None

    def step(self, gan, key, state):
        z, step = state.z + 1, state.step + 1
        return State(z, step), Moved(z, z, z[:, 0], step, step == 7)


def nowhere(mover):
    """What the engine asks of a GAN, on the device that cannot be asked."""
    gan = SimpleNamespace(device=META, conditions=lambda ids: None, frozen=contextlib.nullcontext)
    gan.stepper = lambda mover: partial(mover.step, gan)
    return gan


def endless():
    drawn = [0]

    def tickets(count):
        drawn[0] += count
        ids = torch.arange(drawn[0] - count, drawn[0])
        return Tickets(ids, torch.zeros_like(ids))

    return tickets


def test_a_step_asks_the_device_nothing_where_the_end_is_known():
    mover = Walks()
    lanes = LanePool(nowhere(mover), mover, Key(0), 64, endless(), lambda: 64)
    lanes.fill()
    finished = [part for part in (lanes.advance() for _ in range(50)) if part is not None]
    assert finished[0].x.device == META
    lane = torch.cat([part.lane for part in finished])
    assert torch.equal(lane[:, 2], mover.lifetime(Key(0), lane[:, 0], lane[:, 1]))
    assert lane[:, 0].unique().numel() == len(lane) > 64 * 50 // 5


def test_the_device_cannot_be_asked_unnoticed():
    mover = Walks(known=False)
    lanes = LanePool(nowhere(mover), mover, Key(0), 64, endless(), lambda: 64)
    lanes.fill()
    with pytest.raises((NotImplementedError, RuntimeError)):
        for _ in range(pool.LOOK_EVERY):
            lanes.advance()


def test_a_run_asks_the_device_once_for_a_chunk_of_proposals(monkeypatch):
    """Judging, tickets, counting and emission are the host's."""
    asked = []

    def answer(tree):
        asked.append(1)
        host = tree_map(lambda value: torch.zeros(value.shape, dtype=value.dtype), tree)
        return lambda: host

    monkeypatch.setattr(run, "to_host", answer)
    mover = Walks()
    work = Run(nowhere(mover), mover, 64 * 40, Key(0), width=64)
    blocks = list(work.blocks())
    ids = torch.arange(64 * 40)
    assert sum(map(len, blocks)) == len(ids) and blocks[0].x.device == META
    assert work.passes == int(mover.lifetime(Key(0), ids, 0 * ids).sum())
    assert len(asked) <= 40 / run.BULK + 5


@pytest.mark.parametrize("name", [n for n, kind in SAMPLERS.items() if issubclass(kind, Mover)])
def test_no_move_asks_the_device(name):
    gan = fit_latent_reweight(toy_gan(), n=200, schedule=[(2, 1e-3)], progress=False)
    short = {"warm_up": 20, "pilots": 16, "bins": 6} if name == "wlgan" else {}
    mover, _ = prepare(gan, SAMPLERS[name](**short))
    networks = start_run(gan, mover, 64, 0, 64, 0, True)[0].gan
    with networks.frozen():
        ids = torch.arange(64)
        state = mover.init(networks, Key(0), ids, 0 * ids)
        state, _ = mover.step(networks, Key(0), state)
        with Asking() as asking:
            mover.step(networks, Key(0), state)
    assert not asking.seen


def test_what_asks_is_seen():
    for question in (bool, lambda x: x[x > 0], Tensor.nonzero, lambda x: x.equal(x), float):
        with Asking() as asking:
            question(torch.ones(1))
        assert len(asking.seen) == 1


THRESHOLD = Refine(steps=9, step_size=0.05, stop="threshold", threshold=0.1)


@pytest.mark.parametrize(
    "sampler",
    [
        THRESHOLD,
        Refine(steps=9, step_size=0.05),
        OBRS(proposal=THRESHOLD, log_scale=-1.0),
        Metropolis(proposal=Refine(steps=5, step_size=0.05), proposals=4),
    ],
    ids=["threshold", "random", "obrs", "metropolis"],
)
@pytest.mark.parametrize("every, lag", [(1, 1), (3, 0), (3, 3)])
def test_when_the_host_looks_changes_no_sample(sampler, every, lag, monkeypatch):
    gan = toy_gan()
    options = {"seed": 1, "width": 64, "strict": False, "progress": False}
    plain = sample(gan, sampler, 150, **options)
    watch, start = pool._Watch.__init__, Run.__init__

    def looks_rarely(self, *arguments):
        watch(self, *arguments)
        self._every = every

    def hears_late(self, *arguments, **settings):
        start(self, *arguments, **settings)
        self._lag = lag

    monkeypatch.setattr(pool._Watch, "__init__", looks_rarely)
    monkeypatch.setattr(Run, "__init__", hears_late)
    out = sample(gan, sampler, 150, **options)
    for name in FIELDS:
        assert torch.equal(getattr(out, name), getattr(plain, name)), name
    for name in ("passes", "proposals", "events"):
        assert out.manifest[name] == plain.manifest[name], name
