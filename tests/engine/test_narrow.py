"""Pools of large samples: few lanes, bounded by what the networks keep of a step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantandem import GAN, OBRS, Direct, Metropolis, Refine, sample
from gantandem.engine.pool import default_width, lanes
from gantandem.networks import layers
from gantandem.networks.cut import cut_at
from gantandem.networks.layers import at_once
from gantandem.samples import FIELDS
from gantandem.testing import toy_gan

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SAMPLERS = {
    "direct": Direct(),
    "refine": Refine(steps=4, step_size=0.05),
    "threshold": Refine(steps=6, step_size=0.05, stop="threshold", threshold=0.1),
    "metropolis": Metropolis(proposal=Refine(layer="latent", steps=2, step_size=0.05), proposals=3),
    "obrs": OBRS(expected=2, log_scale=-0.5),
}


def same(a, b):
    for name in FIELDS:
        left, right = (torch.nan_to_num(getattr(s, name).double(), 1e30) for s in (a, b))
        assert torch.equal(left, right), name


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_pool_of_one_lane_gives_the_samples_of_a_wide_one(name):
    """Up to rounding; and to the bit whatever the number of samples, in one call or two."""
    gan, options = toy_gan(), {"strict": False, "progress": False}
    one = sample(gan, SAMPLERS[name], 9, width=1, **options)
    wide = sample(gan, SAMPLERS[name], 9, width=64, **options)
    assert torch.allclose(one.x, wide.x, atol=1e-5) and torch.equal(one.attempts, wide.attempts)
    for column in ("passes", "events"):
        assert one.manifest[column] == wide.manifest[column]
    parts = [sample(gan, SAMPLERS[name], 3, width=1, start=s, **options) for s in (0, 3, 6)]
    same(type(one).join(parts, {}), one)
    assert one.manifest["waste"] <= wide.manifest["waste"]


def test_lanes_of_small_widths():
    assert [lanes(width, CPU) for width in (1, 8, 16, 64)] == [1, 1, 64, 64]
    assert [lanes(width, CUDA) for width in (1, 8, 16, 64)] == [1, 8, 16, 64]


class Large(nn.Module):
    """Images (3, 64, 64), by an activation of 32 maps of that size."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 32)
        self.last = nn.Conv2d(32, 3, 1)

    def forward(self, z):
        maps = self.first(z)[:, :, None, None].expand(-1, -1, 64, 64)
        return self.last(maps.tanh()).tanh()


@pytest.fixture
def gan():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        score = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(48, 1))
        return GAN(Large(), score, 2)


def test_the_default_is_bounded_by_what_a_step_keeps(gan, monkeypatch):
    kept = {one.name: one.memory for one in layers.layers(gan)}
    assert kept["latent"] > 4 * 32 * 64 * 64 > kept["data"]
    refine = {name: Refine(layer=name) for name in ("latent", "data")}
    assert default_width(gan.networks, refine["latent"]) == 64
    monkeypatch.setattr(layers, "HELD", 40 * kept["latent"])
    assert at_once(gan.networks, "latent", 64) == 32
    assert at_once(gan.networks, "latent", 16) == 16
    assert default_width(gan.networks, refine["latent"]) == 1  # on a CPU
    assert default_width(gan.networks, Direct()) == 1
    assert default_width(gan.networks, refine["data"]) == 64
    monkeypatch.setattr(layers, "HELD", 1)
    assert at_once(gan.networks, "latent", 64) == 1


def test_networks_see_one_large_sample_at_a_time(gan, monkeypatch):
    rows = []
    gan.generator.last.register_forward_hook(lambda module, args, out: rows.append(len(out)))
    sampler = SAMPLERS["metropolis"]
    wide = sample(gan, sampler, 5, strict=False, progress=False)
    monkeypatch.setattr(layers, "HELD", 1)
    rows.clear()
    narrow = sample(gan, sampler, 5, strict=False, progress=False)
    assert (wide.manifest["width"], narrow.manifest["width"]) == (64, 1)
    assert max(rows) <= 8  # the few that networks are tried on
    assert torch.allclose(narrow.x, wide.x, atol=1e-5)
    same(sample(gan, sampler, 5, width=1, strict=False, progress=False), narrow)


def test_what_points_keep_is_not_counted(monkeypatch):
    monkeypatch.setattr(layers, "HELD", 1)
    assert default_width(toy_gan().networks, Refine()) == 1024


def test_large_latents_are_cut_on_few_rows():
    rows, network = [], nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 3, 1))
    network[0].register_forward_hook(lambda module, args, out: rows.append(len(out)))
    for size, most in ((140, 8), (160, 4)):
        rows.clear()
        z = torch.rand(8, 3, size, size)
        head, _ = (cut := cut_at(network, "1", z)).head(z[:1])
        assert max(rows) == most and torch.equal(cut.tail(head, ()), network(z[:1]))
