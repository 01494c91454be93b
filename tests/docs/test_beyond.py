"""Beyond GANs: a sampler and data are enough, with a fitted ratio; the worked examples run."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import distributions as dist
from torch import nn

from gantandem import GAN, OBRS, DGFlow, Direct, Metropolis, Normal, fit_ratio, sample
from gantandem.errors import DataError, InputError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.training.vae import lower_bound, train_vae

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for name in ("shown", "vae", "flow", "no_discriminator"):
        sys.modules.pop(name, None)


def quality(rows, key):
    return {name: row["metrics"][key] for name, (row, _) in rows.items()}


@pytest.mark.parametrize("name", ["vae", "no_discriminator", "flow"])
@pytest.mark.slow
def test_every_example_runs(example, tmp_path, monkeypatch, name):
    """Hardly trained: what it finds when it is, the slow tests say."""
    module = example(name)
    small = {"n": 1000}
    monkeypatch.setattr(module, "fit_ratio", lambda *a, **k: fit_ratio(*a, **{**k, **small}))
    found = module.main(150, 0.02, tmp_path)
    rows = found[0] if isinstance(found, tuple) else found
    assert {"direct", "obrs", "metropolis"} <= set(rows)
    assert (tmp_path / f"{name}.png").stat().st_size > 5000


@pytest.mark.slow
def test_a_variational_autoencoder(example, tmp_path):
    rows = example("vae").main(1000, 0.5, tmp_path)
    far, good = quality(rows, "sliced_w1"), quality(rows, "good")
    assert max(far["obrs"], far["metropolis"]) < 0.7 * far["direct"]
    assert good["obrs"] > 0.85 > 0.65 > good["direct"]
    assert good["dgflow"] > 0.8


@pytest.mark.slow
def test_a_generator_without_its_discriminator(example, tmp_path):
    rows = example("no_discriminator").main(1000, 0.2, tmp_path)
    far, good = quality(rows, "sliced_w1"), quality(rows, "good")
    assert far["obrs"] < far["direct"] and far["metropolis"] < 0.75 * far["direct"]
    assert good["direct"] < 0.3 and good["metropolis"] > 0.8


@pytest.mark.slow
def test_a_flow_and_its_true_ratio(example, tmp_path):
    rows, correlation = example("flow").main(1000, 0.25, tmp_path)
    far, good = quality(rows, "sliced_w1"), quality(rows, "good")
    assert far["metropolis"] < far["direct"]
    assert good["metropolis"] > 0.8 > 0.6 > good["direct"]
    assert correlation > 0.7


def test_the_flow_of_the_example_is_a_density(example):
    """Its density, pushed through the inverse of the layers, is that of the change of variables."""
    flow = example("flow").train(torch.ones(100, 2), 3).double()
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).double()
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda v: flow(v[None])[0], v) for v in z]
    )
    wanted = Normal(2).log_prob(z) - jacobian.det().abs().log()
    assert torch.allclose(flow.log_prob(flow(z)), wanted, atol=1e-9)


class Pull(nn.Module):
    """log p_data / p_law of the pair below."""

    def __init__(self, data, law):
        super().__init__()
        self.data, self.law = data, law

    def forward(self, x):
        return (self.data.log_prob(x) - self.law.log_prob(x))[:, 0]


@pytest.mark.slow
def test_any_distribution_and_data():
    """A flow of torch.distributions: what is fitted on its samples and data brings one to the
    other, in the latent, which is here the data, too."""
    base = dist.Normal(torch.zeros(1), torch.ones(1))
    law = dist.TransformedDistribution(base, [dist.transforms.AffineTransform(0.0, 2.0)])
    data = dist.Normal(torch.tensor([1.0]), torch.tensor([0.5]))
    noise = torch.Generator().manual_seed(0)
    real = 1 + 0.5 * torch.randn(6000, 1, generator=noise)
    gan = GAN(nn.Identity(), None, law)
    options = {"n": 6000, "schedule": [(200, 3e-3), (80, 3e-4)], "batch": 400}
    gan = fit_ratio(gan, real, as_guide=True, progress=False, **options)
    x = torch.linspace(0, 2, 50)[:, None]
    with torch.no_grad():
        error = gan.ratio(Direct()).log_ratio(x) - Pull(data, law)(x)
    assert float(error.abs().mean()) < 0.2
    far = {
        name: sliced_wasserstein(sample(gan, sampler, 2000, progress=False).x, real[:2000])
        for name, sampler in {
            "direct": Direct(),
            "obrs": OBRS(expected=6, pilot=2000),
            "metropolis": Metropolis(proposals=30),
            "dgflow": DGFlow(step_size=0.05, steps=15),
        }.items()
    }
    assert max(far["obrs"], far["metropolis"]) < 0.1 * far["direct"]
    assert far["dgflow"] < 0.5 * far["direct"]


def test_a_trained_vae_and_its_bound():
    """On a line of data the bound comes near their entropy, and samples near the data."""
    noise = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 1, generator=noise) @ torch.tensor([[2.0, 1.0]])
    x = x + 0.2 * torch.randn(4000, 2, generator=noise)
    state = torch.get_rng_state()
    options = {"batch": 256, "latent_dim": 1, "width": 32, "layers": 2, "learning_rate": 1e-2}
    vae = train_vae(x, updates=500, **options)
    assert torch.equal(torch.get_rng_state(), state) and not vae.training
    few = [train_vae(x, updates=3, **options).decoder[0].weight for _ in range(2)]
    assert torch.equal(*few)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        bound = float(lower_bound(vae, x).mean())
    covariance = torch.tensor([[4.04, 2.0], [2.0, 1.04]])
    entropy = 0.5 * math.log((2 * math.pi * math.e) ** 2 * float(covariance.det()))
    assert -entropy - 0.2 < bound < -entropy + 0.1
    out = sample(GAN(vae, None, Normal(vae.noise_dim)), Direct(), 2000, progress=False)
    assert sliced_wasserstein(out.x, x[:2000]) < 0.3


def test_what_a_vae_cannot_be_trained_on():
    with pytest.raises(InputError, match="updates 0"):
        train_vae(torch.zeros(5, 2), updates=0)
    with pytest.raises(DataError, match="finite"):
        train_vae(torch.full((5, 2), math.nan))
