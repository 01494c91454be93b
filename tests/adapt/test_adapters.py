"""Foreign networks with one line each: refused without it, sampled, refined and saved with it."""

from __future__ import annotations

import shutil
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

import foreign_models as foreign
from foreign_models import Discriminator, Generator, seeded
from gantandem import GAN, OBRS, Direct, Refine, adapt, fit_ratio, sample
from gantandem.adapt.inputs import as_shape
from gantandem.errors import ConfigError, InputError
from gantandem.latent.inputs import Inputs
from gantandem.nets import NETS, build
from gantandem.nets.describing import find_spec

LABELS = torch.tensor([0, 1, 2])
ROWS = torch.linspace(-1, 1, 11 * 16).view(11, 1, 4, 4).sin()


class Case(NamedTuple):
    """How the pair is without and with adapters, and what else the GAN is told."""

    generator: Any
    discriminator: Any
    plain: Any
    wrapped: Any
    latent: Any = 4
    given: dict[str, Any] = {}
    said: str = ""


def of_g(kind, wrap, said, latent=4, d=Discriminator, dwrap=lambda d: d, **given):
    return Case(kind, d, lambda g, d: (g, d), lambda g, d: (wrap(g), dwrap(d)), latent, given, said)


def of_d(kind, wrap, said, **given):
    def plain(g, d):
        return g, d

    return Case(Generator, kind, plain, lambda g, d: (g, wrap(d)), 4, given, said)


FIXED = ROWS[:3]
BY_LABEL = {"d": foreign.ConditionalD, "condition": LABELS}
CASES = {
    # what generators take
    "a list": of_g(
        foreign.TakesList,
        lambda g: adapt.Item(adapt.Parts(g, (4,), "list"), 0),
        r"Write adapt.Parts\(G, \(4,\), 'list'\)",
    ),
    "two arguments": of_g(
        foreign.TakesTwo, lambda g: adapt.Parts(g, (4, 4)), r"Write adapt.Parts\(G, \(4, 4\)\)$", 8
    ),
    "arguments by name": of_g(
        foreign.TakesTwo, lambda g: adapt.Parts(g, {"noise": 4, "z": 4}), r"adapt.Parts\(G", 8
    ),
    "one pixel": of_g(
        Generator, lambda g: adapt.Reshape(g, (4, 1, 1)), "", 4
    ),
    "images": of_g(foreign.TakesImages, lambda g: g, "", Inputs(ROWS)),
    "half": of_g(
        lambda: Generator().to(torch.bfloat16), adapt.OwnType, r"Write adapt.OwnType\(G\)"
    ),
    "double": of_g(lambda: Generator().double(), adapt.OwnType, r"Write adapt.OwnType\(G\)"),
    # conditions
    "a keyword": of_g(
        foreign.ByKeyword, lambda g: adapt.Keyword(g, "y"), r"Write adapt.Keyword\(G, 'y'\)",
        **BY_LABEL,
    ),
    "one-hot": of_g(
        foreign.ByVector, lambda g: adapt.OneHot(g, 3), r"Write adapt.OneHot\(G, 3\)", **BY_LABEL
    ),
    "a dict": of_g(
        foreign.ByDict, lambda g: adapt.AsDict(g, "label", "z"),
        r"Write adapt.AsDict\(G, 'label', 'z'\)",
        **BY_LABEL,
    ),
    "embedded": of_g(
        foreign.BigGANLike, adapt.Embedded, r"Write adapt.Embedded\(G\)", **BY_LABEL
    ),
    "joined": of_g(
        foreign.Concatenated, lambda g: adapt.OneHot(adapt.Joined(g), 3),
        r"Write adapt.OneHot\(adapt.Joined\(G\), 3\)", **BY_LABEL,
    ),
    "none in the generator": of_g(
        Generator, adapt.WithoutCondition, r"Write adapt.WithoutCondition\(G\)", **BY_LABEL
    ),
    "none in the discriminator": of_g(
        foreign.BigGANLike, adapt.Embedded, "", dwrap=adapt.WithoutCondition, condition=LABELS
    ),
    "by label": of_g(
        foreign.BigGANLike, adapt.Embedded, "", d=foreign.Domains, dwrap=adapt.ByLabel,
        condition=LABELS,
    ),
    # outputs
    "a dict of samples": of_g(
        foreign.ReturnsDict, lambda g: adapt.Item(g, "sample"), r"Write adapt.Item\(G, 'sample'\)"
    ),
    "another range": of_g(Generator, lambda g: adapt.Then(g, nn.Tanh()), ""),
    "score and features": of_d(
        foreign.WithFeatures, lambda d: adapt.Item(d, 0), r"Write adapt.Item\(D, 0\)"
    ),
    "a field": of_d(
        foreign.ReturnsFields, lambda d: adapt.Item(d, "logits"), r"Write adapt.Item\(D, 'logits'\)"
    ),
    "scales": of_d(foreign.Scales, adapt.Mean, r"Write adapt.Mean\(D\)"),
    "scales with features": of_d(
        foreign.Pix2PixHD, lambda d: adapt.Mean(d, -1), r"Write adapt.Mean\(D, -1\)"
    ),
    "real and made": of_d(
        foreign.HiFiLike, lambda d: adapt.Mean(adapt.Item(adapt.Twice(d), 0)),
        r"Write adapt.Twice\(D\)",
    ),
    "classes": of_d(foreign.Classes, lambda d: adapt.LogOdds(d, -1), r"adapt.LogOdds\(D\)"),
    "the other sign": of_d(Discriminator, adapt.Negated, ""),
    "two": of_d(
        foreign.Scales, lambda d: adapt.Plus(adapt.Mean(d), seeded(Discriminator)), "adapt.Mean"
    ),
    "a sigmoid": of_d(foreign.EndsInSigmoid, adapt.BeforeSigmoid, ""),
    "a sigmoid and features": of_d(
        foreign.SigmoidAndFeatures, lambda d: adapt.BeforeSigmoid(adapt.Item(d, 1)),
        r"Write adapt.Item\(D, 1\)",
    ),
    # rows that are not alone
    "minibatch deviation": of_d(
        foreign.StdDev, lambda d: adapt.AgainstBatch(d, FIXED), r"write adapt.AgainstBatch\(D"
    ),
    "packs of rows": of_d(
        foreign.CTGANLike, lambda d: adapt.Packed(d, FIXED), r"of 4: write adapt.Packed\(D"
    ),
    "packs of channels": of_d(
        foreign.JoinedChannels, lambda d: adapt.Packed(d, FIXED[:1], joined=True), "does not take"
    ),
    # noise
    "noise in the latent": of_g(
        foreign.Noisy, lambda g: adapt.NoiseFromLatent(g, 4), "does not take latents", 20
    ),
    "noise kept": of_g(foreign.Noisy, adapt.FixedNoise, r"adapt.NoiseFromLatent\(G"),
    "noise by a mode": of_g(
        foreign.Noisy, lambda g: adapt.With(g, {"noise_mode": "const"}),
        r"draws noise.*write adapt.With\(G, {'noise_mode': 'const'}\), or adapt.NoiseFrom",
    ),
    "truncated": of_g(
        lambda: foreign.Mapped(average=True), lambda g: adapt.TruncatedW(g, 0.7), ""
    ),
}  # fmt: skip


