"""A guide of probabilities in use: shaped, refined along, saved, compiled."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.adapt.sigmoid import BeforeSigmoid
from gantandem.errors import InputError
from gantandem.networks.score import Score
from sigmoid_ends import ENDS, Functional, Nested, body


class Then(nn.Module):
    """Probabilities by a function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.main, self.function = nn.Sequential(*body()), function

    def forward(self, x):
        return self.function(self.main(x))


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
    with pytest.raises(gt.GANtandemError, match="hinge, Wasserstein or least squares.*fit_ratio"):
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
