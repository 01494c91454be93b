"""Samplers behind the call of a generator, as libraries of metrics make it."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from test_contract import MOVERS, toy_reweighted
from torch import nn

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
    Uniform,
)
from gantandem.adapt.drop_in import _OneForAll
from gantandem.errors import InputError, LawMismatchError
from gantandem.samplers import Selector
from gantandem.testing import toy_gan
from targets import Formula, discrete, gaussian, skewed

RARE = 1e-4


def latents(n=50, seed=0):
    return Normal(2).draw(Key(seed), torch.arange(n))


def model(sampler, gan=None, **options):
    return SampledGenerator(gan or toy_gan(), sampler, **{"width": 64, "strict": False, **options})


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
    with pytest.raises(InputError, match="has none"):
        ours(latents(), torch.zeros(50))
    with pytest.raises(InputError, match="width"):
        model(Direct(), width=0)


# -- with conditions ----------------------------------------------------------------------------


class Shift(nn.Module):
    """Adds 10 times its label to the latent."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, z, label):
        return z + self.scale * label[:, None]


class Near(nn.Module):
    def forward(self, x, label):
        return -((x[:, 0] - 10 * label) ** 2)


@pytest.fixture
def conditional():
    return GAN(Shift(), Near(), Normal(1), condition=torch.arange(3))


def test_every_row_keeps_its_condition(conditional):
    ours = SampledGenerator(conditional, Metropolis(proposals=5), num_classes=3)
    z, labels = torch.randn(60, 1), torch.randint(0, 3, (60,))
    x = ours(z, labels)
    assert torch.equal((x[:, 0] / 10).round().long(), labels)
    spread = float((x[:, 0] - 10 * labels).std())
    assert spread < 0.8 < float(z.std()), "every row is accepted by the ratio of its own label"
    with pytest.raises(InputError, match=r"model\(z, condition\)"):
        ours(z)
    with pytest.raises(InputError, match="2 rows for 60"):
        ours(z, labels[:2])


# -- the libraries ------------------------------------------------------------------------------


class Wrapped(nn.Module):
    """How torch-fidelity's GenerativeModelModuleWrapper calls a module.

    Written from its documentation, since the package needs torchvision: the module is put in eval
    mode, may be copied and moved, and its ``forward`` is called with latents, and with int64 labels
    if there are classes, under ``no_grad``.
    """

    def __init__(self, module, z_size, z_type, num_classes, make_copy=False, make_eval=True):
        super().__init__()
        assert isinstance(module, nn.Module)
        self.module = copy.deepcopy(module) if make_copy else module
        if make_eval:
            self.module.eval()
        self.module.cpu()
        self.z_size, self.z_type, self.num_classes = z_size, z_type, num_classes

    def forward(self, *args, **kwargs):
        return self.module.forward(*args, **kwargs)


@pytest.mark.parametrize("make_copy", [False, True])
def test_the_call_of_torch_fidelity(make_copy, conditional):
    ours = model(OBRS(pilot=100, expected=2))
    wrapped = Wrapped(ours, 2, "normal", 0, make_copy=make_copy)
    with torch.no_grad():
        assert torch.equal(wrapped(latents()), ours(latents()))
    labelled = Wrapped(model(Direct(), conditional), 1, "normal", 3, make_copy=make_copy)
    with torch.no_grad():
        x = labelled(torch.randn(9, 1), torch.arange(9) % 3)
    assert x.shape == (9, 1)


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Linear(2, 3 * 4 * 4)

    def forward(self, z):
        return torch.tanh(self.main(z)).view(-1, 3, 4, 4)


def image_gan():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return GAN(Images(), nn.Sequential(nn.Flatten(), nn.Linear(48, 1)), Uniform(2))


def test_path_lengths_of_torchmetrics(monkeypatch):
    """Its own loop; a stand-in for the pretrained distance, and no check for torchvision."""
    ppl = pytest.importorskip("torchmetrics.functional.image.perceptual_path_length")
    monkeypatch.setattr(ppl, "_TORCHVISION_AVAILABLE", True)

    class Distance(nn.Module):
        def forward(self, a, b):
            return (a - b).square().flatten(1).mean(1)

    def length(sampler, **options):
        ours = SampledGenerator(
            image_gan(), sampler, transform=lambda x: 127.5 * (x + 1), **options
        )
        ppl._validate_generator_model(ours)
        mean, *_ = ppl.perceptual_path_length(
            ours, num_samples=200, batch_size=50, epsilon=1e-3, resize=None, sim_net=Distance()
        )
        return float(mean)

    plain = length(Direct())
    shared = length(Refine(steps=4, step_size=0.05, layer="latent"), common_noise=True)
    apart = length(Refine(steps=4, step_size=0.05, layer="latent"))
    assert 0.2 * plain < shared < 5 * plain
    assert apart > 100 * plain, "without common noise a path length means nothing"


def test_num_classes_for_torchmetrics(conditional):
    ppl = pytest.importorskip("torchmetrics.functional.image.perceptual_path_length")
    ours = SampledGenerator(conditional, Direct(), num_classes=3)
    ppl._validate_generator_model(ours, conditional=True)
    assert model(Direct()).num_classes == 0
