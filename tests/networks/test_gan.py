"""The seam to the user's networks: what fits, what is refused and how, and what stays untouched."""

from __future__ import annotations

import operator

import pytest
import torch
from torch import nn

from gantandem import (
    DRS,
    GAN,
    OBRS,
    Direct,
    Metropolis,
    Refine,
    Rejection,
    Uniform,
    prepare,
    sample,
)
from gantandem.errors import (
    CutError,
    InputError,
    NonFiniteError,
)
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.testing import toy_gan
from plain_gans import identity, nan_at, net, seeded
from targets import Formula

NAME = operator.attrgetter("name")


# -- scores -------------------------------------------------------------------------------------

SHAPES = {
    "(N,)": nn.Flatten(0),
    "(N, 1)": nn.Identity(),
    "(N, 1, 4, 4)": nn.Sequential(nn.Unflatten(1, (1, 1, 1)), nn.Upsample(scale_factor=4)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sampler", [Metropolis(proposals=3), Refine(layer="0", steps=3)], ids=NAME)
def test_scores_of_every_usual_shape(shape, sampler):
    plain = sample(GAN(net(2, 8, 2), net(2, 8, 1), 2), sampler, 32, width=16)
    other = sample(GAN(net(2, 8, 2), net(2, 8, 1, last=SHAPES[shape]), 2), sampler, 32, width=16)
    assert other.log_ratio.shape == (32,)
    assert torch.allclose(other.log_ratio, plain.log_ratio, atol=1e-5)
    assert torch.allclose(other.x, plain.x, atol=1e-5)


def test_a_map_of_scores_is_averaged():
    patches = Formula(lambda x: torch.stack([x, 2 * x], 2)[:, None, :, :].sum(2, keepdim=True))
    score = Score(patches)(torch.tensor([[1.0, 3.0], [0.0, 2.0]]))
    assert score.tolist() == [6.0, 3.0]


WRONG = {
    "one for all": (lambda x: x.sum(), r"scores \(\) for 8"),
    "half as many": (lambda x: x[::2, 0], r"scores \(4,\) for 8"),
    "two classes": (lambda x: x, r"one channel"),
}


@pytest.mark.parametrize("case", WRONG)
def test_scores_that_do_not_fit(case):
    function, words = WRONG[case]
    with pytest.raises(InputError, match=words) as caught:
        identity(function)
    assert "(N, 1)" in str(caught.value)


def test_probabilities_become_logits():
    logit = net(2, 8, 1)
    as_prob = GAN(net(2, 8, 2), nn.Sequential(logit, nn.Sigmoid()), 2, output="prob")
    plain = GAN(net(2, 8, 2), logit, 2)
    a, b = (sample(g, Metropolis(proposals=4), 64, width=16) for g in (as_prob, plain))
    assert torch.allclose(a.log_ratio, b.log_ratio, atol=1e-4)


def test_certain_probabilities_stay_finite():
    score = Score(Formula(lambda x: (x[:, 0] > 0).double(), torch.float32), "prob")
    values = score(torch.tensor([[-1.0], [1.0]]))
    assert values.isfinite().all() and values[1] == -values[0] > 10


@pytest.mark.parametrize("value", [-0.2, 1.7])
def test_probabilities_outside_their_range_are_refused(value):
    with pytest.raises(InputError, match=r"prob.*\[0, 1\].*logit"):
        identity(lambda x: value + 0 * x[:, 0], output="prob")


def test_unknown_kind_of_output():
    with pytest.raises(
        InputError, match="'logit' .*before a sigmoid.*, 'prob' .after a sigmoid. and 'critic'"
    ):
        identity(lambda x: x[:, 0], output="energy")  # type: ignore


# -- networks that do not fit -------------------------------------------------------------------


def test_generator_that_does_not_take_the_latent():
    with pytest.raises(InputError, match=r"generator Sequential.*\(8, 3\)"):
        GAN(net(2, 8, 2), net(2, 8, 1), 3)


def test_discriminator_that_does_not_take_the_samples():
    with pytest.raises(InputError, match=r"discriminator Sequential.*generator's output.*\(8, 2\)"):
        GAN(net(2, 8, 2), net(5, 8, 1), 2)


def test_generator_with_another_number_of_rows():
    with pytest.raises(InputError, match=r"got \(16, 1\) for 8 latents"):
        GAN(Formula(lambda z: z.reshape(-1, 1)), net(1, 1), 2)


@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_batch_statistics_are_refused_by_name(part):
    mixes = seeded(
        lambda: nn.Sequential(
            nn.Linear(2, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)
        )
    )
    score = seeded(lambda: nn.Sequential(mixes, nn.Linear(2, 1)))
    with pytest.raises(InputError, match=rf"{part}.*'(0\.)?1' \(BatchNorm1d\)"):
        GAN(mixes, net(2, 1), 2) if part == "generator" else GAN(net(2, 2), score, 2)


def test_unknown_layer():
    with pytest.raises(CutError, match="allowed: latent, data"):
        sample(toy_gan(), Refine(layer="main.4"), 8)


@pytest.mark.parametrize("sampler", [Refine(), OBRS(proposal=Refine())], ids=NAME)
def test_refining_needs_a_discriminator(sampler):
    with pytest.raises(InputError, match="no discriminator to follow.*fit_ratio"):
        sample(GAN(net(2, 8, 2), None, 2), sampler, 4)


def test_without_a_discriminator_one_still_samples():
    out = sample(GAN(net(2, 8, 2), None, 2), Direct(), 40, width=16)
    assert out.x.shape == (40, 2) and out.log_ratio.isnan().all()


# -- bad calls ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -3, 2.5, True, "10", None])
def test_numbers_of_samples(n):
    with pytest.raises(InputError, match="n: got"):
        sample(toy_gan(), Direct(), n)


@pytest.mark.parametrize("width", [0, -16, 12, 100, 1000])
def test_widths(width):
    with pytest.raises(InputError, match="a multiple of 16"):
        sample(toy_gan(), Direct(), 10, width=width)


@pytest.mark.parametrize("start", [-1, 2**32, 0.5])
def test_starts(start):
    with pytest.raises(InputError, match="start: got"):
        sample(toy_gan(), Direct(), 10, start=start)


@pytest.mark.parametrize("thing", [7, None, Metropolis, Direct])
def test_numbers_and_classes_are_no_samplers(thing):
    with pytest.raises(InputError, match="sampler: got.*from_config"):
        sample(toy_gan(), thing, 10)


@pytest.mark.parametrize(
    "sampler",
    [
        Metropolis(proposals=3),
        Refine(steps=3, step_size=0.1, stop="last"),
    ],
    ids=NAME,
)
def test_a_score_that_is_nan_names_sampler_step_and_ids(sampler):
    gan = identity(nan_at(0.0))
    with pytest.raises(NonFiniteError) as caught:
        sample(gan, sampler, 64, width=16)
    message = str(caught.value)
    assert message.startswith(f"{type(sampler).__name__}, step 0:")
    z = sample(gan, Direct(), 64, width=16).z[:, 0]
    first = int((z > 0).nonzero()[0])
    assert f"ids {first}," in message


@pytest.mark.parametrize(
    "sampler",
    [
        OBRS(pilot=200),
        OBRS(log_scale=0.0),
        Rejection(log_max=0.0),
        DRS(log_max=0.0, gamma=0.0),
    ],
    ids=NAME,
)
def test_a_pilot_that_meets_nan_says_so(sampler):
    with pytest.raises(NonFiniteError, match="Direct, step 0"):
        sample(identity(nan_at(0.5)), sampler, 16, width=16)


def test_a_guide_that_is_nan_is_not_hidden_by_a_sound_ratio():
    gan = identity(nan_at(0.0))
    mover = Refine(steps=3, step_size=0.1)
    law = gan.law(prepare(gan, mover)[0])
    gan = gan.with_ratio(law, Ratio(Score(Formula(lambda x: x[:, 1]))))
    with pytest.raises(NonFiniteError, match="step 0"):
        sample(gan, Metropolis(proposal=mover, proposals=2), 64, width=16)


def test_a_generator_that_is_nan():
    gan = GAN(Formula(lambda z: torch.where(z > 0.9, torch.nan, z)), None, Uniform(1))
    with pytest.raises(NonFiniteError, match="Direct, step 0"):
        sample(gan, Direct(), 64, width=16)


class Cast(nn.Module):
    """Its last layers compute in half precision, whatever its weights are."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, z):
        with torch.autocast("cpu", torch.bfloat16):
            return self.last(self.first(z).tanh())


@pytest.mark.parametrize("mover", [
    Direct(), Refine(layer="data", steps=2, step_size=0.1), Refine(layer="last", steps=2),
    Refine(layer="latent", steps=2),
])  # fmt: skip
def test_samples_of_half_precision_become_single(mover):
    gan = GAN(Cast(), nn.Linear(2, 1), 4)
    assert gan.decode(torch.zeros(3, 4)).dtype == torch.float32
    assert gan.generator(torch.zeros(3, 4)).dtype == torch.bfloat16
    assert sample(gan, mover, 16, width=16).x.dtype == torch.float32
