"""A sampler is prepared once for a GAN, and anew as soon as anything it depends on has changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from gantandem import (
    GAN,
    MALA,
    OBRS,
    Direct,
    Metropolis,
    Mover,
    Normal,
    Refine,
    Rejection,
    SampledGenerator,
    Uniform,
    fit_ratio,
    prepare,
    sample,
)
from gantandem.engine.kept import MOST
from gantandem.samples import FIELDS


class Counts(nn.Module):
    """An identity with a bias and an attribute that its output depends on."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))
        self.slope = 1.0
        self.act = nn.Identity()
        self.rows = []  # shared with the test: appended to, never replaced

    def forward(self, z, cond=None):
        ROWS.append(len(z))
        return self.act(self.slope * z + self.bias)


ROWS = []


def pair(**options):
    torch.manual_seed(0)
    ROWS.clear()
    score = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    return GAN(Counts(), score, Normal(2), **options)


def made(gan, sampler, n=1, **options):
    """The samples, and the rows that the generator made for them."""
    before = sum(ROWS)
    return sample(gan, sampler, n, width=256, **options), sum(ROWS) - before


SAMPLERS = [
    OBRS(expected=3, pilot=3000),
    Rejection(pilot=3000),
    OBRS(proposal=Refine(layer="latent", steps=3), pilot=300),
    MALA(steps=4),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_the_second_call_spends_no_pilot_and_has_the_same_bits(sampler):
    gan = pair()
    first, cost = made(gan, sampler, 40, strict=False)
    second, again = made(gan, sampler, 40, strict=False)
    fresh, whole = made(pair(), sampler, 40, strict=False)
    for field in FIELDS:
        assert torch.equal(getattr(first, field), getattr(second, field))
        assert torch.equal(getattr(first, field), getattr(fresh, field))
    assert again < 0.5 * cost and whole == pytest.approx(cost, rel=0.1)
    told = [out.manifest for out in (first, second)]
    assert told[0]["setup_passes"] == told[1]["setup_passes"] > 0
    assert [m["setup_cached"] for m in told] == [False, True]
    assert told[0]["sampler"] == told[1]["sampler"]


def test_small_draws_cost_little():
    gan, total = pair(), 0
    for start in range(20):
        _, rows = made(gan, OBRS(expected=3, pilot=3000), 1, start=start)
        total += rows
    assert total < 3000 + 20 * 1000


CHANGES = {
    "a weight of the generator": lambda gan: gan.generator.bias.data.add_(0.5),
    "a weight of the discriminator": lambda gan: gan.guide.network[2].weight.data.mul_(1.5),
    "an attribute": lambda gan: setattr(gan.generator, "slope", 1.25),
    "an activation": lambda gan: setattr(gan.generator, "act", nn.Tanh()),
    "an activation of the discriminator": lambda gan: gan.guide.network.__setitem__(1, nn.Tanh()),
    "a bound far outside": lambda gan: setattr(gan.generator, "act", nn.Hardtanh(-9.0, 9.0)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_networks_that_were_changed_in_place_are_noticed(change):
    gan, sampler = pair(), OBRS(expected=3, pilot=3000)
    sample(gan, sampler, 8, width=256, strict=False)
    CHANGES[change](gan)
    out, rows = made(gan, sampler, 8, strict=False)
    assert rows > 3000 and not out.manifest["setup_cached"]
    fresh = pair()
    CHANGES[change](fresh)
    alone = sample(fresh, sampler, 8, width=256, strict=False)
    assert torch.equal(out.x, alone.x) and out.manifest["sampler"] == alone.manifest["sampler"]


NEW = {
    "latent": lambda gan: gan.replace(latent=Uniform(2)),
    "guide": lambda gan: gan.with_guide(nn.Linear(2, 1)),
    "ratio": lambda gan: gan.with_ratio(
        next(iter(gan.ratios)), dataclasses.replace(next(iter(gan.ratios.values())), correction=1.0)
    ),
    "generator": lambda gan: gan.replace(generator=nn.Linear(2, 2)),
    "fit": lambda gan: fit_ratio(gan, torch.randn(400, 2), n=300, schedule=[(3, 1e-3)]),
}


@pytest.mark.parametrize("name", NEW)
def test_another_gan_prepares_anew(name):
    gan, sampler = pair(), OBRS(expected=3, pilot=3000)
    sample(gan, sampler, 8, width=256)
    assert not sample(NEW[name](gan), sampler, 8, width=256, strict=False).manifest["setup_cached"]
    assert sample(gan, sampler, 8, width=256).manifest["setup_cached"]
    assert sample(gan.replace(), sampler, 8, width=256).manifest["setup_cached"]


def test_settings_width_and_strictness_count():
    gan = pair()
    sample(gan, OBRS(expected=3, pilot=300), 8, width=256)
    for sampler, options in [
        (OBRS(expected=3.5, pilot=300), {"width": 64}),
        (OBRS(expected=3, pilot=301), {"width": 64}),
        (OBRS(expected=3, pilot=300), {"width": 128}),
        (OBRS(expected=3, pilot=300), {"width": 64, "strict": False}),
    ]:
        assert not sample(gan, sampler, 8, **options).manifest["setup_cached"]
    assert sample(gan, OBRS(expected=3.0, pilot=300), 8, width=256).manifest["setup_cached"]


def test_conditions_count():
    class Shift(nn.Module):
        def forward(self, x, cond):
            return x[:, 0] * cond

    def asked(condition):
        return gan.with_condition(condition)

    gan = GAN(Counts(), Shift(), Normal(2), condition=torch.arange(3))
    one, sampler = asked(torch.arange(2)), OBRS(expected=3, pilot=300)
    sample(one, sampler, 8, width=256)
    assert sample(asked(torch.arange(2)), sampler, 8, width=256).manifest["setup_cached"]
    other = sample(asked(torch.arange(3)), sampler, 8, width=256)
    assert not other.manifest["setup_cached"] and len(other.manifest["sampler"]["log_scale"]) == 3
    late = torch.cat([torch.zeros(500), torch.ones(1)]).long()
    assert not sample(asked(late), sampler, 8, width=256).manifest["setup_cached"]
    for function in (lambda ids: ids % 2, lambda ids: ids % 2):
        assert not sample(asked(function), sampler, 8, width=256).manifest["setup_cached"]


@dataclass(frozen=True, kw_only=True)
class Mine(Direct):
    name: ClassVar[str] = "mine"
    table: object = None


def test_samplers_that_may_depend_on_anything_are_prepared_each_time():
    gan = pair()
    for _ in range(2):
        sampler = Metropolis(proposal=Mine(table=torch.ones(2)), proposals=2)
        out = sample(gan, sampler, 8, width=256, strict=False)
        assert not out.manifest["setup_cached"]

    @dataclass(kw_only=True)
    class Loose(Mover):
        name: ClassVar[str] = "loose"
        uses_guide: ClassVar[bool] = False
        cost = Direct.cost
        init = Direct.init
        step = Direct.step
        truncation: float | None = None

        def prepare(self, gan, key):
            return Direct()

    for _ in range(2):
        assert not sample(gan, Loose(), 8, width=256).manifest["setup_cached"]


def test_a_drop_in_shares_what_was_prepared():
    gan, sampler = pair(), OBRS(expected=3, pilot=3000)
    prepare(gan, sampler, width=256)
    before = sum(ROWS)
    SampledGenerator(gan, sampler, width=256)
    assert sum(ROWS) - before < 1000


def test_what_is_kept_does_not_grow_for_ever():
    gan = pair()
    for k in range(MOST + 5):
        prepare(gan, OBRS(expected=1 + k / 10, pilot=16), width=16)
    assert len(gan.networks.prepared) == MOST
