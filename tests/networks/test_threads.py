"""Threads that sample one GAN take turns: the bits of one thread, modules as they were."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import gantandem as gt

SAMPLERS = ("direct", "refine", "obrs", "metropolis", "mala", "latent_opt", "drs", "dgflow")


class Noting(nn.Module):
    """Keeps its last input, as published code does, and reads it again: only one may run."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(2, 2), None

    def forward(self, z):
        self.last = z
        sum(range(2000))  # a moment in which another thread may write
        return self.layer(self.last)


@pytest.fixture
def eager():
    """Threads are switched as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def made() -> gt.GAN:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    generator.append(Noting())
    critic = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Linear(8, 1))
    for network in (generator, critic):  # which gives it statistics of its own
        network.train()(torch.randn(64, 2))
    return gt.GAN(generator, critic, 2)


def state(module: nn.Module):
    return (
        {name: value.clone() for name, value in module.state_dict().items()},
        [one.training for one in module.modules()],
        [weight.requires_grad for weight in module.parameters()],
        [len(one._forward_hooks) + len(one._forward_pre_hooks) for one in module.modules()],
        [list(vars(one)) for one in module.modules()],
    )


@pytest.mark.slow
def test_eight_threads_draw_the_bits_of_one(eager):
    gan, alone = made(), made()
    gan.generator[1].requires_grad_(False)
    gan.guide.network.eval()
    before = [state(module) for module in (gan.generator, gan.guide.network)]
    wanted = {name: gt.sample(alone, name, 80, width=64, seed=3).x for name in SAMPLERS}
    start = threading.Barrier(len(SAMPLERS))

    def draw(name):
        start.wait()
        return [gt.sample(gan, name, 80, width=64, seed=3).x for _ in range(2)]

    with ThreadPoolExecutor(len(SAMPLERS)) as threads:
        found = dict(zip(SAMPLERS, threads.map(draw, SAMPLERS), strict=True))
    for name, drawn in found.items():
        assert all(torch.equal(x, wanted[name]) for x in drawn), name
    for (numbers, *rest), now in zip(
        before, map(state, (gan.generator, gan.guide.network)), strict=True
    ):
        assert rest == list(now[1:])
        assert all(torch.equal(value, now[0][name]) for name, value in numbers.items())


def test_a_thread_waits_for_the_one_that_holds_the_networks():
    gan, there = made(), threading.Event()
    drawn = []

    def other():
        there.set()
        drawn.append(gan.decode(torch.zeros(4, 2)))

    with gan.networks.frozen():
        waiting = threading.Thread(target=other)
        waiting.start()
        assert there.wait(10)
        waiting.join(0.2)
        assert not drawn and waiting.is_alive()
    waiting.join(10)
    assert len(drawn) == 1 and gan.generator.training
