"""Laws: what a ratio was fitted on, and what it may judge."""

from __future__ import annotations

import logging

import pytest
import torch
from test_gan import identity, net
from torch import nn

from gantandem import (
    DRS,
    GAN,
    OBRS,
    Direct,
    Metropolis,
    Normal,
    Refine,
    Rejection,
    Uniform,
    fit_ratio,
    prepare,
    sample,
)
from gantandem.errors import LawMismatchError, NotARatioError
from gantandem.testing import toy_gan
from targets import Formula


@pytest.mark.parametrize(
    "sampler",
    [Metropolis(), Rejection(), DRS(), OBRS(), Metropolis(proposal=Refine(steps=2))],
    ids=["metropolis", "rejection", "drs", "obrs", "nested"],
)
def test_a_critic_is_no_ratio(sampler):
    with pytest.raises(NotARatioError, match="critic.*fit_ratio"):
        sample(identity(lambda x: x[:, 0], output="critic"), sampler, 10)


def test_a_critic_still_guides():
    out = sample(identity(lambda x: 3 * x[:, 0], output="critic"), climb(), 16, width=16)
    # SGD on an energy: three steps of .1 times the slope, not of its log-sigmoid.
    assert torch.allclose(out.x[:, 0] - out.z[:, 0], torch.full((16,), 0.9), atol=1e-5)


def climb(**options):
    return Refine(**{"steps": 3, "step_size": 0.1, "stop": "last", "update": "sgd", **options})


def test_law_mismatch_names_the_call_that_mends_it():
    with pytest.raises(LawMismatchError, match=r"fit_ratio\(gan, real, proposal=Refine") as caught:
        sample(toy_gan(), Metropolis(proposal=climb()), 10)
    assert "strict=False" in str(caught.value)


def test_not_strict_warns_and_judges_by_the_plain_ratio(caplog):
    sampler = Metropolis(proposal=climb(), proposals=3)
    with caplog.at_level(logging.WARNING):
        out = sample(toy_gan(), sampler, 10, width=16, strict=False)
    assert "the ratio of another law is used" in caplog.text
    assert out.log_ratio.isfinite().all()


def test_no_ratio_at_all_is_an_error_even_when_not_strict():
    gan = GAN(net(2, 8, 2), None, 2)
    with pytest.raises(LawMismatchError, match="fitted: none"):
        sample(gan, Metropolis(), 10, strict=False)


def test_an_undiagnosed_discriminator_is_said_once(caplog):
    gan = toy_gan()
    for _ in range(3):
        sample(gan, Metropolis(proposals=2), 10, width=16)
    assert caplog.text.count("never diagnosed") == 1


def test_a_fitted_ratio_serves_its_law_alone():
    gan, real = toy_gan(), cloud()
    mover, other = climb(), climb(steps=4)
    options = {"n": 200, "schedule": [(5, 1e-3)], "batch": 50, "width": 16}
    fitted = fit_ratio(gan, real, proposal=mover, **options)
    sample(fitted, Metropolis(proposal=mover, proposals=2), 16, width=16)
    with pytest.raises(LawMismatchError):
        sample(fitted, Metropolis(proposal=other, proposals=2), 16, width=16)
    with pytest.raises(LawMismatchError):
        sample(
            gan, Metropolis(proposal=mover, proposals=2), 16, width=16
        )  # gan itself is as it was


def cloud(n=200):
    return 0.5 * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


def law(gan, mover):
    return gan.law(prepare(gan, mover)[0])


def test_laws_are_reproducible():
    assert law(toy_gan(), climb()) == law(toy_gan(), climb())
    assert law(toy_gan(), Direct()) == law(toy_gan(), Direct())


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 4},
        {"step_size": 0.2},
        {"layer": "0"},
        {"stop": "random"},
        {"update": "momentum"},
        {"clamp": (-1, 1)},
        {"unrefined": 0.5},
        {"stop": "random", "defensive": 0.5},
    ],
    ids=str,
)
def test_settings_change_the_law(change):
    assert law(toy_gan(), climb(**change)) != law(toy_gan(), climb())


def nudge(module):
    with torch.no_grad():
        next(module.parameters()).view(-1)[0] += 1e-3


def test_weights_change_the_laws_they_take_part_in():
    gan = toy_gan()
    direct, refined = law(gan, Direct()), law(gan, climb())
    assert direct != refined
    other = gan.with_guide(net(2, 8, 1, seed=5))
    assert law(other, Direct()) == direct  # no guide in it
    assert law(other, climb()) != refined
    critic = gan.with_guide(gan.guide.network, "critic")
    assert law(critic, climb()) != refined
    nudge(gan.generator)
    assert law(gan, Direct()) != direct
    assert law(gan, climb()) != refined


def test_latent_and_condition_change_the_law():
    def gan(latent, **options):
        return GAN(Formula(lambda z: z), None, latent, **options)

    base = law(gan(Normal(2)), Direct())
    assert law(gan(Uniform(2)), Direct()) != base
    assert law(gan(Uniform(2)), Direct()) != law(gan(Uniform(2, -1, 2)), Direct())
    conditional = GAN(Join(), None, Normal(2), condition=torch.zeros(4, 1))
    assert law(conditional, Direct()) != law(GAN(Join(), None, Normal(2)), Direct())


class Join(nn.Module):
    def forward(self, z, cond=None):
        return z if cond is None else z + cond


def test_an_id_keeps_its_condition():
    gan = GAN(Join(), None, Normal(1), condition=100.0 * torch.arange(7)[:, None])
    out = sample(gan, Direct(), 50, width=16, start=3)
    assert torch.equal(((out.x - out.z) / 100).round().long()[:, 0], out.ids % 7)
