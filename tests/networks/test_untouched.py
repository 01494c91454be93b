"""Nothing of a user's networks differs after any call, whatever their forwards write."""

from __future__ import annotations

import contextlib
import warnings

import pytest
import sklearn.linear_model
import sklearn.metrics  # noqa: F401  importing it draws from Python's global random state
import torch
from torch import nn

from awkward import KINDS, Base, fingerprint, made
from gantandem import (
    GAN,
    MALA,
    OBRS,
    ULA,
    Direct,
    Metropolis,
    Real,
    Refine,
    SampledGenerator,
    calibrate,
    chain_report,
    diagnose,
    fit_latent_reweight,
    fit_ratio,
    prepare,
    sample,
    shape,
)
from gantandem.errors import CutError
from gantandem.networks.score import Score
from gantandem.ratios.lookup import networks_for
from gantandem.ratios.ratio import Ratio

FIT = {"n": 100, "schedule": [(2, 1e-3)], "batch": 20, "width": 64, "progress": False}


def cloud(n):
    return 0.5 * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


REAL = Real(fit=cloud(80), select=cloud(20), calibrate=cloud(20), test=cloud(20))
Z = cloud(6)


def guided(gan, layer):
    with torch.no_grad():
        h, carry = gan.cut(layer).head(Z)
    return h, carry


CALLS = {
    "GAN": lambda gan: GAN(gan.generator, gan.guide.network, 2),
    "decode": lambda gan: gan.decode(Z),
    "cut at a": lambda gan: gan.cut("a"),
    "cut at b": lambda gan: gan.cut("b"),
    "cut at the ends": lambda gan: (gan.cut("latent"), gan.cut("data")),
    "guidance": lambda gan: gan.networks.guidance("latent", Z, (), None),
    "latent_ratio": lambda gan: networks_for(gan, MALA()).latent_ratio(Z, None),
    "law": lambda gan: gan.law(Direct()),
    "ratio": lambda gan: gan.ratio(Direct()),
    "observe": lambda gan: gan.observe(REAL.fit),
    "with_guide": lambda gan: gan.with_guide(gan.guide.network),
    "with_ratio": lambda gan: gan.with_ratio("law", Ratio(Score(gan.guide.network))),
    "replace": lambda gan: gan.replace(generator=gan.generator),
    "prepare": lambda gan: prepare(gan, OBRS(pilot=64), width=64),
    "direct": lambda gan: sample(gan, Direct(), 20, width=64),
    "refine": lambda gan: sample(gan, Refine(layer="a", steps=2), 20, width=64),
    "obrs": lambda gan: sample(gan, OBRS(expected=2, pilot=64), 20, width=64),
    "metropolis": lambda gan: sample(gan, Metropolis(proposals=2), 20, width=64),
    "ula": lambda gan: sample(gan, ULA(steps=2), 20, width=64),
    "mala": lambda gan: sample(gan, MALA(steps=2, step_size=0.1), 20, width=64),
    "shape": lambda gan: shape(
        gan, REAL, refine=Refine(layer="a", steps=2), updates=2, check_every=1, check_samples=20,
        batch=20, width=64, progress=False,
    ),
    "fit_ratio": lambda gan: fit_ratio(gan, REAL, **FIT),
    "fit_ratio network": lambda gan: fit_ratio(gan, REAL, network=gan.guide.network, **FIT),
    "calibrate": lambda gan: calibrate(gan, REAL, width=64),
    "diagnose": lambda gan: diagnose(gan, REAL, width=64),
    "fit_latent_reweight": lambda gan: fit_latent_reweight(
        gan, n=50, schedule=[(2, 1e-3)], batch=20, width=64, progress=False
    ),
    "chain_report": lambda gan: chain_report(
        gan, MALA(steps=2, step_size=0.1), chains=16, draws=8, burn_in=2, progress=False
    ),
    "SampledGenerator": lambda gan: SampledGenerator(gan, Direct(), width=64)(Z),
}  # fmt: skip


def pair(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the old normalisations are old
        return made(kind), made(kind, 1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_every_call_leaves_the_networks_as_they_were(kind):
    generator, discriminator = pair(kind)
    before = fingerprint(generator), fingerprint(discriminator)
    gan = GAN(generator, discriminator, 2)
    for name, call in CALLS.items():
        with contextlib.suppress(CutError):  # the oddest can be cut at the ends only
            call(gan)
        after = fingerprint(generator), fingerprint(discriminator)
        assert after == before, name


class Fails(Base):
    """Writes into itself and raises at the n-th call."""

    def __init__(self, size=2):
        super().__init__(size)
        self.register_buffer("noise", torch.zeros(8))
        self.left = [10**9]
        self.norm = nn.BatchNorm1d(8)

    def forward(self, z):
        state = vars(self)
        kept, state["noise_"] = self.noise, z
        self.noise = torch.ones(8)
        self.a.weight.requires_grad_(True)
        torch.rand(1)
        COUNT[0] -= 1
        if COUNT[0] == 0:
            raise RuntimeError("the n-th call")
        x = self.body(z, self.norm)
        self.noise = kept
        return x


COUNT = [0]


@pytest.mark.parametrize("name", [n for n in CALLS if n not in ("law", "ratio", "replace")])
def test_a_forward_that_raises_leaves_them_as_they_were(name):
    for calls in (1, 2, 5, 9):
        COUNT[0] = 0
        generator, discriminator = pair(Fails)
        gan = GAN(generator, discriminator, 2)
        before = fingerprint(generator), fingerprint(discriminator)
        COUNT[0] = calls
        try:
            CALLS[name](gan)
        except Exception as error:
            assert "the n-th call" in str(error)
        assert (fingerprint(generator), fingerprint(discriminator)) == before, calls


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore")
def test_samples_are_those_of_a_network_that_was_never_cut(kind):
    generator, discriminator = pair(kind)
    gan = GAN(generator, discriminator, 2)
    z = sample(gan, Direct(), 32, width=64).z
    expected = gan.decode(z)
    gan.cut("a")
    assert torch.equal(gan.decode(z), expected)
    with gan.networks.frozen():
        assert torch.allclose(gan.cut("a").tail(*gan.cut("a").head(z)), expected, atol=1e-6)


def test_decoding_outside_a_run_is_in_eval_mode_and_keeps_its_gradient():
    generator, discriminator = pair(KINDS[3])
    gan = GAN(generator, discriminator, 2)
    with gan.networks.frozen():
        expected = gan.decode(Z)
    z = Z.clone().requires_grad_()
    x = gan.decode(z)
    assert torch.equal(x, expected)
    (gradient,) = torch.autograd.grad(x.sum(), z)
    assert bool(gradient.abs().sum() > 0)


def test_a_graph_that_the_user_holds_can_still_be_gone_back():
    generator, discriminator = pair(KINDS[3])
    generator.eval()
    gan = GAN(generator, discriminator, 2)
    loss = generator(Z).square().sum()
    for call in CALLS.values():
        call(gan)
    loss.backward()
    assert generator.b.bias.grad is not None
