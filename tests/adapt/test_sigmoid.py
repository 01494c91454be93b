"""Probabilities: read as the logit before the last sigmoid, and never taken for logits."""

from __future__ import annotations

import logging
import shutil

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import gantandem as gt
from gantandem.adapt.sigmoid import BeforeSigmoid
from gantandem.errors import InputError
from gantandem.networks.score import Score

SCALE = 400.0
"""Logits of +-100 and more: float32 probabilities are then 0 and 1."""


def body(last: int = 1) -> list[nn.Module]:
    torch.manual_seed(0)
    layers = [nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, last)]
    layers[-1].weight.data *= SCALE
    return layers


class Then(nn.Module):
    """Probabilities by a function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.main, self.function = nn.Sequential(*body()), function

    def forward(self, x):
        return self.function(self.main(x))


class Nested(nn.Module):
    """As PyTorch's DCGAN example: a ``main`` that ends in a sigmoid, and views of it."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(*body(), nn.Sigmoid())

    def forward(self, x):
        if x.is_cuda and len(x) < 0:  # as the example: no tracer gets past this
            raise NotImplementedError
        return self.main(x).view(-1, 1).squeeze(1)


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.unused = Nested(), nn.Sigmoid()

    def forward(self, x):
        return self.inner(x)[:, None]


class Functional(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.layers, self.function = nn.Sequential(*body()), function

    def forward(self, x):
        return self.function(self.layers(x))


class SharedModule(nn.Module):
    """One ``nn.Sigmoid`` both inside and at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Sigmoid()
        self.first, _, self.last = body()

    def forward(self, x):
        return self.act(self.last(self.act(self.first(x))))


class InAList(nn.Module):
    """Its parts are called from a plain list, which no view can change."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(*body(), nn.Sigmoid())
        self.parts = list(self.main)

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Patches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(*body(4), nn.Unflatten(1, (1, 2, 2)), nn.Sigmoid())

    def forward(self, x):
        return self.main(x)


ENDS = {
    "sequential": lambda: nn.Sequential(*body(), nn.Sigmoid()),
    "nested sequential": lambda: nn.Sequential(nn.Sequential(*body()), nn.Sequential(nn.Sigmoid())),
    "flattened": lambda: nn.Sequential(*body(), nn.Sigmoid(), nn.Flatten(0)),
    "main": Nested,
    "deep": Deep,
    "torch.sigmoid": lambda: Functional(torch.sigmoid),
    "method": lambda: Functional(lambda h: h.sigmoid().squeeze(1)),
    "functional": lambda: Functional(F.sigmoid),
    "in place": lambda: Functional(lambda h: h.sigmoid_()),
    "expit": lambda: Functional(torch.special.expit),
    "shared": SharedModule,
    "plain list": InAList,
    "patches": Patches,
    "hidden too": lambda: nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), *body(), nn.Sigmoid()),
    "parallel": lambda: nn.DataParallel(Nested()),
    "traced": lambda: torch.fx.symbolic_trace(nn.Sequential(*body(), nn.Sigmoid())),
}
OTHERS = {
    "clamped": lambda: Functional(lambda h: (h / SCALE).clamp(0, 1)),
    "softmax": lambda: Functional(lambda h: torch.cat([h, 0 * h], 1).softmax(1)[:, 0]),
    "mean of sigmoids": lambda: Functional(lambda h: torch.cat([h, -h / 9], 1).sigmoid().mean(1)),
    "one minus": lambda: Functional(lambda h: 1 - h.sigmoid()),
    "normal": lambda: Functional(torch.special.ndtr),
}


