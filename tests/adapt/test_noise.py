"""Noise that a network draws itself: kept, or a part of the latent; each sample its own."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from foreign_models import Injection, Noisy, seeded
from gantandem import GAN, Direct, Key, Refine, adapt, sample
from gantandem.errors import InputError

HOW = ["randn", "like", "normal_", "rand", "dropout"]


@pytest.mark.parametrize("how", HOW)
def test_noise_is_a_function_of_the_latent(how):
    g = adapt.NoiseFromLatent(seeded(Noisy, how), 4)
    assert g.columns == 4 + 2 * 8
    z = torch.randn(6, g.columns)
    x = g.eval()(z)
    assert torch.equal(x, g(z))
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    assert torch.allclose(g(z[order]), x[order], atol=1e-6)
    other = z.clone()
    other[:, 4:] = torch.randn(6, 16)
    assert not torch.allclose(g(other), x, atol=1e-3)


@pytest.mark.parametrize("how", ["randn", "rand"])
def test_its_law_is_that_of_the_network(how):
    network = seeded(Noisy, how)
    g, z = adapt.NoiseFromLatent(network, 4), torch.zeros(2000, 4)
    with torch.no_grad():
        own = network(z).flatten(1)
        fed = g(torch.cat([z, torch.randn(2000, 16)], 1)).flatten(1)
    assert min(stats.ks_2samp(a, b).pvalue for a, b in zip(own.T, fed.T, strict=True)) > 1e-4


def test_dropout_keeps_its_share_and_its_mean():
    layer = adapt.NoiseFromLatent(Injection("dropout"), 8)
    out = layer(torch.cat([torch.ones(4000, 8), torch.randn(4000, 8)], 1))
    assert sorted(out.unique().tolist()) == [0.0, 2.0]
    assert float(out.mean()) == pytest.approx(1.0, abs=0.05)


def test_a_gradient_reaches_the_noise():
    g = adapt.NoiseFromLatent(seeded(Noisy), 4)
    z = torch.randn(3, 20, requires_grad=True)
    g(z).sum().backward()
    assert bool((z.grad[:, 4:] != 0).any(0).all())


def test_an_id_has_its_noise_wherever_it_is_drawn():
    gan = GAN(adapt.NoiseFromLatent(seeded(Noisy), 4), None, 20)
    whole = sample(gan, Direct(), 24, width=16)
    part = sample(gan, Direct(), 5, start=11, width=32)
    assert torch.allclose(whole.x[11:16], part.x, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda g: adapt.NoiseFromLatent(g, 4), adapt.FixedNoise])
@pytest.mark.parametrize("layer", ["fc", "first", "middle", "second", "out"])
def test_the_generator_is_cut_at_every_layer(wrap, layer):
    g = wrap(seeded(Noisy))
    gan = GAN(g, None, getattr(g, "columns", 4))
    z = gan.latent.draw(Key(5), torch.arange(8))
    cut = gan.cut(layer)
    with gan.networks.frozen():
        assert torch.allclose(cut.tail(*cut.head(z)), gan.decode(z), atol=1e-6)


@pytest.mark.parametrize("how", [*HOW, "shared"])
def test_fixed_noise_is_one_for_all_rows_and_calls(how):
    g = adapt.FixedNoise(seeded(Noisy, how), seed=1).eval()
    x = g(torch.zeros(5, 4))
    assert torch.equal(x, x[:1].expand_as(x))
    assert torch.allclose(g(torch.zeros(2, 4)), x[:2], atol=1e-6)
    assert not torch.allclose(adapt.FixedNoise(g.network, seed=2)(torch.zeros(5, 4)), x)


def test_fixed_noise_is_refined():
    gan = GAN(adapt.FixedNoise(seeded(Noisy)), nn.Sequential(nn.Flatten(), nn.Linear(16, 1)), 4)
    out = sample(gan, Refine(layer="middle", steps=2, step_size=0.1), 16, width=16)
    assert out.x.isfinite().all()


def test_noise_without_rows_is_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"is not the batch, .* use FixedNoise"):
        adapt.NoiseFromLatent(seeded(Noisy, "shared"), 4)
    with pytest.raises(InputError, match="draws no noise in eval mode"):
        adapt.NoiseFromLatent(nn.Linear(4, 2), 4)


@pytest.mark.parametrize("size", [5, (4, 1, 1), 128])
def test_latents_of_a_wrong_size_are_told_with_the_right_one(size):
    with pytest.raises(InputError, match=r"does not take latents.*adapt.NoiseFromLatent\(G, 4\)$"):
        adapt.NoiseFromLatent(seeded(Noisy), size)


def test_the_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    adapt.NoiseFromLatent(seeded(Noisy), 4)
    assert torch.equal(torch.get_rng_state(), state)