def made(case, *, wrapped=True) -> GAN:
    pair = seeded(case.generator), seeded(case.discriminator)
    networks = (case.wrapped if wrapped else case.plain)(*pair)
    return GAN(*networks, case.latent, **case.given)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].said])
def test_without_the_adapter_it_is_refused_and_the_line_is_named(name):
    with pytest.raises(InputError, match=CASES[name].said):
        made(CASES[name], wrapped=False)


@pytest.mark.parametrize("name", CASES)
def test_with_it_the_network_samples_and_is_refined(name):
    gan = made(CASES[name])
    judged = sample(gan, OBRS(expected=2, pilot=32), 8, width=16)
    assert judged.x.shape == (8, 1, 4, 4) and judged.log_ratio.isfinite().all()
    assert judged.log_ratio.dtype == torch.float64
    layer = "synthesis.fc" if name == "truncated" else "fc"
    assert gan.cut(layer).kind == ("replay" if "noise" in name else "graph")
    moved = sample(gan, Refine(layer=layer, steps=2, step_size=0.1), 8, width=16)
    plain = gan.decode(moved.z, gan.conditions(torch.arange(8)))
    assert moved.x.isfinite().all() and not torch.equal(moved.x, plain)


@pytest.mark.parametrize("name", [name for name in CASES if name != "images"])
def test_it_is_saved_and_loaded(name, tmp_path):
    gan = made(CASES[name])
    gan.save(tmp_path / "gan")
    again = GAN.load(tmp_path / "gan", trust=True)
    again = again if gan.condition is None else again.with_condition(LABELS)
    before, after = (sample(g, Direct(), 16, seed=3, width=16) for g in (gan, again))
    assert torch.equal(before.x, after.x)
    cond = gan.conditions(torch.arange(16))
    assert torch.allclose(gan.guide(before.x, cond), again.guide(after.x, cond))
    assert gan.ratios.keys() == again.ratios.keys()


def test_every_adapter_is_a_network_by_name():
    for name, kind in adapt.ADAPTERS.items():
        assert NETS[name] is kind
    spec = find_spec(adapt.Mean(adapt.Item(nn.Linear(2, 1), 0), -1))
    assert spec["net"] == "mean" and spec["network"]["net"] == "item" and spec["item"] == -1
    assert isinstance(build(spec), adapt.Mean)
    shown = {kind.__name__ for kind in adapt.ADAPTERS.values()}
    assert shown <= set(adapt.__all__)


