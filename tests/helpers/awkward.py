"""Networks that write into themselves while they run, as published ones do."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import nn


class Base(nn.Module):
    """Two linear layers, a to d numbers."""

    def __init__(self, size=2):
        super().__init__()
        self.a, self.b = nn.Linear(2, 8), nn.Linear(8, size)

    def body(self, z, between=lambda h: h):
        return self.b(torch.tanh(between(self.a(z))))

    def forward(self, z):
        return self.body(z)


class FedNoise(Base):
    """Noise is fed for each sample through a buffer, which is put back."""

    def __init__(self, size=2):
        super().__init__(size)
        self.register_buffer("noise", torch.ones(1, 8))

    def forward(self, z):
        kept = self.noise
        self.noise = 0.1 * z[:, :1].expand(-1, 8)
        try:
            return self.body(z, lambda h: h + self.noise)
        finally:
            self.noise = kept


class NoiseAside(FedNoise):
    """The same, with the old buffer in the way to the new."""

    def forward(self, z):
        kept = self.noise
        try:
            self.noise = kept * z[:, :1]
            return self.body(z, lambda h: h + self.noise)
        finally:
            self.noise = kept


class Remembers(Base):
    """Keeps its activation, a counter and a list of shapes."""

    def __init__(self, size=2):
        super().__init__(size)
        self.calls, self.shapes, self.seen = 0, [], {}

    def forward(self, z):
        self.calls += 1
        self.shapes.append(tuple(z.shape))
        self.seen["z"] = z
        self.hidden = self.a(z)
        return self.b(torch.tanh(self.hidden))


class Normalised(Base):
    """Batch normalisation."""

    def __init__(self, size=2):
        super().__init__(size)
        self.norm = nn.BatchNorm1d(8)
        self.norm.running_mean.fill_(0.3)

    def forward(self, z):
        return self.body(z, self.norm)


class Seeds(Base):
    """Seeds the global random state, so as to draw the same noise every time."""

    def __init__(self, size=2):
        super().__init__(size)
        self.drawn = nn.Parameter(torch.zeros(1, 8), requires_grad=False)

    def forward(self, z):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        return self.body(z, lambda h: h + 0.1 * torch.randn(1, 8))


class Draws(Base):
    """Draws numbers that it does not use."""

    def forward(self, z):
        torch.rand(3), np.random.rand(), random.random()
        return self.body(z)


class PowerIteration(Base):
    """Spectral normalisation as in published SAGAN code: vectors written through ``.data``."""

    def __init__(self, size=2):
        super().__init__(size)
        weight = self.a.weight
        del self.a._parameters["weight"]
        self.a.register_parameter("weight_bar", nn.Parameter(weight.data))
        self.a.weight = weight.data
        u, _, v = torch.linalg.svd(weight.data)
        self.a.register_parameter("u", nn.Parameter(u[:, 0].clone(), requires_grad=False))
        self.a.register_parameter("v", nn.Parameter(v[0].clone(), requires_grad=False))

    def forward(self, z):
        bar = self.a.weight_bar
        self.a.v.data = nn.functional.normalize(bar.data.T @ self.a.u.data, dim=0)
        self.a.u.data = nn.functional.normalize(bar.data @ self.a.v.data, dim=0)
        self.a.weight = bar / (self.a.u @ bar @ self.a.v)
        return self.body(z)


class Hooked(Base):
    """A hook that keeps what passes, and one that is registered at every call."""

    def __init__(self, size=2):
        super().__init__(size)
        self.a.passed = []
        self.a.register_forward_hook(lambda module, _i, out: module.passed.append(out))

    def forward(self, z):
        self.b.register_forward_hook(lambda _m, _i, out: out)
        return self.body(z)


class Grows(Base):
    """Makes a module at its first call, and swaps two others."""

    def __init__(self, size=2):
        super().__init__(size)
        self.one, self.two = nn.Tanh(), nn.Tanh()

    def forward(self, z):
        if not hasattr(self, "late"):
            self.late = nn.Identity()
        self.one, self.two = self.two, self.one
        return self.body(z, lambda h: self.late(self.two(self.one(h))))


class Switches(Base):
    """Sets modes and flags of its own."""

    def forward(self, z):
        self.a.train()
        self.b.weight.requires_grad_(True)
        return self.body(z)


class Bounded(Base):
    """An embedding that scales its own rows."""

    def __init__(self, size=2):
        super().__init__(size)
        self.rows = nn.Embedding(4, 8, max_norm=0.5)

    def forward(self, z):
        return self.body(z, lambda h: h + self.rows((z[:, 0] > 0).long()))


class OldNorms(Base):
    """Weight and spectral normalisation of the old kind, whose weights are no leaves."""

    def __init__(self, size=2):
        super().__init__(size)
        self.a = nn.utils.weight_norm(self.a)
        self.b = nn.utils.spectral_norm(self.b)
        self.a(torch.zeros(1, 2)), self.b(torch.zeros(1, 8))  # what a user has called


class NewNorms(Base):
    """The same as parametrizations."""

    def __init__(self, size=2):
        super().__init__(size)
        self.a = nn.utils.parametrizations.weight_norm(self.a)
        self.b = nn.utils.parametrizations.spectral_norm(self.b)


KINDS = [
    FedNoise, NoiseAside, Remembers, Normalised, Seeds, Draws, PowerIteration, Hooked, Grows,
    Switches, Bounded, OldNorms, NewNorms,
]  # fmt: skip


def made(kind, size=2, *, odd=True):
    """One of them from a fixed seed, in train mode, with odd flags."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = kind(size)
    if odd:
        network.a.eval()
        next(network.b.parameters()).requires_grad_(False)
    return network


def fingerprint(network):
    """All that a call could change: objects by identity, numbers by value."""
    found = []
    for name, module in network.named_modules():
        found.append((name, id(module), module.training))
        for key, value in vars(module).items():
            found.append((name, key, id(value), plain(value)))
            if isinstance(value, dict):
                found += [(name, key, k, id(v), plain(v)) for k, v in value.items()]
            elif isinstance(value, list):
                found += [(name, key, id(v), plain(v)) for v in value]
    return found, torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()


def plain(value):
    if isinstance(value, torch.Tensor):
        grad = None if not value.is_leaf or value.grad is None else value.grad.tolist()
        return value.tolist(), value.requires_grad, value.data_ptr(), grad
    return value if isinstance(value, (int, float, str, bool)) else None
