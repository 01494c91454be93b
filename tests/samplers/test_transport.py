"""Discriminator optimal transport: its descent, its constant, and where it leads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from gantandem import DOT, GAN, Key, Normal, Uniform, prepare, sample
from gantandem.errors import InputError
from gantandem.testing import toy_gan
from reference_networks import GAN_, SEED, WIDTH, N, networks
from targets import Formula

PAIRS = Key(0).fold("prepare").fold("pairs")


def shift(function, latent=None, **options) -> GAN:
    """G(z) = z: the latent and the data are one."""
    generator = Formula(lambda z: z, torch.float32)
    return GAN(generator, Formula(function), latent or Normal(1), **options)


def slow_constant(gan: GAN, layer: str, pairs: int) -> float:
    slopes = []
    for i in range(pairs):
        z = [PAIRS.normal(torch.tensor([i]), attempt, shape=(2,)) for attempt in (0, 1)]
        x = [gan.generator(v).detach() for v in z]
        score = [float(gan.guide.network(v).detach()) for v in x]
        run = float(torch.dist(*(x if layer == "data" else z)))
        slopes.append(abs(score[0] - score[1]) / run)
    return max(slopes)


def slow_dot(mover: DOT, gan: GAN, sample_id: int) -> dict:
    """The objective handed to torch's own optimisers, for one sample."""
    z = Key(SEED).fold("latent").normal(torch.tensor([sample_id]), 0, shape=(2,))
    start = z.double() if mover.layer == "latent" else gan.generator(z).detach()
    h = start.clone().requires_grad_()
    if mover.update == "adam":
        optimiser = torch.optim.Adam([h], lr=mover.step_size, betas=mover.betas)
    else:
        optimiser = torch.optim.SGD([h], lr=mover.step_size)
    for step in range(mover.steps + 1):
        x = gan.generator(h) if mover.layer == "latent" else h
        score = gan.guide.network(x).squeeze()
        if step == mover.steps:
            return {"x": x.detach(), "score": float(score.detach()), "h": h.detach(), "z": z}
        optimiser.zero_grad()
        distance = torch.linalg.vector_norm(h - start + mover.offset)
        (distance - score / mover.lipschitz).backward()
        if mover.layer == "latent" and mover.project:
            ray = h.detach() / h.detach().norm()
            h.grad -= (h.grad * ray).sum() * ray
        optimiser.step()
        if mover.clamp:
            h.data.clamp_(*mover.clamp)
    raise AssertionError


# Where the slope is below k the sample bounces around the kink at its start, and rounding grows
# tenfold every few steps: so few steps there.
CASES = {
    "published, latent": DOT(),
    "published, data": DOT(layer="data", steps=20),
    "latent": DOT(step_size=0.05, lipschitz=0.4, offset=0.05),
    "latent, any radius": DOT(step_size=0.05, lipschitz=0.4, offset=0.05, project=False),
    "latent, adam": DOT(update="adam", lipschitz=0.4, offset=0.05, project=False, steps=6),
    "data, sgd": DOT(layer="data", update="sgd", steps=15, step_size=0.05, lipschitz=0.5),
    "data, adam": DOT(layer="data", steps=20, lipschitz=0.5, betas=(0.5, 0.99)),
    "data, clamped": DOT(layer="data", steps=20, lipschitz=0.5, clamp=(-0.3, 0.4)),
}


@pytest.mark.parametrize("name", CASES)
def test_dot_is_its_formula(name):
    mover = prepare(GAN_, CASES[name])[0]
    out = sample(GAN_, mover, N, seed=SEED, width=WIDTH)
    slow = [slow_dot(mover, GAN_, i) for i in range(N)]
    fine = 1e-4 if mover.layer == "latent" else 1e-6  # latents are kept in float32
    assert torch.allclose(out.x, torch.cat([s["x"] for s in slow]), rtol=1e-5, atol=fine)
    score = torch.tensor([s["score"] for s in slow], dtype=torch.float64)
    assert torch.allclose(out.log_ratio, score, rtol=1e-4, atol=10 * fine)
    assert torch.equal(out.z, torch.cat([s["z"] for s in slow]))
    assert set(out.steps.tolist()) == {mover.steps}


def test_published_settings_by_layer():
    latent, data = (prepare(GAN_, DOT(layer=layer))[0] for layer in ("latent", "data"))
    assert (latent.steps, latent.update) == (10, "sgd")
    assert (data.steps, data.update) == (100, "adam")
    assert latent.step_size == data.step_size == 0.003  # published: .01
    assert latent.offset == data.offset == 1e-3


