"""What a law's name depends on, and what it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_gan import net
from test_laws import law
from torch import distributions as dist
from torch import nn

import gantandem.nets.hashing
from gantandem import DOT, GAN, MALA, Direct, Metropolis, Refine, Uniform, sample
from gantandem.errors import LawMismatchError
from gantandem.latent import Latent
from gantandem.networks.score import Score
from gantandem.ratios.law import near, trace
from gantandem.ratios.ratio import Ratio

HALF, ONE = torch.full((2,), 0.5), torch.ones(2)


def direct(generator=None, latent=2, **options):
    return law(GAN(net(2, 8, 2) if generator is None else generator, None, latent), Direct())


# -- what counts --------------------------------------------------------------------------------

PRIORS = {
    "location": lambda a: dist.Independent(dist.Normal(a * ONE, ONE), 1),
    "scale": lambda a: dist.Independent(dist.Normal(0 * ONE, a * ONE), 1),
    "twice nested": lambda a: dist.Independent(dist.Independent(dist.Laplace(a * ONE, ONE), 0), 1),
    "transform": lambda a: dist.TransformedDistribution(
        dist.Normal(0 * ONE, ONE), dist.AffineTransform(0.0, a)
    ),
    "transform of a nested law": lambda a: dist.Independent(
        dist.TransformedDistribution(dist.Normal(0 * ONE, a * ONE), dist.TanhTransform()), 1
    ),
    "base": lambda a: dist.TransformedDistribution(
        dist.Uniform(-a * ONE, a * ONE), dist.SigmoidTransform()
    ),
    "plain": lambda a: dist.Normal(a * ONE, ONE),
    "own class": lambda a: Silent(a),
}


class Silent(Latent):
    """A prior whose ``config`` tells nothing."""

    def __init__(self, scale):
        self.scale = scale

    def draw(self, key, ids, attempts=0):
        return self.scale * key.normal(ids, attempts, shape=(2,))

    def log_prob(self, z):
        return -0.5 * (z / self.scale).square().sum(1)

    def config(self):
        return {"kind": "silent"}


@pytest.mark.parametrize("kind", PRIORS)
def test_parameters_of_priors_count(kind):
    names = [direct(latent=PRIORS[kind](a)) for a in (1.0, 1.0, 1.3)]
    assert names[0] == names[1] != names[2]


def test_a_ratio_of_another_prior_does_not_judge():
    generator = net(2, 8, 2)
    gans = [
        GAN(generator, None, dist.Independent(dist.Normal(a * ONE, ONE), 1)) for a in (0.0, 2.0)
    ]
    fitted = gans[0].with_ratio(law(gans[0], Direct()), Ratio(Score(net(2, 8, 1))))
    sample(fitted, Metropolis(proposals=2), 16, width=16)
    moved = fitted.replace(latent=gans[1].latent)
    with pytest.raises(LawMismatchError, match="no ratio was fitted"):
        sample(moved, Metropolis(proposals=2), 16, width=16)


class Own(nn.Module):
    """A forward that works with attributes, a function and a buffer that no file holds."""

    def __init__(self, act=torch.tanh, gain=1.0, shift=0.0, part=None, tag="a"):
        super().__init__()
        self.first, self.last = net(2, 8), net(8, 2, seed=1)
        self.act, self.gain, self.tag, self.part = act, gain, tag, part or nn.Identity()
        self.register_buffer("shift", torch.full((2,), shift), persistent=False)
        self.settings = {"gain": gain}

    def forward(self, z):
        h = self.part(self.act(self.first(z)))
        return self.settings["gain"] * self.last(h) + self.shift


COUNTS = {
    "a function": {"act": torch.relu},
    "one nameless function": {"act": lambda h: h.sin()},
    "an attribute": {"gain": 1.1},
    "a buffer outside of the state": {"shift": 1e-6},
    "an activation": {"part": nn.Softplus()},
}


@pytest.mark.parametrize("what", COUNTS)
def test_what_a_generator_computes_counts(what):
    assert direct(Own()) != direct(Own(**COUNTS[what]))


def test_activations_count_in_generator_and_guide():
    tanh, relu = (nn.Sequential(*net(2, 8)[:1], act, *net(8, 2)[:1]) for act in (
        nn.Tanh(), nn.ReLU()))  # fmt: skip
    assert direct(tanh) != direct(relu)
    refine = Refine(steps=2, step_size=0.1)
    scores = [nn.Sequential(net(2, 8), act, net(8, 1)) for act in (nn.Tanh(), nn.ReLU())]
    gan = GAN(net(2, 8, 2), scores[0], 2)
    assert law(gan, refine) != law(gan.with_guide(scores[1]), refine)
    chain = MALA(steps=2, step_size=0.1)
    ratios = [gan.with_ratio(law(gan, Direct()), Ratio(Score(score))) for score in scores]
    assert law(ratios[0], chain) != law(ratios[1], chain)


@pytest.mark.parametrize("layer", [0, 2])
def test_the_smallest_change_of_a_weight_counts(layer):
    generator = net(2, 8, 2)
    before = direct(generator)
    with torch.no_grad():
        weight = generator[layer].weight
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    assert direct(generator) != before


# -- what does not ------------------------------------------------------------------------------


def test_names_of_attributes_and_batches_seen_do_not_count():
    assert direct(Own()) == direct(Own(tag="b"))
    generator = nn.Sequential(net(2, 8), nn.BatchNorm1d(8), net(8, 2))
    generator[1].running_mean.fill_(0.1)
    before = direct(generator)
    generator[1].num_batches_tracked += 7
    assert direct(generator) == before
    generator[1].running_mean.fill_(0.2)
    assert direct(generator) != before


def test_wrappers_of_data_parallelism_do_not_count():
    assert direct(nn.DataParallel(net(2, 8, 2))) == direct(net(2, 8, 2))


SAME = {
    "1 and 1.0": (Refine(step_size=1, clamp=(-1, 1)), Refine(step_size=1.0, clamp=(-1.0, 1.0))),
    "threshold": (
        Refine(step_size=0.1, stop="last"), Refine(step_size=0.1, stop="last", threshold=3.0),
    ),
    "stop_probability": (
        Refine(step_size=0.1, stop="best"),
        Refine(step_size=0.1, stop="best", stop_probability=0.1),
    ),
    "betas": (
        Refine(step_size=0.1, update="sgd"),
        Refine(step_size=0.1, update="sgd", betas=(0.5, 0.9)),
    ),
    "reference": (Refine(step_size=0.1), Refine(step_size=0.1, reference=0.5)),
    "defensive_scale": (Refine(step_size=0.1), Refine(step_size=0.1, defensive_scale=2.0)),
    "spread": (Refine(step_size=0.1), Refine(step_size=0.1, spread=2.0)),
    "target_acceptance": (
        MALA(steps=2, step_size=0.1), MALA(steps=2, step_size=0.1, target_acceptance=0.4),
    ),
    "pairs": (DOT(lipschitz=2.0), DOT(lipschitz=2.0, pairs=7)),
    "project": (
        DOT(layer="data", lipschitz=2.0), DOT(layer="data", lipschitz=2, project=False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SAME)
def test_unused_settings_and_kinds_of_number_do_not_count(what):
    gan = GAN(net(2, 8, 2), net(2, 8, 1), 2)
    one, other = SAME[what]
    assert law(gan, one) == law(gan, other)
    a, b = (sample(gan, mover, 16, width=16).x for mover in (one, other))
    assert torch.equal(a, b)  # it is unused


def test_used_settings_count():
    gan = GAN(net(2, 8, 2), net(2, 8, 1), 2)
    for one, other in (
        (Refine(step_size=0.1, stop="threshold", threshold=1.0),
         Refine(step_size=0.1, stop="threshold", threshold=2.0)),
        (Refine(step_size=0.1, betas=(0.9, 0.99)), Refine(step_size=0.1, betas=(0.8, 0.99))),
        (Refine(step_size=0.1, defensive=0.5, spread=1.0),
         Refine(step_size=0.1, defensive=0.5, spread=2.0)),
    ):  # fmt: skip
        assert law(gan, one) != law(gan, other)


def test_numbers_of_the_prior_are_numbers():
    assert direct(latent=Uniform(2, -1, 1)) == direct(latent=Uniform(2, -1.0, 1.0))


# -- the same name, anywhere --------------------------------------------------------------------


@pytest.mark.slow
def test_names_are_the_same_in_another_process():
    code = (
        "import torch; torch.set_num_threads(2)\n"
        "from gantandem import GAN, Direct, Refine\nfrom gantandem.testing import toy_gan\n"
        "gan = toy_gan(); print(gan.law(Direct()), gan.law(Refine(step_size=0.1)))"
    )
    from gantandem.testing import toy_gan

    env = {**os.environ, "PYTHONPATH": str(Path(gantandem.__file__).parents[1])}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    gan = toy_gan()
    assert out.stdout.split() == [gan.law(Direct()), gan.law(Refine(step_size=0.1))]


class Rounds(nn.Module):
    """Computes what another network does, as another machine would."""

    def __init__(self, size):
        super().__init__()
        self.first, self.last, self.size = net(2, 8), net(8, 2, seed=1), size

    def forward(self, z):
        return (1 + self.size) * self.last(self.first(z))


def test_a_law_is_known_again_whatever_its_rounding():
    gan = GAN(Rounds(0.0), None, 2)
    fitted = gan.with_ratio(law(gan, Direct()), Ratio(Score(net(2, 8, 1))))
    names = set()
    for size in torch.linspace(-5e-4, 5e-4, 21).tolist():
        fitted.generator.size = size
        names.add(str(law(GAN(fitted.generator, None, 2), Direct())))
        assert law(fitted, Direct()) in fitted.ratios
    assert len(names) > 1  # some of them fell on another side
    fitted.generator.size = 0.05
    assert law(fitted, Direct()) not in fitted.ratios


def test_traces_see_every_coordinate_and_shifts_of_all():
    x = torch.randn(8, 50, generator=torch.Generator().manual_seed(0))
    assert near(trace(x), trace(x * (1 + 1e-4)))
    assert not near(trace(x), trace(x + 0.1))
    for coordinate in range(50):
        other = x.clone()
        other[:, coordinate] += 1
        assert not near(trace(x), trace(other))


def test_what_is_not_finite_has_a_name_too():
    generator = nn.Sequential(net(2, 2), nn.Threshold(0.0, float("nan")))
    assert direct(generator) == direct(generator)


def test_a_choice_of_labels_is_no_other_law():
    class Labelled(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows, self.body = nn.Embedding(4, 2), net(2, 8, 2)

        def forward(self, z, y):
            return self.body(z + self.rows(y))

    gan = GAN(Labelled(), None, 2, condition=torch.arange(4))
    assert law(gan.with_condition(torch.tensor([3])), Direct()) == law(gan, Direct())