def logits(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the sigmoids of these networks are given, (N, patches), from float64 probabilities."""
    with torch.no_grad():
        wide = network.double()(x.double())
    network.float()
    return torch.logit(wide).view(len(x), -1)


@pytest.mark.parametrize("kind", ENDS)
def test_the_logit_is_that_before_the_sigmoid_and_the_network_stays(kind):
    network = ENDS[kind]().eval()
    x = torch.randn(64, 2)
    want = logits(network, x)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    parts = [(name, id(module)) for name, module in network.named_modules()]
    score = Score(network, "prob")
    with torch.no_grad():
        got = score(x)
    # Where float64 probabilities hold the logit, and far outside of what float32 ones do.
    sure, want = want.abs().amax(1) < 30, want.mean(1)
    assert bool((want.abs() > 18).any())
    torch.testing.assert_close(got[sure].double(), want[sure], rtol=1e-3, atol=1e-3)
    assert float(got.abs().max()) > 17 and score._before.found
    assert parts == [(name, id(module)) for name, module in network.named_modules()]
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(score(leaf).sum(), leaf)
    assert bool((slope != 0).any(1).all()), "a saturated sample has no gradient"


@pytest.mark.slow
def test_what_no_one_can_look_into_is_clipped_and_what_is_compiled_is_read_without():
    plain = nn.Sequential(*body(), nn.Sigmoid()).eval()
    x = torch.randn(64, 2)
    with torch.no_grad():
        scripted = gt.GAN(nn.Identity(), torch.jit.script(plain), 2, output="prob").guide
        want = torch.logit(plain(x), eps=torch.finfo(torch.float32).eps).flatten()
        torch.testing.assert_close(scripted(x), want)
        compiled = Score(torch.compile(plain), "prob")
        assert torch.equal(compiled(x), plain[:-1](x).flatten())


@pytest.mark.parametrize("kind", OTHERS)
def test_other_probabilities_are_clipped(kind):
    network = OTHERS[kind]().eval()
    x = torch.randn(64, 2)
    score = Score(network, "prob")
    with torch.no_grad():
        got, prob = score(x), network(x).flatten()
    assert not score._before.found
    eps = torch.finfo(torch.float32).eps
    assert torch.equal(got, torch.logit(prob, eps=eps)) and bool(got.isfinite().all())


def test_the_view_follows_what_is_done_to_the_network():
    network = Nested().eval()
    score, x = Score(network, "prob"), torch.randn(8, 2)
    with torch.no_grad():
        first = score(x)
        network.main[2].weight *= 2
        network.main[2].bias *= 2
        torch.testing.assert_close(score(x), 2 * first)
        network.main[0] = nn.Linear(2, 8)  # another part
        want = network.main[:-1](x).flatten()
        torch.testing.assert_close(score(x), want)


def test_exact_zeros_and_ones_in_any_precision():
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        score = Score(Functional(lambda h, dtype=dtype: (h > 0).to(dtype)).eval(), "prob")
        with torch.no_grad():
            got = score(torch.randn(64, 2))
        assert bool(got.isfinite().all()) and got.min() < 0 < got.max()
        assert got.dtype == torch.promote_types(dtype, torch.float32)


@pytest.mark.parametrize("kind", ENDS)
def test_a_sigmoid_under_logit_is_said_when_the_gan_is_made(kind, caplog):
    with caplog.at_level(logging.WARNING):
        gt.GAN(nn.Identity(), ENDS[kind](), 2)
    (said,) = caplog.messages
    assert "ends in a sigmoid" in said and "output='prob'" in said
    caplog.clear()
    gt.GAN(nn.Identity(), ENDS[kind](), 2, output="prob")
    gt.GAN(nn.Identity(), ENDS[kind](), 2, output="lsgan")
    gt.GAN(nn.Identity(), nn.Sequential(nn.Sigmoid(), *body()), 2)
    assert not caplog.messages


@pytest.mark.parametrize("kind", ["main", "torch.sigmoid", "shared", "parallel"])
@pytest.mark.parametrize("recipe", ["pool", "paper"])
def test_shape_trains_the_logit_and_keeps_the_network_and_its_output(kind, recipe):
    torch.manual_seed(0)
    real = torch.randn(400, 2) + 1
    network = ENDS[kind]()
    gan = gt.GAN(nn.Identity(), network, 2, output="prob")
    shaped = gt.shape(
        gan, real, refine=gt.Refine(steps=2, step_size=0.05), updates=8, batch=64,
        check_every=8, check_samples=64, recipe=recipe, distance=lambda x, y: -len(shaped_seen(x)),
        progress=False,
    )  # fmt: skip
    inner = getattr(network, "module", network)  # copies are made without a wrapper
    assert shaped.guide.output == "prob" and type(shaped.guide.network) is type(inner)
    x = torch.randn(32, 2)
    with shaped.networks.frozen():
        prob, logit = shaped.guide.network(x).flatten(), shaped.guide(x)
    torch.testing.assert_close(prob, logit.sigmoid())
    moved = [
        not torch.equal(a, b)
        for a, b in zip(network.parameters(), shaped.guide.network.parameters(), strict=True)
    ]
    assert all(moved)


_SEEN: list[torch.Tensor] = []


def shaped_seen(x: torch.Tensor) -> list[torch.Tensor]:
    """Makes every later comparison nearer, so that the last guide is kept."""
    _SEEN.append(x)
    return _SEEN


def test_a_shaped_guide_of_probabilities_is_the_same_after_save_and_load(tmp_path):
    torch.manual_seed(0)
    gan = gt.GAN(nn.Linear(2, 2), Nested(), 2, output="prob")
    here = f"{__name__}:Nested"
    specs = {
        "generator": {"net": "torch.nn:Linear", "in_features": 2, "out_features": 2},
        "guide": {"net": here},
        "discriminator": {"net": here},
    }
    gan = gan.replace(specs=specs)
    real = torch.randn(400, 2) + 1
    shaped = gt.shape(
        gan, real, refine=gt.Refine(steps=2, step_size=0.05), updates=8, batch=64,
        check_every=8, check_samples=64, distance=lambda x, y: -len(shaped_seen(x)), progress=False,
    )  # fmt: skip
    gt.save_run(shaped, tmp_path)
    again, _ = gt.load_run(tmp_path, trust=True)
    x = torch.randn(32, 2)
    with shaped.networks.frozen(), again.networks.frozen():
        assert torch.equal(again.guide(x), shaped.guide(x))
    mover = gt.Refine(steps=3, step_size=0.1)
    samples = [gt.sample(g, mover, 64, progress=False).x for g in (shaped, again)]
    assert torch.equal(*samples)


def test_refinement_moves_what_a_probability_of_one_would_leave():
    torch.manual_seed(0)
    network = nn.Sequential(*body(), nn.Sigmoid())
    move = gt.Refine(steps=5, step_size=0.1, stop="last")
    as_prob = gt.GAN(nn.Identity(), network, 2, output="prob")
    as_logit = gt.GAN(nn.Identity(), network[:-1], 2)
    samples = [gt.sample(gan, move, 64, progress=False).x for gan in (as_prob, as_logit)]
    torch.testing.assert_close(*samples)


@pytest.mark.parametrize("name", ["critic", "hinge", "wgan", "lsgan"])
def test_other_losses_are_critics(name):
    gan = gt.GAN(nn.Identity(), nn.Linear(2, 1), 2, output=name)
    assert gan.guide.output == "critic" and not gan.ratios
    with pytest.raises(gt.GANtandemError, match="hinge, Wasserstein, least squares.*fit_ratio"):
        gt.sample(gan, gt.OBRS(), 8, progress=False)


@pytest.mark.parametrize("output", ["sigmoid", "Logit", "", None, 3, ["logit"], {"logit": 1}])
def test_other_kinds_of_output_are_refused(output):
    with pytest.raises(
        InputError, match="'logit' .*before a sigmoid.*, 'prob' .after a sigmoid. and"
    ):
        Score(nn.Linear(2, 1), output)


def test_a_network_in_train_mode_is_looked_at_later():
    network = nn.Sequential(nn.Dropout(), *body(), nn.Sigmoid())
    before, x = BeforeSigmoid(network), torch.randn(8, 2)
    before(x)
    assert not before.found
    network.eval()
    with torch.no_grad():
        assert torch.equal(before(x), network[:-1](x)) and before.found


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_guide_of_probabilities_gives_the_same():
    network = Nested()
    eager = gt.GAN(nn.Identity(), network, 2, output="prob")
    compiled = gt.GAN(nn.Identity(), network, 2, output="prob", compile=True)
    h = torch.randn(16, 2)
    for a, b in zip(
        eager.networks.guidance("data", h, (), None),
        compiled.networks.guidance("data", h, (), None),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("output", ["logit", "prob", "critic"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8, torch.complex64])
def test_scores_that_are_no_floating_point_numbers_are_refused(output, dtype):
    network = Functional(lambda h: (h > 0).to(dtype))
    with pytest.raises(InputError, match=f"scores of {dtype}"):
        gt.GAN(nn.Identity(), network, 2, output=output)


@pytest.mark.parametrize("network", [
    nn.Sequential(*body(), nn.Sigmoid()), Nested(), Then(lambda x: torch.sigmoid(x)),
])  # fmt: skip
def test_called_directly_in_train_mode_nothing_is_clipped(network):
    before = BeforeSigmoid(network)
    assert before.training
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    logit = before(x)
    assert float(logit.detach().abs().max()) > 20
    assert torch.equal(logit, BeforeSigmoid(network.eval())(x))
    logit.sum().backward()
    assert all(bool((p.grad != 0).any()) for p in network.parameters() if p.dim() > 1)
