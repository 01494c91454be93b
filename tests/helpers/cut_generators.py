"""Generators of many kinds, with the layers they are cut at, for tests of ``cut_at``."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def latents(d=6, n=8, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


class Block(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.norm(self.fc(x)))


class Custom(nn.Module):
    """Modules in a dict and a list, one shared relu, functional operations between."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.parts = nn.ModuleDict({"first": nn.Linear(6, 5), "last": nn.Linear(5, 3)})
        self.blocks = nn.ModuleList([Block() for _ in range(3)])

    def forward(self, z):
        h = self.relu(self.parts["first"](z))
        for block in self.blocks:
            h = self.relu(block(h) * 0.5 + 0.1)
        return torch.tanh(self.parts["last"](F.leaky_relu(h, 0.2)))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.mid = nn.Conv2d(6, 6, 1)
        self.up1 = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.up2 = nn.ConvTranspose2d(8, 2, 2, stride=2)

    def forward(self, x):
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(a))
        c = self.up1(F.relu_(self.mid(b)))
        return torch.tanh(self.up2(torch.cat([c, a], 1)) + x)


class ConditionalNorm(nn.Module):
    def __init__(self, channels, cond):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(cond, channels)

    def forward(self, x, y):
        return self.norm(x) * (1 + self.gain(y))[:, :, None, None]


class BigBlock(nn.Module):
    def __init__(self, channels, cond):
        super().__init__()
        self.norm = ConditionalNorm(channels, cond)
        self.conv = nn.utils.parametrizations.spectral_norm(
            nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x, y):
        h = F.interpolate(F.relu(self.norm(x, y)), scale_factor=2)
        return self.conv(h) + F.interpolate(x, scale_factor=2)


class BigGAN(nn.Module):
    """Chunks of z and a class embedding enter every block."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(5, 3)
        self.linear = nn.Linear(2, 4 * 2 * 2)
        self.blocks = nn.ModuleList([BigBlock(4, 5) for _ in range(2)])
        self.output = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 1, 1))

    def forward(self, z, y):
        zs = torch.chunk(z, 3, 1)
        y = self.shared(y)
        h = self.linear(zs[0]).view(z.size(0), -1, 2, 2)
        for chunk, block in zip(zs[1:], self.blocks, strict=True):
            h = block(h, torch.cat([chunk, y], 1))
        return torch.tanh(self.output(h))


class StyleLike(nn.Module):
    """A learned constant, a grid, and modulated convolutions with the rows folded in groups."""

    def __init__(self):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(6, 6), nn.LeakyReLU(0.2), nn.Linear(6, 4))
        self.const = nn.Parameter(torch.randn(1, 4, 4, 4))
        self.register_buffer("grid", torch.linspace(-1, 1, 4).view(1, 1, 1, 4))
        self.weight = nn.Parameter(torch.randn(1, 4, 4, 3, 3) / 6)
        self.style = nn.Linear(4, 4)
        self.mix = nn.Conv2d(4, 4, 1)
        self.to_rgb = nn.Conv2d(4, 3, 1)

    def forward(self, z):
        w = self.mapping(z)
        h = self.mix(self.const.expand(w.size(0), -1, -1, -1) * w[:, :, None, None]) + self.grid
        n, c, height, width = h.shape
        kernel = (self.weight * self.style(w).view(n, 1, c, 1, 1)).view(n * c, c, 3, 3)
        h = F.conv2d(h.reshape(1, n * c, height, width), kernel, padding=1, groups=n)
        return self.to_rgb(h.view(n, c, height, width) + self.grid.abs())


class Dynamic(nn.Module):
    """Nothing for torch.fx: a branch on values, a number as a loop's length."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.act = nn.LeakyReLU(0.1)
        self.body = nn.Sequential(nn.Linear(5, 5), nn.ReLU(inplace=True), self.act)
        self.middle = Block()
        self.last = nn.Linear(5, 3)

    def forward(self, *args):
        (z,) = args
        start = self.act(self.first(z))
        start.mul_(1.5)
        skip = self.act(self.body(start))
        if torch.isnan(start).any():
            raise RuntimeError("not a number")
        h = self.act(self.middle(skip))
        for _ in range(int(h.shape[1]) // 2):
            h = self.act(h) + skip
        return self.last(h + start)


def dcgan():
    return nn.Sequential(
        nn.Unflatten(1, (6, 1, 1)),
        nn.ConvTranspose2d(6, 8, 4),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1),
        nn.Tanh(),
    )


class Wrapped(nn.Module):
    """A Sequential two levels down, as in many published generators."""

    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(6, 5),
            nn.ReLU(True),
            nn.Sequential(nn.Linear(5, 4), nn.ReLU(True)),
            nn.Linear(4, 4),
            nn.ReLU(True),
            nn.Linear(4, 2),
        )

    def forward(self, x):
        return self.main(x.view(x.size(0), -1))


def image_latents():
    return latents(2 * 8 * 8).view(8, 2, 8, 8)


LABELS = torch.arange(8) % 5
CASES = [
    (Wrapped, latents(), None, [f"main.{i}" for i in range(6)] + ["main.2.0", "main.2.1", "main"]),
    (dcgan, latents(), None, [str(i) for i in range(6)]),
    (
        Custom,
        latents(),
        None,
        ["parts.first", "blocks.0", "blocks.1", "blocks.1.norm", "blocks.2.relu", "parts.last"],
    ),
    (UNet, image_latents(), None, ["down1", "down2", "mid", "up1", "up2"]),
    (
        BigGAN,
        latents(),
        LABELS,
        ["linear", "shared", "blocks.0", "blocks.0.norm", "blocks.0.conv", "blocks.1", "output.0"],
    ),
    (StyleLike, latents(), None, ["mapping", "mapping.1", "mix", "style", "to_rgb"]),
    (Dynamic, latents(), None, ["first", "body", "body.0", "middle", "middle.norm", "last"]),
]
PARAMS = [
    pytest.param(make, z, cond, layer, id=f"{make.__name__}-{layer}")
    for make, z, cond, layers in CASES
    for layer in [*layers, "latent", "data"]
]


def built(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval().requires_grad_(False)


def plain(generator, z, cond):
    return generator(z) if cond is None else generator(z, cond)


@contextmanager
def counted(generator):
    """Count the computations of the innermost modules, whoever calls them."""
    counts = Counter()
    leaves = {m: name for name, m in generator.named_modules() if not list(m.children())}
    for module, name in leaves.items():

        def forward(*args, _name=name, _forward=module.forward, **kwargs):
            counts[_name] += 1
            return _forward(*args, **kwargs)

        module.forward = forward
    yield counts
    for module in leaves:
        del module.forward
