"""Samplers behind the call of a generator, as libraries of metrics make it."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from test_contract import MOVERS, toy_reweighted

from drop_in_models import latents, model
from gantandem import (
    GAN,
    OBRS,
    SIR,
    Direct,
    Key,
    LatentReweight,
    Metropolis,
    Normal,
    Refine,
    Rejection,
    ReweightedLatent,
    SampledGenerator,
)
from gantandem.adapt.drop_in import _OneForAll
from gantandem.errors import InputError, LawMismatchError
from gantandem.samplers import Selector
from gantandem.testing import toy_gan
from targets import Formula, discrete, gaussian, skewed

RARE = 1e-4


TRIED = {
    **{name: MOVERS[name] for name in ("direct", "random", "best", "defensive")},
    "metropolis": Metropolis(proposals=3),
    "obrs of refine": OBRS(proposal=Refine(steps=3), pilot=100, expected=2),
}


# -- what is given, and what is drawn -----------------------------------------------------------


def test_plain_sampling_is_the_generator():
    gan, z = toy_gan(), latents()
    with torch.no_grad():
        assert torch.equal(model(Direct(), gan)(z), gan.generator(z))


@pytest.mark.parametrize("name", TRIED)
def test_a_result_is_a_function_of_z(name):
    """Row for row, call for call, whatever was sampled between; another seed or batch differs."""
    sampler, z = TRIED[name], latents()
    one = model(sampler)
    x = one(z)
    assert x.shape == (50, 2) and x.dtype == torch.float32
    one(latents(seed=1)), one.sample(3)
    assert torch.equal(one(z), x) and torch.equal(model(sampler)(z), x)
    moved = model(sampler)(torch.cat([z[:1], latents(seed=1)[1:]]))
    assert not torch.equal(moved, x)


def test_the_given_latents_are_the_first_attempts():
    """Metropolis by hand: z first, then keyed proposals, judged by the engine's own coins."""
    gan, z, k = toy_gan(), latents(), 4
    ours = model(Metropolis(proposals=k), gan)
    key = ours._noise(z)
    ids, ratio = torch.arange(len(z)), gan.guide.network
    with torch.no_grad():
        x = gan.generator(z)
        for attempt in range(1, k):
            y = gan.generator(Normal(2).draw(key.fold("latent"), ids, attempt))
            gain = (ratio(y) - ratio(x))[:, 0].double()
            accept = key.fold("judge").log_uniform(ids, attempt) < gain
            x = torch.where(accept[:, None], y, x)
    assert torch.allclose(ours(z), x, atol=1e-6)


@pytest.mark.parametrize("name", MOVERS)
def test_every_mover_starts_from_the_given_latents(name):
    """With all other noise in common, rows still differ, so it is z that makes them differ."""
    mover = MOVERS[name]
    if getattr(mover, "truncation", None) is not None and mover.how == "resample":
        pytest.skip("draws its own latents; z is a seed")
    if name == "ex2mcmc":
        pytest.skip("its first move may go from z to a fresh draw, in common too")
    gan = toy_reweighted() if isinstance(mover, LatentReweight) else toy_gan()
    x = model(mover, gan, common_noise=True)(latents())
    assert len(x.unique(dim=0)) > 1


def test_batches_are_independent():
    """Two batches that share no row share no noise: equal positions are not correlated."""
    target = skewed()
    ours = SampledGenerator(target.gan, Rejection(log_max=0.7), width=256)
    first, second = (ours(ours.sample(4000))[:, 0] for _ in range(2))
    correlation = torch.corrcoef(torch.stack([first, second]).double())[0, 1]
    assert abs(float(correlation)) < 4 / 4000**0.5


@pytest.mark.parametrize("make", [gaussian, skewed, discrete], ids=lambda f: f.__name__)
def test_the_law_is_the_samplers(make):
    """Given latents of the prior, exact samplers stay exact: over 8 batches of 1,000."""
    target = make()
    ours = SampledGenerator(target.gan, OBRS(expected=1.1 * target.max_ratio, pilot=20_000))
    x = torch.cat([ours(ours.sample(1000)) for _ in range(8)])
    assert target.worst(x) > RARE, target.p_values(x.double().numpy())


def test_a_mover_that_starts_elsewhere_takes_z_as_a_seed():
    assert "truncation" in inspect.signature(Direct).parameters
    ours, z = model(Direct(truncation=0.5)), latents()
    assert torch.equal(ours(z), ours(z))
    assert not torch.equal(ours(z), ours(latents(seed=1)))


def test_in_a_reweighted_prior_given_latents_are_candidates():
    """Each passes with its own probability, here sigmoid(8 z), and others take its place."""
    latent = ReweightedLatent(base=Normal(2), network=Formula(lambda z: 8 * z[:, 0]))
    gan, z = toy_gan().replace(reweighted=latent), latents(400)
    for ours in (model(LatentReweight(), gan), model(Direct(), gan.replace(latent=latent))):
        x = ours(z)
        with torch.no_grad():
            passed = (x == gan.generator(z)).all(1)
        assert not bool(passed[z[:, 0] < -1].any()) and bool(passed[z[:, 0] > 1].all())
        assert torch.equal(ours.sample(5), model(Direct(), gan).sample(5)), "of the prior itself"


