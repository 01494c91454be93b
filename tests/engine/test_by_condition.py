"""Selectors find their constants for each condition, and no class pays for another."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from gantandem import (
    DRS,
    GAN,
    OBRS,
    Direct,
    Refine,
    Rejection,
    Uniform,
    from_config,
    prepare,
    sample,
)
from gantandem.engine.preparing import PER_CONDITION
from gantandem.errors import InputError, NonFiniteError
from gantandem.ratios.ratio import Ratio
from gantandem.settings import to_config

SLOPE, LEVEL = torch.tensor([0.0, 1.0, 3.0, 6.0]), torch.tensor([-2000.0, 0.0, 5.0, 300.0])
"""Log ratios by label: a slope over [0, 1] that the law has, and a level that it must not have."""


class Same(nn.Module):
    def forward(self, z, cond):
        return z


class Sloped(nn.Module):
    """Log ratio = slope x + level, of labels or of one-hot rows."""

    def forward(self, x, cond):
        label = cond if cond.dim() == 1 else cond.argmax(1)
        return SLOPE[label] * x[:, 0] + LEVEL[label]


LABELS = torch.arange(4)


def boxes(condition=LABELS):
    return GAN(Same(), Sloped(), Uniform(1, 0.0, 1.0), condition=condition)


def distance(x, slope):
    """The Kolmogorov-Smirnov p-value against a density proportional to exp(slope x)."""
    if slope == 0:
        return stats.kstest(x, "uniform").pvalue
    return stats.kstest(x, lambda v: np.expm1(slope * v) / np.expm1(slope)).pvalue


def by_label(out, label):
    rows = out.condition == label if out.condition.dim() == 1 else out.condition[:, label] == 1
    return out.x[rows, 0].double().numpy(), out.attempts[rows].double()


def top(slope):
    """Max r of a label, from below: the pilot's largest is near it."""
    return slope * math.exp(slope) / math.expm1(slope) if slope else 1.0


def one_hot(ids):
    return nn.functional.one_hot(ids % 4, 4).float()


CONDITIONS = {
    "labels": LABELS,
    "sorted labels": LABELS.repeat_interleave(5000),
    "rare labels": torch.cat([torch.zeros(4000).long(), LABELS]),
    "a function": lambda ids: (ids * 7) % 4,
    "one-hot rows": one_hot(LABELS),
    "one-hot function": one_hot,
}


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("make", [Rejection, lambda: OBRS(expected=100)], ids=["rejection", "obrs"])
def test_every_class_is_exact_at_its_own_cost(make, name):
    gan = boxes(CONDITIONS[name]).with_condition(CONDITIONS[name])
    frozen, _ = prepare(gan, make())
    shown = LABELS if "one-hot" not in name else one_hot(LABELS)
    out = sample(gan.with_condition(shown), frozen, 4000)
    assert out.accepted.all()
    for label in LABELS.tolist():
        x, attempts = by_label(out, label)
        slope = float(SLOPE[label])
        assert distance(x, slope) > 1e-4
        assert float(attempts.mean()) == pytest.approx(top(slope), rel=0.15)


@pytest.mark.parametrize("expected", [1.5, 2.5])
def test_obrs_spends_at_most_k_on_every_class(expected):
    out = sample(boxes(), OBRS(expected=expected), 8000)
    for label in LABELS.tolist():
        _, attempts = by_label(out, label)
        spent = min(expected, top(float(SLOPE[label])))
        assert float(attempts.mean()) == pytest.approx(spent, rel=0.08)


def test_drs_shifts_every_class_by_its_own_percentile():
    out = sample(boxes(), DRS(percentile=80), 4000)
    alone = [
        sample(boxes(LABELS[k : k + 1]), DRS(percentile=80, pilot=2500), 1000) for k in range(4)
    ]
    for label in LABELS.tolist():
        x, attempts = by_label(out, label)
        expected = float(alone[label].attempts.double().mean())
        assert float(attempts.mean()) == pytest.approx(expected, rel=0.1)
        assert stats.ks_2samp(x, alone[label].x[:, 0].double().numpy()).pvalue > 1e-4


def test_the_constants_of_a_class_do_not_depend_on_which_others_are_asked_for():
    """Up to its pilot: how a label's neighbours are numbered draws other proposals."""
    whole = prepare(boxes(), OBRS(expected=2))[0].log_scale
    for label, scale in whole:
        alone = prepare(boxes(LABELS[label : label + 1]), OBRS(expected=2))[0].log_scale
        assert alone[0][1] == pytest.approx(scale, abs=0.15)


