"""Discriminator gradient flow and latent optimisation: their formulas, and the laws they reach."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from gantandem import GAN, Direct, Key, LatentOpt, Normal, Refine, Uniform, prepare, sample
from gantandem import DGFlow as Flow
from gantandem.errors import InputError
from gantandem.latent import Distribution
from gantandem.testing import toy_gan
from reference_networks import GAN_, SEED, WIDTH, N, networks
from targets import Formula

DIVERGENCES = ["kl", "js", "logd"]


def identity(function, latent=None, **options) -> GAN:
    """G(z) = z, so that the flow in the latent and in the data are one; d is any function."""
    generator = Formula(lambda z: z, torch.float32)
    return GAN(generator, Formula(function), latent or Normal(1), **options)


def slow(gan: GAN, layer: str, sample_id: int, steps: int, move) -> dict:
    """One sample, moved ``steps`` times by ``move(h, d, gradient, step)`` -> h."""
    layers = list(gan.generator)
    z = Key(SEED).fold("latent").normal(torch.tensor([sample_id]), 0, shape=(2,))
    cut = {"latent": 0, "data": len(layers)}.get(layer)
    cut = int(layer) + 1 if cut is None else cut
    h = torch.nn.Sequential(*layers[:cut])(z).detach().double()
    for step in range(steps + 1):
        h = h.requires_grad_()
        x = torch.nn.Sequential(*layers[cut:])(h)
        d = gan.guide.network(x).squeeze()
        if step == steps:
            return {"x": x.detach(), "logit": float(d.detach()), "z": z}
        (gradient,) = torch.autograd.grad(d, h)
        h = move(h.detach(), float(d.detach()), gradient, step)
    raise AssertionError


def check(mover, layer: str, move) -> None:
    out = sample(GAN_, mover, N, seed=SEED, width=WIDTH)
    wanted = [slow(GAN_, layer, i, mover.steps, lambda *a, i=i: move(i, *a)) for i in range(N)]
    fine = 1e-4 if layer == "latent" else 1e-6  # latents are kept in float32
    assert torch.allclose(out.x, torch.cat([w["x"] for w in wanted]), rtol=1e-5, atol=fine)
    logit = torch.tensor([w["logit"] for w in wanted], dtype=torch.float64)
    assert torch.allclose(out.log_ratio, logit, rtol=1e-4, atol=10 * fine)
    assert torch.equal(out.z, torch.cat([w["z"] for w in wanted]))
    assert set(out.steps.tolist()) == {mover.steps}


# -- dgflow -------------------------------------------------------------------------------------


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("layer", ["latent", "1", "data"])
def test_dgflow_is_its_formula(layer, divergence):
    """Algorithm 1 of Ansari et al. 2021, the noise shared."""
    mover = Flow(layer=layer, divergence=divergence, step_size=0.2, noise=0.05, steps=6)
    s = {
        "kl": lambda d: 1.0,
        "js": lambda d: 1 / (1 + math.exp(-d)),
        "logd": lambda d: 1 / (1 + math.exp(d)),
    }[divergence]

    def move(i, h, d, gradient, step):
        xi = Key(SEED).fold("flow").normal(torch.tensor([i]), 0, step, shape=tuple(h.shape[1:]))
        return h + 0.2 * s(d) * gradient + math.sqrt(2 * 0.2 * 0.05) * xi

    check(mover, layer, move)


F = {
    "kl": lambda q: q * torch.log(q),
    "js": lambda q: q * torch.log(q) - (q + 1) * torch.log((q + 1) / 2),
    "logd": lambda q: (q + 1) * torch.log(q + 1) - (q + 1) * math.log(2),
}


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_dgflow_descends_its_divergence_as_a_gradient_flow(divergence):
    """In a time t the divergence falls by t times the mean squared velocity, d being exact.

    On a grid in one dimension, with p_G a standard normal and a narrower, shifted one as the data,
    the density after a step is known, and so is its divergence. A wrong weight or sign breaks it.
    """
    grid = torch.linspace(-7, 7, 4001, dtype=torch.float64)[:, None]
    p_g, p_data = (torch.distributions.Normal(m, s) for m, s in ((0.0, 1.0), (0.5, 0.8)))
    gan = identity(lambda x: (p_data.log_prob(x) - p_g.log_prob(x))[:, 0])
    t = 1e-4
    mover = Flow(divergence=divergence, step_size=t, noise=0.0, steps=1)
    with gan.networks.frozen():
        state = mover.init(
            gan.networks, Key(0), torch.arange(len(grid)), torch.zeros(len(grid)).long()
        )
        state = state._replace(h=grid)
        after = mover.step(gan.networks, Key(0), state)[0].h[:, 0]
    before, rho = grid[:, 0], p_g.log_prob(grid[:, 0]).exp()

    def divergence_of(x, mass_at_grid):
        density = mass_at_grid / torch.gradient(x, spacing=(before,))[0]
        q = density / p_data.log_prob(x).exp()
        return torch.trapezoid(F[divergence](q) * density / q, x)

    fall = float(divergence_of(before, rho) - divergence_of(after, rho)) / t
    velocity = (after - before) / t
    assert fall == pytest.approx(float(torch.trapezoid(rho * velocity.square(), before)), rel=0.01)
    assert fall > 0.01


def test_dgflow_on_a_linear_logit_drifts_and_diffuses_by_the_closed_form():
    slope, eta, gamma, steps, n = 0.7, 0.1, 0.05, 12, 4000
    gan = identity(lambda x: slope * x[:, 0] + 0.3)
    out = sample(gan, Flow(step_size=eta, noise=gamma, steps=steps), n, seed=2)
    noise = (out.x - out.z)[:, 0].double().numpy() - steps * eta * slope
    variance = 2 * eta * gamma * steps
    assert stats.kstest(noise, stats.norm(scale=math.sqrt(variance)).cdf).pvalue > 1e-3
    assert noise.var() / variance == pytest.approx(1, abs=4 * math.sqrt(2 / n))
    assert abs(np.corrcoef(noise, out.z[:, 0])[0, 1]) < 4 / math.sqrt(n)


def test_dgflow_has_its_own_law_and_not_the_datas():
    """d = -c x^2 / 2 makes an autoregression of variance known after every step."""
    c, eta, gamma, steps, n = 1.5, 0.1, 0.1, 25, 4000
    gan = identity(lambda x: -c * x[:, 0] ** 2 / 2)
    x = sample(gan, Flow(step_size=eta, noise=gamma, steps=steps), n, seed=5).x[:, 0].numpy()
    a = (1 - eta * c) ** 2
    variance = a**steps + 2 * eta * gamma * (1 - a**steps) / (1 - a)
    assert stats.kstest(x, stats.norm(scale=math.sqrt(variance)).cdf).pvalue > 1e-3
    assert stats.kstest(x, stats.norm(scale=math.sqrt(1 / (1 + c))).cdf).pvalue < 1e-9


def test_dgflow_without_noise_is_a_function_of_the_latent():
    c, steps = 0.8, 7
    gan = identity(lambda x: -c * x[:, 0] ** 2 / 2)
    out = sample(gan, Flow(noise=0.0, step_size=0.1, steps=steps), 100)
    assert torch.allclose(out.x, (1 - 0.1 * c) ** steps * out.z, rtol=1e-5)


def test_dgflow_draws_new_noise_for_each_attempt_and_step():
    gan = identity(lambda x: 0 * x[:, 0])
    ids, zeros = torch.arange(64), torch.zeros(64, dtype=torch.int64)
    mover = Flow(noise=0.5, step_size=1.0)
    with gan.networks.frozen():
        states = [mover.init(gan.networks, Key(0), ids, zeros + attempt) for attempt in (0, 1)]
        moves = []
        for state in states:
            for _ in range(2):
                after, _ = mover.step(gan.networks, Key(0), state)
                moves.append((after.h - state.h)[:, 0])
                state = after
    table = np.corrcoef(torch.stack(moves).numpy())
    assert np.abs(table - np.eye(4)).max() < 0.5
    assert torch.stack(moves).std() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("layer", ["latent", "1", "data"])
def test_logd_without_noise_is_refinement(layer):
    flow = Flow(layer=layer, divergence="logd", noise=0.0, step_size=0.3, steps=5)
    refine = Refine(layer=layer, update="sgd", stop="last", step_size=0.3, steps=5)
    a, b = (sample(GAN_, m, N, width=WIDTH) for m in (flow, refine))
    assert torch.allclose(a.x, b.x, rtol=1e-5, atol=1e-6)


def test_dgflow_takes_a_critic_with_kl_only():
    gan = identity(lambda x: 0.7 * x[:, 0], output="critic")
    out = sample(gan, Flow(noise=0.0, step_size=0.1, steps=3), 10)
    assert torch.allclose(out.x - out.z, torch.full((10, 1), 0.21), atol=1e-6)
    for divergence in ("js", "logd"):
        with pytest.raises(InputError, match="the guide is a critic. Pass 'kl'"):
            sample(gan, Flow(divergence=divergence), 10)


def test_dgflow_on_a_decoder_without_a_discriminator():
    """A VAE's decoder or a flow: whatever network judges it is made the guide."""
    decoder = GAN(Formula(lambda z: torch.tanh(z), torch.float32), None, Normal(1))
    with pytest.raises(InputError, match="fit_ratio"):
        sample(decoder, Flow(), 10)
    guided = decoder.with_guide(Formula(lambda x: 2 * x[:, 0]))
    before, after = (sample(guided, m, 200).x for m in (Direct(), Flow(noise=0.0)))
    assert bool((after > before).all())


