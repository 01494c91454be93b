"""The layers that can be refined, and what each costs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantandem import GAN, Normal, adapt
from gantandem.networks.layers import layers, middle
from gantandem.testing import toy_gan
from own_gans import Discriminator, Generator, settled


@pytest.fixture(scope="module")
def gan():
    return GAN(settled(Generator()), settled(Discriminator()), Normal((6, 1, 1)))


def test_shapes_and_shares_of_the_tail(gan):
    found = {one.name: one for one in layers(gan, progress=False)}
    assert found["main.2"].shape == (8, 4, 4) and found["main.2"].kind == "ReLU"
    first, second = 6 * 8 * 16, 16 * 8 * 3 * 16  # multiplications of the two convolutions
    assert found["latent"].tail == 1 and found["data"].tail == 0
    assert found["main.2"].tail == pytest.approx(second / (first + second))


def test_memory_is_that_of_the_tail_and_the_discriminator(gan):
    found = {one.name: one for one in layers(gan, progress=False)}
    assert found["latent"].memory > found["main.2"].memory > found["data"].memory
    assert found["data"].memory >= 4 * 3 * 8 * 8  # its own activation, of float32
    alone = {one.name: one for one in layers(GAN(gan.generator, None, gan.latent))}
    assert alone["main.2"].memory < found["main.2"].memory


def test_of_modules_with_one_output_the_outermost_is_named():
    block = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    gan = GAN(nn.Sequential(block, nn.Linear(3, 2)), None, 2)
    assert [one.name for one in layers(gan)] == ["latent", "0", "0.0", "data"]


def test_adapters_change_no_names_and_no_costs(gan):
    adapted = GAN(adapt.Then(adapt.Reshape(gan.generator, (6, 1, 1)), nn.Identity()), None, 6)
    plain = layers(GAN(gan.generator, None, gan.latent))
    assert [(one.name, one.tail) for one in layers(adapted)] == [
        (one.name, one.tail) for one in plain
    ]
    assert "Then(Reshape(Generator)) of" in repr(adapted)


def test_the_middle_is_by_cost_and_points_have_none():
    wide = nn.Sequential(
        nn.Linear(4, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 32)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert middle(GAN(wide, None, 4)) == "3"
    assert middle(toy_gan()) is None
