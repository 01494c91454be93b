"""Ratios fitted and guides shaped, against what is known in closed form."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from gantandem import (
    GAN,
    Direct,
    Normal,
    Real,
    Refine,
    fit_ratio,
    sample,
    shape,
)
from gantandem.data.real import Rows
from gantandem.discriminator import shaping
from gantandem.discriminator.parts import draw_all, split_real
from gantandem.engine.run import Run
from gantandem.errors import InputError, NonFiniteError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.nets.hashing import weights_hash
from gantandem.networks.score import Score
from gantandem.rng import Key
from gantandem.testing import toy_gan
from small_scores import QUICK, small
from targets import Formula

# -- shaping ------------------------------------------------------------------------------------


def cloud(n: int = 1200) -> Real:
    noise = torch.Generator().manual_seed(0)
    return split_real(torch.tensor([1.5, -1.0]) + 0.4 * torch.randn(n, 2, generator=noise))


def poor(network: nn.Module | None = None) -> GAN:
    """A generator far from the data, and a discriminator that knows nothing."""
    generator = Formula(lambda z: 0.5 * z, torch.float32)
    return GAN(generator, small(1) if network is None else network, Normal(2))


TINY = {
    "refine": Refine(steps=10, step_size=0.2, stop="last"),
    "updates": 200,
    "batch": 128,
    "check_every": 50,
    "check_samples": 400,
    "learning_rate": 3e-3,
    "progress": False,
}


def test_shaping_brings_refined_samples_to_the_data():
    gan, real = poor(), cloud()
    before, state = weights_hash(gan.guide.network), torch.get_rng_state()
    shaped = shape(gan, real, **TINY)
    assert weights_hash(gan.guide.network) == before and not gan.shaped and gan.history == ()
    assert torch.equal(torch.get_rng_state(), state)
    distances = [entry["distance"] for entry in shaped.history]
    assert [entry["update"] for entry in shaped.history] == [0, 50, 100, 150, 200]
    direct = sliced_wasserstein(sample(gan, Direct(), 400).x, real.test)
    assert min(distances) < 0.4 * direct and min(distances) < 0.5 * distances[0]
    out = sample(shaped, shaped.proposal, 400)
    assert sliced_wasserstein(out.x, real.test) < 0.5 * direct
    assert shaped.setup_passes > 200 * 3


def kept_distance(shaped: GAN, real: Real) -> float:
    mover = replace(shaped.proposal, defensive=0.0)
    x = draw_all(shaped, mover, 400, "shape check", width=128).x
    return sliced_wasserstein(x, real.select[:400])


@pytest.mark.parametrize("tie", [0, 0.25])
@pytest.mark.slow
def test_the_guide_kept_is_the_nearest_of_the_history(tie):
    """Or a later one that is at most ``tie`` farther, and no farther than the start."""
    real = cloud()
    options = {"learning_rate": 0.15, "updates": 120, "check_every": 20, "tie": tie}
    shaped = shape(poor(), real, **{**TINY, **options})
    distances = [entry["distance"] for entry in shaped.history]
    kept = max(
        index
        for index, far in enumerate(distances)
        if far <= min((1 + tie) * min(distances[: index + 1]), distances[0])
    )
    assert 0 < kept < len(distances) - 1
    assert [entry.get("kept", False) for entry in shaped.history].index(True) == kept
    assert (distances[kept] == min(distances)) == (tie == 0)
    assert kept_distance(shaped, real) == pytest.approx(distances[kept], rel=1e-5)


@pytest.mark.parametrize(
    "setting, name, statistic",
    [
        ({"stop": "threshold"}, "threshold", torch.median),
        ({"update": "scaled-adam"}, "reference", lambda logit: logit.sigmoid().mean()),
    ],
    ids=["threshold", "reference"],
)
@pytest.mark.slow
def test_what_refinement_reads_off_scores_of_real_data_is_that_of_the_shaped_guide(
    setting, name, statistic
):
    real = cloud()
    refine = Refine(steps=10, step_size=0.2, **setting)
    options = {**TINY, "updates": 20, "check_every": 20, "recipe": "paper", "learning_rate": 0.1}
    shaped = shape(poor(), real, **{**options, "refine": refine})
    with torch.no_grad():
        expected = [float(statistic(g.guide(real.fit))) for g in (poor(), shaped)]
    assert abs(expected[1] - expected[0]) > 1e-3
    assert getattr(shaped.proposal, name) == pytest.approx(expected[1], abs=1e-6)
    given = replace(refine, **{name: 0.25})
    assert getattr(shape(poor(), real, **{**options, "refine": given}).proposal, name) == 0.25


@pytest.mark.slow
def test_shaping_never_returns_a_guide_that_measured_worse(caplog):
    real = cloud()
    good = shape(poor(), real, **TINY)
    worse = shape(good, real, **{**TINY, "updates": 20, "check_every": 10, "learning_rate": 5.0})
    assert kept_distance(worse, real) == pytest.approx(worse.history[0]["distance"], rel=1e-5)
    assert [entry.get("kept") for entry in worse.history] == [True, None, None]
    assert "no guide brought refined samples nearer" in caplog.text


@pytest.mark.slow
def test_the_published_recipe():
    """Fresh batches, SGD, and the last guide, whatever it measured."""
    real = cloud()
    options = {**TINY, "recipe": "paper", "learning_rate": 0.05, "updates": 60, "check_every": 20}
    shaped = shape(poor(), real, **options)
    assert len(shaped.history) == 4
    assert kept_distance(shaped, real) == pytest.approx(shaped.history[-1]["distance"], rel=1e-5)
    assert [entry.get("kept") for entry in shaped.history] == [None, None, None, True]
    assert shaped.history[-1]["distance"] < shaped.history[0]["distance"]
    # K steps, evaluated K + 1 times, for every fresh sample and for those of four checks.
    assert shaped.setup_passes >= 60 * 128 * (1 + 3 * 11)


def test_the_published_update_is_sgd_on_the_sum_of_both_losses(monkeypatch):
    real, rate = cloud(), 0.05
    made = torch.randn(128, 2, generator=torch.Generator().manual_seed(3))
    monkeypatch.setattr(shaping.Negatives, "fresh", lambda self: Rows(made))
    monkeypatch.setattr(shaping, "batches", lambda *_: iter([Rows(real.fit[:128])]))
    options = {**TINY, "recipe": "paper", "learning_rate": rate, "updates": 1, "check_every": 1}
    shaped = shape(poor(), real, **options)
    own = small(1)
    loss = nn.functional.binary_cross_entropy_with_logits
    on_real, on_made = own(real.fit[:128]), own(made)
    sum_of = loss(on_real, torch.ones_like(on_real)) + loss(on_made, torch.zeros_like(on_made))
    sum_of.backward()
    for new, old in zip(shaped.guide.network.parameters(), own.parameters(), strict=True):
        assert torch.allclose(new, old - rate * old.grad, atol=1e-6)


@pytest.mark.parametrize("stop", ["random", "last", "best"])
@pytest.mark.parametrize("width", [None, 64])
def test_a_fresh_batch_is_that_of_a_run(stop, width):
    """Every id once, refined to the step where its lane would stop in the pool."""
    gan = poor().observe(cloud().fit)
    mover = Refine(steps=10, step_size=0.2, stop=stop).prepare(gan.networks, Key(0))
    shaper = shaping.Negatives(gan, gan.guide.network, mover, cloud(), Key(5), width, 100, 100)
    shaper.fresh()
    spent, x = shaper.passes, shaper.fresh().x
    run = Run(gan.networks, mover, 100, shaper._fresh, start=100)
    expected = torch.cat([block.x for block in run.blocks()])
    order = torch.cdist(expected, x).argmin(1)
    assert len(order.unique()) == 100
    assert torch.allclose(x[order], expected, atol=1e-5)
    assert shaper.passes - spent == run.passes


def test_shaping_is_deterministic_whatever_the_global_state():
    def once():
        with torch.random.fork_rng():
            torch.manual_seed(next(seeds))
            network = nn.Sequential(small(2), nn.Dropout(0.0))
            network[0].insert(2, nn.Dropout(0.5))
            return shape(poor(network), cloud(), **{**TINY, "updates": 20, "check_every": 20})

    seeds = iter((1, 2))
    a, b = once(), once()
    assert weights_hash(a.guide.network) == weights_hash(b.guide.network)


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.norm = nn.Linear(2, 16), nn.BatchNorm1d(16)
            self.last = nn.Linear(16, 1)
        with torch.no_grad():
            self.norm.running_mean.fill_(0.1)

    def forward(self, x):
        return self.last(torch.tanh(self.norm(self.first(x))))


@pytest.mark.parametrize("recipe", ["pool", "paper"])
def test_statistics_of_normalisation_layers_are_held(recipe):
    gan = poor(Normalised())
    nearer = itertools.count()  # the last guide is kept
    options = {"updates": 10, "check_every": 5, "recipe": recipe, "learning_rate": 0.01}
    options["distance"] = lambda x, real: -float(next(nearer))
    shaped = shape(gan, cloud(), **{**TINY, **options})
    options = {**QUICK, "n": 500, "schedule": [(10, 1e-2)], "batch": 100}
    fitted = fit_ratio(gan, cloud(), network=gan.guide.network, **options).ratio(Direct())
    for network in (shaped.guide.network, fitted.score.network):
        assert weights_hash(network) != weights_hash(gan.guide.network)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            assert torch.equal(getattr(network.norm, name), getattr(gan.guide.network.norm, name))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"updates": 0}, "updates"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"check_every": 0}, "check_every"),
        ({"recipe": "secret"}, "'pool' and 'paper'"),
        ({"refine": Direct()}, "Refine"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_shape_refuses(options, words):
    with pytest.raises(InputError, match=words):
        shape(poor(), cloud(), **options)


class Clamped(nn.Linear):
    """Probabilities that come out of no sigmoid."""

    def __init__(self):
        super().__init__(2, 1)

    def forward(self, x):
        return super().forward(x).clamp(0, 1)


def test_shape_needs_logits_and_a_discriminator():
    gan = poor()
    with pytest.raises(InputError, match="no discriminator"):
        shape(GAN(gan.generator, None, gan.latent), cloud())
    with pytest.raises(InputError, match="has no sigmoid at its end"):
        prob = gan.replace(guide=Score(Clamped(), "prob"))
        shape(prob, cloud(), refine=Refine(steps=2, step_size=0.1))


BLOWN_UP = Refine(steps=3, step_size=3e38, stop="last")


def test_a_refinement_that_leaves_the_numbers_ends_in_one_message(monkeypatch):
    """Before shaping, and in its pool, which must not wait for ever for a finite sample."""
    options = {"refine": BLOWN_UP, "updates": 4, "batch": 32, "check_every": 2}
    with pytest.raises(NonFiniteError, match="refine: 64 of 64 proposals .* step_size"):
        shape(toy_gan(), torch.randn(400, 2), check_samples=64, **options)
    monkeypatch.setattr(shaping.Negatives, "compare", lambda *_: {"distance": 1.0})
    with pytest.raises(NonFiniteError, match="gave 0 finite samples.*step_size"):
        shape(toy_gan(), torch.randn(400, 2), **options)
    with pytest.raises(NonFiniteError, match="none of 32 refined samples is finite.*step_size"):
        shape(toy_gan(), torch.randn(400, 2), recipe="paper", **options)