# -- latent optimisation ------------------------------------------------------------------------


def test_latent_opt_is_its_formula():
    """LOGAN: the step solves (g g^T + beta I) move = alpha g."""

    def move(i, h, d, gradient, step):
        g = gradient[0]
        return h + torch.linalg.solve(torch.outer(g, g) + 0.5 * torch.eye(2), 0.7 * g)

    check(LatentOpt(step_size=0.7, damping=0.5, steps=4), "latent", move)


@pytest.mark.parametrize("slope", [1e-3, 1.0, 40.0])
def test_latent_opt_on_a_linear_logit(slope):
    gan = identity(lambda x: slope * x[:, 0], output="critic")
    out = sample(gan, LatentOpt(step_size=0.9), 50)
    wanted = 3 * 0.9 * slope / (5 + slope**2)
    assert torch.allclose(out.x - out.z, torch.full((50, 1), wanted), rtol=1e-3, atol=1e-6)


# -- all of them --------------------------------------------------------------------------------

MOVERS = [Flow(steps=4), LatentOpt(steps=4), Flow(layer="data", steps=4)]


@pytest.mark.parametrize(
    "mover", [Flow(step_size=3.0, steps=4), LatentOpt(step_size=0.9, damping=0.1)]
)
def test_latents_stay_inside_their_prior(mover):
    box = identity(lambda x: 2 * x[:, 0], Uniform(1, -0.5, 1.0))
    out = sample(box, mover, 300)
    assert float(out.x.max()) == 1.0  # clipped to the border
    half = Distribution(torch.distributions.Exponential(torch.ones(1)))
    out = sample(identity(lambda x: -2 * x[:, 0], half), mover, 300)
    assert float(out.x.min()) >= 0
    assert len(out.x.unique()) > 250  # dropped, not clipped


