"""The weights of a network are hashed once in a call, and anew as soon as they may have changed."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.nets import hashing
from gantandem.nets.hashing import hashed_once, weights_hash

REAL = torch.randn(600, 2, generator=torch.Generator().manual_seed(0))
FIT = {"n": 400, "schedule": [(3, 1e-3)], "batch": 50, "progress": False}
CHAIN = gt.MALA(steps=2, step_size=0.1)


def net(*sizes):
    return nn.Sequential(nn.Linear(sizes[0], 8), nn.Tanh(), nn.Linear(8, sizes[1]))


@pytest.fixture(scope="module")
def gan():
    torch.manual_seed(0)
    return gt.fit_ratio(gt.GAN(net(2, 2), net(2, 1), 2), REAL, network=net(2, 1), **FIT)


CALLS = {
    "sample": lambda gan: gt.sample(gan, gt.OBRS(pilot=100), 16, width=16),
    "chain": lambda gan: gt.sample(gan, CHAIN, 16, width=16),
    "fit_ratio": lambda gan: gt.fit_ratio(gan, REAL, **FIT),
    "calibrate": lambda gan: gt.calibrate(gan, REAL),
    "diagnose": lambda gan: gt.diagnose(gan, REAL),
    "compare": lambda gan: gt.compare(gan, ["direct", "obrs", CHAIN], REAL, n=64),
    "chain_report": lambda gan: gt.chain_report(gan, CHAIN, chains=4, draws=4, burn_in=2),
}


@pytest.mark.parametrize("call", CALLS)
def test_weights_are_hashed_once_in_a_call(gan, call, monkeypatch):
    whole, found = hashing._hash, []
    monkeypatch.setattr(hashing, "_hash", lambda tensors: found.append(whole(tensors)) or found[-1])
    CALLS[call](gan)
    assert len(found) >= 2 and max(Counter(found).values()) == 1


def test_what_is_written_in_the_block_is_seen():
    network = net(2, 2)
    with hashed_once():
        first = weights_hash(network)
        with torch.no_grad():
            network[0].weight.mul_(2)
        second = weights_hash(network)
        network[2].bias = nn.Parameter(torch.ones(2))
        third = weights_hash(network)
    assert len({first, second, third}) == 3


def test_after_the_block_nothing_is_taken_from_it():
    network = net(2, 2)
    with hashed_once():
        first = weights_hash(network)
    network[0].weight.data.mul_(2)  # which torch does not count
    assert weights_hash(network) != first