# -- common noise -------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [Refine(steps=6, defensive=0.5), SIR(proposals=4)], ids=str)
def test_with_common_noise_a_row_depends_on_itself_alone(sampler):
    ours, z = model(sampler, common_noise=True, seed=3), latents()
    x = ours(z)
    assert len(x.unique(dim=0)) > 1, "a selector may keep one proposal for all"
    assert torch.equal(ours(z.flip(0)).flip(0), x)
    assert torch.equal(ours(torch.cat([z[20:], z[:20]]))[:30], x[20:])
    assert torch.equal(ours(torch.cat([z, z]))[50:], x), "both halves of a pair share their noise"
    assert not torch.equal(model(sampler)(torch.cat([z, z]))[50:], x)
    other = model(sampler, common_noise=True, seed=1)(z)
    assert not torch.equal(other, x)


def test_common_noise_makes_path_lengths_finite():
    """Rows 1e-4 apart end about as near as with the generator; else they are worlds apart."""
    z, sampler = latents(200), Refine(steps=4, step_size=0.05, layer="latent")
    pair = torch.cat([z, z + 1e-4])
    near, far = (
        (x[:200] - x[200:]).norm(dim=1).median()
        for x in (model(sampler, common_noise=on)(pair) for on in (True, False))
    )
    assert 0 < 100 * float(near) < 0.01 < float(far)


def test_one_key_for_all_ids():
    ids = torch.arange(8)
    key = _OneForAll(3).fold("anything")
    plain = Key(3).fold("anything")
    assert torch.equal(key.normal(ids, 2, shape=(3,)), plain.normal(ids * 0, 2, shape=(3,)))
    assert key == _OneForAll(3).fold("anything") and key != plain


# -- as a module --------------------------------------------------------------------------------


def test_the_sampler_is_prepared_once(monkeypatch):
    ours = model(OBRS(pilot=500, expected=2))
    scale = ours.sampler.log_scale
    assert isinstance(ours.sampler, Selector) and scale is not None

    def again(*_):
        raise AssertionError("prepared again")

    monkeypatch.setattr(OBRS, "prepare", again)
    monkeypatch.setattr(GAN, "law", again)
    ours(latents())
    assert ours.sampler == prepare_like(scale)


def prepare_like(scale):
    return OBRS(pilot=500, expected=2, log_scale=scale)


def test_the_law_is_looked_up_on_the_gans_own_latent():
    with pytest.raises(LawMismatchError):
        SampledGenerator(toy_gan(), OBRS(proposal=Refine(steps=3)))
    ours = SampledGenerator(toy_gan(), Metropolis(proposals=3))
    assert ours(latents()).shape == (50, 2)


def test_modes_gradients_and_inference():
    """Train mode, no_grad and inference mode change nothing; the user's flags are left alone."""
    gan, z = toy_gan(), latents()
    gan.generator.train()
    ours = model(Refine(steps=3, layer="latent"), gan)
    x = ours(z)
    ours.eval()
    assert not ours.training and gan.generator.training
    ours.train()
    assert torch.equal(ours(z), x) and not x.requires_grad
    with torch.inference_mode():
        assert torch.equal(ours(z.clone()), x)
    with torch.no_grad():
        assert torch.equal(ours(z), x)
    assert torch.equal(copy.deepcopy(ours)(z), x)
    assert all(p.requires_grad for p in gan.generator.parameters())
    assert {id(p) for p in gan.generator.parameters()} <= {id(p) for p in ours.parameters()}


@pytest.mark.parametrize("n", [1, 15, 16, 17, 200])
def test_n_rows_in_n_rows_out(n):
    z = latents(n)
    for width in (16, 64, None):
        assert model(Metropolis(proposals=2), width=width)(z).shape == (n, 2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_latents_of_another_precision(dtype):
    z = latents()
    x = model(Metropolis(proposals=2))(z.to(dtype))
    assert x.dtype == torch.float32
    assert torch.equal(x, model(Metropolis(proposals=2))(z.to(dtype).float()))


def test_sample_draws_the_prior_in_one_stream():
    ours = SampledGenerator(discrete().gan, Direct())
    z = ours.sample(3000)
    assert z.shape == (3000, 1) and 0 < float(z.min()) and float(z.max()) < 1
    again = SampledGenerator(discrete().gan, Direct())
    parts = torch.cat([again.sample(1000), again.sample(2000)])
    assert torch.equal(parts, z) and not torch.equal(again.sample(3000), z)
    with pytest.raises(InputError, match="num_samples"):
        ours.sample(0)


def test_transform_comes_last():
    def to_bytes(x):
        return (127.5 * (x + 1)).clamp(0, 255).to(torch.uint8)

    x = model(Direct(), transform=to_bytes)(latents())
    assert x.dtype == torch.uint8
    assert torch.equal(x, to_bytes(model(Direct())(latents())))


def test_what_does_not_fit_is_said():
    ours = model(Direct())
    for wrong in (torch.zeros(4, 3), torch.zeros(4), torch.zeros(0, 2)):
        with pytest.raises(InputError, match=r"allowed is \(N, 2\)"):
            ours(wrong)
    with pytest.raises(InputError, match="has no condition"):
        ours(latents(), torch.zeros(50))
    with pytest.raises(InputError, match="width"):
        model(Direct(), width=0)