@pytest.mark.parametrize("layer", ["latent", "data"])
@pytest.mark.parametrize("pairs", [1, 10, 60])
def test_the_constant_is_the_largest_slope_over_pairs(layer, pairs):
    got = prepare(GAN_, DOT(layer=layer, pairs=pairs))[0].lipschitz
    assert got == pytest.approx(slow_constant(GAN_, layer, pairs), rel=5e-3)


def test_the_constant_of_a_linear_score():
    """D(x) = 3 x after G(z) = 2 z: slope 6 in the latent, 3 in the data, whatever the pairs."""
    generator = Formula(lambda z: 2 * z, torch.float32)
    gan = GAN(generator, Formula(lambda x: 3 * x[:, 0]), Normal(1))
    assert prepare(gan, DOT(pairs=5))[0].lipschitz == 6
    assert prepare(gan, DOT(pairs=5, layer="data"))[0].lipschitz == 3


class Labelled(nn.Module):
    """G(z, c) = z, D(x, c) = x + 100 c: only a pair of one label has the slope of x."""

    def __init__(self, scores: bool):
        super().__init__()
        self.scores = scores

    def forward(self, x, cond):
        return x[:, 0] + 100 * cond[:, 0] if self.scores else x


def test_the_two_of_a_pair_share_their_condition():
    gan = GAN(Labelled(False), Labelled(True), Normal(1), condition=torch.arange(2.0)[:, None])
    assert prepare(gan, DOT())[0].lipschitz == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize("layer", ["latent", "data"])
@pytest.mark.parametrize("project", [True, False])
def test_dot_lowers_its_objective(layer, project):
    k = {"latent": 0.05, "data": 0.3}[layer]  # below the slope of most samples, so that they move
    mover = DOT(layer=layer, project=project, lipschitz=k, steps=10, step_size=0.02, update="sgd")
    slow = [slow_dot(mover, GAN_, i) for i in range(N)]  # the same samples, with their h
    out = sample(GAN_, mover, N, seed=SEED, width=WIDTH)
    assert torch.allclose(out.x, torch.cat([s["x"] for s in slow]), rtol=1e-4, atol=1e-4)
    z = out.z.double()
    start = z if layer == "latent" else GAN_.generator(z).detach()
    before = -GAN_.guide.network(GAN_.generator(z)).detach()[:, 0] / k
    moved = torch.cat([s["h"] for s in slow]) - start
    after = moved.norm(dim=1) - out.log_ratio / k
    # Where D rises less than k nothing can be gained, and the sample bounces about its start.
    assert float((after - before).max()) < 2 * mover.step_size
    assert float((after - before).mean()) < -0.05


def test_a_normal_latent_turns_about_the_origin():
    """The radius changes to second order in the step only; without the projection it goes."""
    gan = shift(lambda x: x.sum(1), Normal(16))
    options = {"lipschitz": 1.0, "steps": 20, "step_size": 0.02}
    radius = {}
    for project in (True, False):
        out = sample(gan, DOT(project=project, **options), 200)
        radius[project] = (out.x.norm(dim=1) / out.z.norm(dim=1)).double()
        assert float((out.log_ratio - out.z.sum(1)).min()) > 0
    assert float((radius[True] - 1).abs().max()) < 0.02
    assert float((radius[False] - 1).abs().mean()) > 0.05


def test_one_dimension_has_no_direction_at_right_angles():
    gan = shift(lambda x: 3 * x[:, 0])
    out = sample(gan, DOT(lipschitz=1.0), 50)
    assert torch.allclose(out.x, out.z)


# -- where it leads -----------------------------------------------------------------------------


def test_mass_goes_to_a_single_point_by_the_closed_form():
    """All data at m: the potential is -|x - m|, and every sample walks there in a straight line.

    With the constant k below 1, each step is (1 / k - 1) epsilon long, after a first one from
    above that also follows the offset's gradient; around m it stays within one step.
    """
    m, k, epsilon = 1.5, 0.5, 0.01
    gan = shift(lambda x: -(x[:, 0] - m).abs(), output="critic")
    options = {"layer": "data", "update": "sgd", "lipschitz": k, "step_size": epsilon}
    gaps = []
    for steps in (1, 50, 150, 600):
        out = sample(gan, DOT(steps=steps, **options), 300)
        y, x = out.z[:, 0].double(), out.x[:, 0].double()
        way = torch.where(y < m, steps * (1 / k - 1), (steps - 1) * (1 / k - 1) + 1 / k + 1)
        wanted = torch.where(
            y < m, (y + epsilon * way).clamp(max=m), (y - epsilon * way).clamp(min=m)
        )
        assert float((x - wanted).abs().max()) < epsilon * (1 / k + 1) + 1e-6
        gaps.append(stats.wasserstein_distance(x.numpy(), np.full(300, m)))
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]
    assert gaps[3] < 0.02


