"""A guide that is sure of every generated sample moves none of them, and that is said."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

import gantandem as gt


class Sure(nn.Module):
    """Its logit is that of a linear layer, plus an offset."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.layer, self.offset = nn.Linear(2, 1), offset

    def forward(self, x, label=None):
        return self.layer(x) + self.offset


REFINE = gt.Refine(steps=5, step_size=0.1, stop="last")
JS, LOGD, KL = (gt.DGFlow(steps=3, divergence=d, noise=0.0) for d in ("js", "logd", "kl"))


def said_by(gan: gt.GAN, sampler, caplog) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        gt.sample(gan, sampler, 64, progress=False)
        gt.sample(gan, sampler, 64, progress=False)
    return [message for message in caplog.messages if "do not move" in message]


@pytest.mark.parametrize("offset", [25.0, 55.0, 1e4])
@pytest.mark.parametrize("sampler", [REFINE, LOGD, gt.Refine(steps=5, update="sgd")])
def test_a_guide_that_takes_all_for_real_is_said_once(offset, sampler, caplog):
    gan = gt.GAN(nn.Identity(), Sure(offset), 2)
    (said,) = said_by(gan, sampler, caplog)
    assert "certain that they are real" in said and "Sure" in said and "as_guide=True" in said
    x = gt.sample(gan, sampler, 64, progress=False)
    assert float((x.x - x.z).abs().max()) < 0.01  # it is true


@pytest.mark.parametrize("output", ["logit", "prob"])
def test_the_kind_of_output_does_not_matter(output, caplog):
    network = Sure(60.0) if output == "logit" else nn.Sequential(Sure(60.0), nn.Sigmoid())
    assert said_by(gt.GAN(nn.Identity(), network, 2, output=output), REFINE, caplog)


def test_the_flow_that_weighs_by_the_probability_is_stuck_at_the_other_end(caplog):
    (said,) = said_by(gt.GAN(nn.Identity(), Sure(-55.0), 2), JS, caplog)
    assert "certain that they are fake" in said
    assert not said_by(gt.GAN(nn.Identity(), Sure(55.0), 2), JS, caplog)


@pytest.mark.parametrize(
    ("offset", "output", "sampler"),
    [
        (0.0, "logit", REFINE),
        (8.0, "logit", REFINE),
        (-55.0, "logit", REFINE),
        (-1e4, "logit", LOGD),
        (55.0, "critic", REFINE),
        (55.0, "logit", KL),
        (55.0, "logit", gt.Direct()),
        (55.0, "logit", gt.ULA(steps=2)),
    ],
)
def test_nothing_is_said_where_samples_move(offset, output, sampler, caplog):
    gan = gt.GAN(nn.Identity(), Sure(offset), 2, output=output)
    assert said_by(gan, sampler, caplog) == []


def test_samples_of_a_condition_are_looked_at_under_it(caplog):
    class ByLabel(Sure):
        def forward(self, x, label=None):
            return self.layer(x) + 55.0 * (label == 1)[:, None]

    class Copy(nn.Identity):
        def forward(self, z, label=None):
            return z

    gan = gt.GAN(Copy(), ByLabel(0.0), 2, condition=torch.tensor([0, 0, 0, 1]))
    assert said_by(gan, REFINE, caplog) == []
    assert said_by(gan.with_condition(torch.tensor([1])), REFINE, caplog)


class Flat(nn.Module):
    """Its layer ``flat`` forgets the latent."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.last = nn.Linear(2, 3), nn.Linear(5, 2)
        nn.init.zeros_(self.flat.weight)

    def forward(self, z):
        return self.last(torch.cat([z, self.flat(z)], 1))


@pytest.mark.parametrize("more", [{}, {"defensive": 0.5, "step_size": 0.1}])
def test_a_layer_that_never_varies_is_named(more):
    gan = gt.GAN(Flat(), nn.Linear(2, 1), 2)
    with pytest.raises(
        gt.GANtandemError, match="at 'flat' the activation is the same for every sample .*step_size"
    ):
        gt.sample(gan, gt.Refine(layer="flat", **more), 64, progress=False)
    gt.sample(gan, gt.Refine(layer="flat", step_size=0.1), 64, progress=False)


def test_a_generator_that_ignores_its_latents_is_named_too():
    class Same(nn.Module):
        def forward(self, z):
            return torch.ones_like(z)

    with pytest.raises(
        gt.GANtandemError, match="at 'data' the activation is the same for every sample"
    ):
        gt.sample(gt.GAN(Same(), nn.Linear(2, 1), 2), gt.Refine(), 64, progress=False)


class Formula(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x[:, 0])


ABOVE = {
    "softmax": lambda v: torch.stack([v, 0 * v], 1).softmax(1)[:, 0],
    "normal": lambda v: torch.special.ndtr(v),
    "clamped": lambda v: (0.5 + v / 20).clamp(0.1, 1),
    "constant off": lambda v: v + 9,
    "one for all": lambda v: 0 * v + 0.2,
}


@pytest.mark.parametrize("kind", ABOVE)
@pytest.mark.parametrize("selector", [gt.OBRS(expected=2), gt.Rejection(), gt.DRS()])
def test_a_ratio_above_one_everywhere_is_said_by_its_pilot(kind, selector, caplog):
    gan = gt.GAN(nn.Identity(), Formula(ABOVE[kind]), 2)
    gt.sample(gan, selector, 64, progress=False)
    (said,) = [message for message in caplog.messages if "above 1 for every" in message]
    assert "output='prob'" in said and "gt.calibrate" in said
    caplog.clear()
    gt.sample(gan, selector, 64, seed=1, progress=False)
    assert not [message for message in caplog.messages if "above 1 for every" in message]


@pytest.mark.parametrize(
    "function",
    [lambda v: v - 0.5, lambda v: 0 * v, lambda v: -1 - v.abs(), lambda v: torch.log(v.abs())],
)
def test_a_ratio_that_is_not_above_one_everywhere_is_let_be(function, caplog):
    gan = gt.GAN(nn.Identity(), Formula(function), 2)
    gt.sample(gan, gt.OBRS(expected=2), 64, progress=False)
    assert not [message for message in caplog.messages if "above 1 for every" in message]