@pytest.mark.parametrize("mover", MOVERS)
def test_passes(mover):
    out = sample(toy_gan(), mover, 100, width=16)
    head = int(mover.layer not in (None, "latent"))
    assert out.manifest["passes"] == 100 * (head + 3 * (mover.steps + 1))


@pytest.mark.parametrize("mover", MOVERS)
def test_more_steps_go_on_where_fewer_stopped(mover):
    """The sample of K steps is scored where it stands, after K moves and not one more."""
    gan = identity(lambda x: 1.0 * x[:, 0])
    if isinstance(mover, Flow):
        mover = replace(mover, noise=0.0)
    rise = [
        float((o.x - o.z).mean())
        for o in (sample(gan, replace(mover, steps=k), 32) for k in (1, 2, 4))
    ]
    assert rise[1] == pytest.approx(2 * rise[0], rel=1e-4)
    assert rise[2] == pytest.approx(4 * rise[0], rel=1e-4)
    out = sample(gan, mover, 32)
    assert torch.allclose(out.log_ratio, out.x[:, 0].double(), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("mover", [*MOVERS, Flow(layer="1", divergence="js", steps=3)])
def test_other_precisions(mover, dtype):
    out = sample(networks(dtype), mover, N, seed=SEED, width=WIDTH)
    assert out.x.dtype == torch.float32  # whatever its networks compute in
    wanted = sample(GAN_, mover, N, seed=SEED, width=WIDTH).x
    assert float((out.x.double() - wanted).abs().median()) < 10 * torch.finfo(dtype).eps


def test_preparing_resolves_nothing():
    for mover in MOVERS:
        assert prepare(toy_gan(), mover)[0] == mover


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Flow(divergence="tv"), "'kl', 'js' or 'logd'"),
        (lambda: Flow(step_size=0), "dgflow step_size"),
        (lambda: Flow(noise=-0.1), "dgflow noise"),
        (lambda: Flow(steps=0), "dgflow steps"),
        (lambda: LatentOpt(step_size=-1), "latent_opt step_size"),
        (lambda: LatentOpt(damping=0), "latent_opt damping"),
        (lambda: LatentOpt(steps=1.5), "latent_opt steps"),
    ],
)
def test_settings(make, words):
    with pytest.raises(InputError, match=words):
        make()
