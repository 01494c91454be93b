"""A latent may have a shape: the generator is given it, and all else is as for a flat one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.errors import InputError
from gantandem.latent import as_latent, make_latent
from gantandem.nets import build
from gantandem.rng import Key
from gantandem.runs.recipe import Recipe
from gantandem.training.gan import draw_latent

QUICK = {"n": 300, "schedule": [(5, 1e-2)], "batch": 50, "progress": False}


@pytest.fixture(scope="module")
def pair():
    """The same GAN twice, once with flat latents and once with latents of a shape."""
    torch.manual_seed(0)
    body = [nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)]
    critic = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
    flat = gt.GAN(nn.Sequential(*body), critic, 4)
    shaped = gt.GAN(nn.Sequential(nn.Flatten(), *body), critic, (4, 1, 1))
    return [gt.fit_latent_reweight(gan, **QUICK) for gan in (flat, shaped)]


SHORT = {
    "mala": {"steps": 10},
    "ula": {"steps": 10},
    "ex2mcmc": {"rounds": 2, "points": 4},
    "wlgan": {"steps": 8, "bins": 6, "pilots": 16, "warm_up": 20},
}


@pytest.mark.parametrize("name", gt.SAMPLERS)
def test_every_sampler_gives_the_samples_of_the_flat_latent(pair, name):
    sampler = gt.from_config({"name": name, **SHORT.get(name, {})})
    flat, shaped = (gt.sample(gan, sampler, 64, progress=False) for gan in pair)
    assert torch.equal(flat.x, shaped.x) and shaped.z.shape == (64, 4, 1, 1)
    assert torch.equal(flat.z, shaped.z.flatten(1))


@pytest.mark.parametrize("how", ["resample", "shrink"])
def test_truncation_and_refinement_in_the_latent(pair, how):
    for sampler in (gt.Direct(truncation=0.7, how=how), gt.Refine(layer="latent", steps=3)):
        flat, shaped = (gt.sample(gan, sampler, 64, progress=False) for gan in pair)
        assert torch.equal(flat.x, shaped.x)


@pytest.mark.parametrize("kind", [gt.Normal, gt.Uniform])
def test_draws_densities_and_configurations(kind):
    flat, shaped = kind(6), kind((2, 3))
    ids = torch.arange(9)
    z = shaped.draw(Key(0), ids)
    assert z.shape == (9, 2, 3) and torch.equal(z.flatten(1), flat.draw(Key(0), ids))
    assert torch.equal(shaped.log_prob(z), flat.log_prob(z.flatten(1)))
    config = shaped.config()
    assert make_latent({**config, "dim": [2, 3]}) == make_latent(config) == shaped
    assert flat.config()["dim"] == 6  # as it ever was: names of laws stay
    assert as_latent([2, 3]) == as_latent(torch.Size([2, 3])) == gt.Normal((2, 3))


@pytest.mark.parametrize("dim", [(), (0, 1), (2.5, 1), ("a",), -1])
def test_what_is_no_shape(dim):
    with pytest.raises(InputError, match="latent dim: got .* a shape such as"):
        gt.Normal(dim)


def test_a_generator_of_maps_says_which_latents_it_takes():
    generator = nn.Sequential(nn.ConvTranspose2d(5, 2, 4), nn.Tanh())
    with pytest.raises(InputError, match=r"takes \(8, 5, 1, 1\): pass latent=\(5, 1, 1\), or Uni"):
        gt.GAN(generator, None, 5)
    gan = gt.GAN(generator, None, (5, 1, 1))
    assert gt.sample(gan, gt.Direct(), 4, progress=False).x.shape == (4, 2, 4, 4)
    with pytest.raises(InputError, match=r"shape \(8, 3\) and takes \(8, 5, 1, 1\): "):
        gt.GAN(generator, None, 3)


def test_files_and_runs_keep_the_shape(pair, tmp_path):
    shaped = pair[1]
    out = gt.sample(shaped, gt.Direct(), 8, progress=False)
    assert torch.equal(gt.Samples.load(out.save(tmp_path / "x.npz")).z, out.z)
    spec = {"net": "dcgan-generator", "latent_dim": 3, "channels": 1, "filters": 2}
    gan = gt.GAN(build(spec).eval(), None, gt.Uniform((3, 1, 1))).replace(specs={"generator": spec})
    back = gt.load_run(gt.save_run(gan, tmp_path / "run")).gan
    assert back.latent == gt.Uniform((3, 1, 1)) and back.law(gt.Direct()) == gan.law(gt.Direct())


def test_recipes_and_training_know_shapes():
    recipe = Recipe(task="mnist", latent={"kind": "uniform", "dim": [5, 1, 1]})
    assert recipe.latent is not None
    settings = recipe.latent.settings()
    z = draw_latent(settings, 4, torch.Generator().manual_seed(0))
    assert z.shape == (4, 5, 1, 1) and make_latent(settings) == gt.Uniform((5, 1, 1))
    flat = draw_latent({**settings, "dim": 5}, 4, torch.Generator().manual_seed(0))
    assert torch.equal(z.flatten(1), flat)


def test_a_distribution_of_a_shape():
    law = torch.distributions.Normal(torch.zeros(3, 1, 1), 1.0)
    gan = gt.GAN(nn.Conv2d(3, 2, 1), None, torch.distributions.Independent(law, 3))
    assert gt.sample(gan, gt.Direct(), 4, progress=False).z.shape == (4, 3, 1, 1)