def test_a_pilot_has_enough_of_every_class():
    many = torch.arange(50) % 4 + 4 * (torch.arange(50) // 4)

    class Any(nn.Module):
        def forward(self, x, cond):
            return x[:, 0] * (cond % 3)

    gan = GAN(Same(), Any(), Uniform(1, 0.0, 1.0), condition=many)
    frozen, spent = prepare(gan, OBRS(expected=2, pilot=1000))
    assert spent == PER_CONDITION * 50
    assert [label for label, _ in frozen.log_scale] == sorted(many.tolist())
    assert prepare(gan, OBRS(expected=2, pilot=60))[1] == 60 * 50


@pytest.mark.parametrize("make", [Rejection, DRS, OBRS])
@pytest.mark.parametrize("shape", [LABELS, one_hot(LABELS)], ids=["labels", "rows"])
def test_constants_survive_json_and_draw_the_same_samples(make, shape):
    gan = boxes(shape)
    out = sample(gan, make(pilot=400), 64)
    config = json.loads(json.dumps(out.manifest["sampler"]))
    again = from_config(config)
    assert again == from_config(to_config(again))
    assert torch.equal(sample(gan, again, 64).x, out.x)
    assert sample(gan, again, 64).manifest["setup_passes"] == 0
    hash(again)  # what is frozen can be a key


def test_a_number_given_for_all_stays_one():
    wanted = OBRS(log_scale=-1.0)
    gan = boxes()
    gan = gan.with_condition(gan.condition[1:2])  # under the first nothing is accepted
    assert prepare(gan, wanted)[0].log_scale == -1.0


def test_conditions_that_do_not_repeat_share_one_constant_and_say_so(caplog):
    class Near(nn.Module):
        def forward(self, x, cond):
            return x[:, 0] * cond[:, 0]

    rows = torch.rand(3000, 2, generator=torch.Generator().manual_seed(0))
    gan = GAN(Same(), Near(), Uniform(1, 0.0, 1.0), condition=rows)
    frozen, spent = prepare(gan, OBRS(expected=2, pilot=4000))
    assert isinstance(frozen.log_scale, float) and spent == 4000
    assert "All conditions share one constant" in caplog.text


def test_a_condition_without_a_constant_is_named():
    frozen, _ = prepare(boxes(LABELS[:2]), OBRS(expected=2, pilot=200))
    with pytest.raises(InputError, match="condition 2: .*prepared without this condition"):
        sample(boxes(LABELS), frozen, 64)
    plain = GAN(nn.Identity(), nn.Linear(1, 1), Uniform(1))
    with pytest.raises(InputError, match="no condition"):
        sample(plain, frozen, 64)


def test_a_class_that_nothing_is_accepted_of_is_named():
    class Gone(nn.Module):
        def forward(self, x, cond):
            return torch.where(cond == 2, -torch.inf, x[:, 0])

    gan = GAN(Same(), Gone(), Uniform(1, 0.0, 1.0), condition=LABELS)
    with pytest.raises(NonFiniteError, match="under condition 2"):
        prepare(gan, Rejection(pilot=100))


def test_a_heavy_tail_is_laid_to_its_class(caplog):
    class Heavy(nn.Module):
        def forward(self, x, cond):
            return torch.where(cond == 3, 900 * x[:, 0], x[:, 0])

    gan = GAN(Same(), Heavy(), Uniform(1, 0.0, 1.0), condition=LABELS)
    prepare(gan, OBRS(pilot=2000))
    assert "obrs: the tail of the ratios is heavy" in caplog.text
    assert "under condition 3" in caplog.text


@pytest.mark.parametrize("mover", [Direct(), Refine(layer="data", steps=1, step_size=0.01)])
def test_a_heavy_tail_is_told_once_of_a_ratio(mover, caplog):
    network = nn.Sequential(nn.Linear(1, 1))
    nn.init.constant_(network[0].weight, 900)
    gan = GAN(nn.Identity(), network, Uniform(1, 0.0, 1.0))
    gan = gan.with_ratio(gan.law(prepare(gan, mover).sampler), Ratio(gan.guide))
    for expected, pilot in ((2, 2000), (4, 2000), (8, 3000)):
        prepare(gan, OBRS(proposal=mover, expected=expected, pilot=pilot))
    said = [text for text in caplog.messages if "tail of the ratios is heavy" in text]
    assert len(said) == 1
    assert said[0].startswith("obrs: " if mover.name == "direct" else "obrs of refine: ")


@pytest.mark.parametrize(
    "value",
    ["1", True, math.nan, math.inf, -math.inf, [1.0], [[0, 1.0, 2.0]], [[0, math.nan]], [[0, "1"]]],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda v: Rejection(log_max=v),
        lambda v: DRS(log_max=v),
        lambda v: DRS(gamma=v),
        lambda v: OBRS(log_scale=v),
    ],
)
def test_constants_of_a_wrong_kind_are_refused(make, value):
    with pytest.raises(InputError, match="allowed"):
        make(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, "4", True, None, [2], -1.0, 0.5])
def test_obrs_refuses_a_budget_of_a_wrong_kind(value):
    with pytest.raises(InputError, match="obrs expected: got .* a number of 1 or more"):
        OBRS(expected=value)


@pytest.mark.parametrize(
    "settings",
    [{"percentile": v} for v in (math.nan, math.inf, 100, 100.0, 101, -1, "95", True)]
    + [{"eps": v} for v in (math.nan, math.inf, 0, -1.0, "1")],
)
def test_drs_refuses_settings_of_a_wrong_kind(settings):
    with pytest.raises(InputError, match="drs"):
        DRS(**settings)


def test_the_mover_of_a_selector_keeps_its_conditions():
    assert prepare(boxes(), Direct())[0] == Direct()