def test_a_translation_nears_the_data_and_then_passes_it():
    """p_G = N(0, 1) and data N(1, 1): the potential is x, whose descent has no end at the data."""
    k, epsilon = 0.5, 0.01
    gan = shift(lambda x: x[:, 0], output="critic")
    data = stats.norm(1, 1).ppf((np.arange(2000) + 0.5) / 2000)
    gaps = {}
    for steps in (1, 50, 100, 200):
        mover = DOT(layer="data", update="sgd", lipschitz=k, step_size=epsilon, steps=steps)
        out = sample(gan, mover, 2000)
        way = epsilon * steps * (1 / k - 1)
        assert torch.allclose(out.x, out.z + way, atol=1e-4)
        gaps[steps] = stats.wasserstein_distance(out.x[:, 0].numpy(), data)
        assert gaps[steps] == pytest.approx(abs(1 - way), abs=0.08)
    assert gaps[100] < gaps[50] < gaps[1] and gaps[200] > gaps[50]


def test_the_true_constant_leaves_nothing_to_gain():
    """At k = 1 the descent of |x - y| - x is flat beyond y: nobody moves."""
    gan = shift(lambda x: x[:, 0], output="critic")
    mover = prepare(gan, DOT(layer="data", update="sgd"))[0]
    out = sample(gan, mover, 100)
    assert mover.lipschitz == 1
    assert float((out.x - out.z).abs().max()) < 1e-4


# -- guides, borders, accounts ------------------------------------------------------------------


def test_a_logit_and_a_critic_are_moved_alike():
    a, b = (
        sample(shift(lambda x: torch.tanh(x[:, 0]), output=o), DOT(layer="data", steps=5), 50)
        for o in ("logit", "critic")
    )
    assert torch.equal(a.x, b.x)


def test_a_uniform_latent_is_clipped_to_its_box():
    gan = shift(lambda x: 5 * x[:, 0], Uniform(1, -0.5, 0.25))
    out = sample(gan, DOT(step_size=0.1, lipschitz=1.0), 100)
    assert bool((out.x == 0.25).all())


@pytest.mark.parametrize("layer, start", [("latent", 0), ("data", 1)])
def test_passes(layer, start):
    out = sample(toy_gan(), DOT(layer=layer, steps=4), 100, width=16)
    assert out.manifest["passes"] == 100 * (start + 3 * 5)
    assert out.manifest["setup_passes"] == 200  # the pilot pairs
    given = sample(toy_gan(), DOT(layer=layer, steps=4, lipschitz=1.0), 10)
    assert given.manifest["setup_passes"] == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("layer", ["latent", "data"])
def test_other_precisions(layer, dtype):
    mover = DOT(layer=layer, steps=3, step_size=0.05, lipschitz=0.5, offset=0.05)
    out = sample(networks(dtype), mover, N, seed=SEED, width=WIDTH)
    assert out.x.dtype == torch.float32  # whatever its networks compute in
    wanted = sample(GAN_, mover, N, seed=SEED, width=WIDTH).x
    assert float((out.x.double() - wanted).abs().median()) < 10 * torch.finfo(dtype).eps


def test_a_guide_that_cannot_scale_is_refused():
    with pytest.raises(InputError, match="dot lipschitz.*slope over 100 pairs.*is 0"):
        sample(shift(lambda x: 0 * x[:, 0]), DOT(), 10)
    with pytest.raises(InputError, match="fit_ratio"):
        sample(GAN(Formula(lambda z: z, torch.float32), None, Normal(1)), DOT(), 10)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: DOT(layer="1"), "dot layer: got '1', allowed is 'latent' or 'data'"),
        (lambda: DOT(update="momentum"), "dot update"),
        (lambda: DOT(steps=0), "dot steps"),
        (lambda: DOT(step_size=0), "dot step_size"),
        (lambda: DOT(lipschitz=-1.0), "dot lipschitz"),
        (lambda: DOT(offset=0), "dot offset"),
        (lambda: DOT(pairs=0), "dot pairs"),
        (lambda: DOT(betas=(0.9, 1.0)), "dot betas"),
        (lambda: DOT(clamp=(-1, 1)), "is only allowed with layer='data'"),
    ],
)
def test_settings(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize("broken", [math.inf, math.nan])
def test_a_score_that_is_not_finite_gives_no_constant(broken):
    gan = shift(lambda x: torch.where(x[:, 0] > 2, broken, x[:, 0]))
    with pytest.raises(InputError, match=f"is {broken}"):
        prepare(gan, DOT())