def test_around_built_in_networks_they_are_loaded_without_trust(tmp_path):
    d = adapt.Mean(build({"net": "mlp-discriminator"}))
    GAN(build({"net": "mlp-generator"}).eval(), d, 2).save(tmp_path)
    assert isinstance(GAN.load(tmp_path).guide.network, adapt.Mean)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["one-hot", "noise kept", "minibatch deviation"])
def test_they_are_compiled(name):
    plain = made(CASES[name])
    compiled = plain.replace(compile=True)
    mover = Refine(layer="fc", steps=2, step_size=0.1)
    a, b = (sample(gan, mover, 16, width=16).x for gan in (plain, compiled))
    assert torch.allclose(a, b, atol=1e-5)


def test_adapters_do_not_change_what_they_are_around():
    network = seeded(foreign.Noisy)
    state = {n: (type(m), dict(vars(m))) for n, m in network.named_modules()}
    gan = GAN(adapt.FixedNoise(network), None, 4)
    sample(gan, Direct(), 16, width=16)
    adapt.NoiseFromLatent(network, 4)
    for n, m in network.named_modules():
        assert state[n][0] is type(m) and state[n][1].keys() == vars(m).keys()
        assert not m._forward_hooks and not m._forward_pre_hooks
    assert network.training


def test_a_network_that_is_none_is_refused():
    with pytest.raises(InputError, match="Mean: the network is a function"):
        adapt.Mean(lambda x: x)
    with pytest.raises(InputError, match="allowed is a size or a shape"):
        as_shape("a", "Reshape")


# -- on the command line ------------------------------------------------------------------------


def test_adapters_by_text():
    network = adapt.wrapped(Discriminator(), ["reshape=1x4x4", "item=0", "mean"])
    assert isinstance(network, adapt.Mean) and network.network.item == 0
    assert network.network.network.shape == (1, 4, 4)
    fixed = adapt.wrapped(foreign.Noisy(), ["with={noise_mode: const}"])
    assert fixed.arguments == {"noise_mode": "const"}
    assert adapt.wrapped(foreign.ByKeyword(), ["keyword=y"]).name == "y"
    assert adapt.wrapped(foreign.ByDict(), ["as-dict=label,input=z"]).input == "z"
    assert adapt.wrapped(Generator(), ["parts=[2, 2],how=list"]).how == "list"


@pytest.mark.parametrize(("text", "said"), [
    ("itme=0", "did you mean 'item'"), ("item", "missing 1 required positional argument: 'item'"),
    ("twice=1", "takes 2 positional arguments"), ("with=3", "allowed is a mapping"),
    ("with={a", "is not YAML"), ("truncated-w=0.5", "no module 'mapping'"),
    ("keyword=xx", "did you mean 'x'"),
])  # fmt: skip
def test_what_is_wrong_in_a_text_is_said(text, said):
    with pytest.raises(ConfigError, match=said):
        adapt.wrapped(Generator(), [text])


# -- what each computes -------------------------------------------------------------------------


def test_log_odds_are_those_of_the_softmax():
    logits = torch.randn(5, 4)
    share = logits.softmax(1)
    for fake in (0, 2, -1):
        found = adapt.LogOdds(nn.Identity(), fake)(logits)
        assert torch.allclose(found, torch.log((1 - share[:, fake]) / share[:, fake]), atol=1e-5)


def test_the_mean_of_maps():
    maps = [torch.randn(3, 1, 5), torch.randn(3, 1, 2, 2)]
    wanted = (maps[0].flatten(1).mean(1) + maps[1].flatten(1).mean(1)) / 2
    assert torch.allclose(adapt.Mean(nn.Identity())(maps), wanted)


def test_vectors_become_channels_of_maps():
    joined = adapt.Joined(nn.Identity())(torch.zeros(2, 3, 4, 4), torch.tensor([[1.0], [2.0]]))
    assert joined.shape == (2, 4, 4, 4) and joined[1, 3].unique().tolist() == [2.0]


def test_a_label_that_is_none_of_the_classes():
    with pytest.raises(InputError, match="got the label 3, allowed are 0 to 2"):
        adapt.OneHot(nn.Identity(), 3)(torch.zeros(1), torch.tensor([3]))
    gan = made(CASES["one-hot"])
    with pytest.raises(InputError, match="do not know the label 7"):
        gan.with_condition(torch.tensor([1, 7]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_run_in_their_own_precision_and_are_judged_in_double(dtype):
    g, d = seeded(Generator).to(dtype), seeded(Discriminator).to(dtype)
    gan = GAN(adapt.OwnType(g), d, 4)
    options = {"n": 100, "schedule": [(2, 1e-3)], "batch": 20, "width": 16, "progress": False}
    real = torch.randn(300, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    fitted = fit_ratio(gan, real, **options)
    out = sample(fitted, OBRS(expected=2, pilot=64), 16, width=16)
    assert out.x.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert out.log_ratio.dtype == torch.float64 and out.log_ratio.isfinite().all()
    assert {p.dtype for p in g.parameters()} == {dtype}
