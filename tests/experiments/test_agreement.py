"""Agreement of exact samplers, and the shares of the modes that a ratio gives."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest
import torch
from torch import nn

from experiments import STUDIES, agreement, modes
from gantandem import GAN
from gantandem.data.mixtures import Mixture
from gantandem.errors import ConfigError
from gantandem.ratios.ratio import Ratio
from gantandem.samplers import DOT, Direct, Rejection
from small_runs import committed

AGREEMENT = STUDIES["agreement"]


def with_its_own_ratio(work, samplers):
    """In the place of a fit: the shipped discriminator judges plain samples."""
    work.save(work.gan.with_ratio(work.gan.law(Direct()), Ratio(work.gan.guide)))


@pytest.mark.slow
def test_agreement_keeps_rows_of_its_own_ratio_only(tmp_path, monkeypatch):
    few = {"direct": Direct(), "rejection": Rejection()}
    monkeypatch.setattr(agreement, "samplers", lambda top: dict(few))
    monkeypatch.setattr(agreement, "fit_run", with_its_own_ratio)
    monkeypatch.setattr(agreement, "ratio_shares", partial(modes.ratio_shares, draws=1_000))
    monkeypatch.setattr(agreement, "js_deviation", partial(modes.js_deviation, repeats=10))

    def run():
        return AGREEMENT.result(tmp_path, n=64)

    first = run()
    assert set(first["samplers"]) == set(few) and first["max_ratio"] > 1
    few["dot"] = DOT(steps=1)
    second = run()
    assert list(second["samplers"]) == list(few)
    for name in ("direct", "rejection"):  # kept, to the last digit of its seconds
        assert second["samplers"][name]["seconds"] == first["samplers"][name]["seconds"]
    path = tmp_path / "agreement.json"
    path.write_text(json.dumps({**second, "ratio": "another"}))
    with pytest.raises(ConfigError, match="ratio 'another'"):
        run()


def test_agreement_counts_the_distance_of_exact_samplers_in_standard_errors():
    rows = {
        name: {"metrics": {"good": good, "js": js}}
        for name, good, js in (("rejection", 0.9, 0.02), ("mala", 0.87, 0.05), ("ula", 0.1, 0.6))
    }
    found = agreement.spread(rows, 1_000)
    assert found["good_range"] == pytest.approx(0.03)
    assert found["js_range"] == pytest.approx(0.03)
    error = (2 * 0.885 * 0.115 / 1_000) ** 0.5
    assert found["good_range_in_standard_errors"] == pytest.approx(0.03 / error)


def test_the_exact_samplers_agree_as_committed():
    result = committed("agreement")
    assert set(agreement.EXACT) <= set(result["samplers"])
    floor = result["floor"]["sliced_w1"]
    assert result["spread"]["good_range_in_standard_errors"] < 3
    assert result["spread"]["js_range"] < 4.5 * result["js_deviation"]  # the range of seven
    for name in agreement.EXACT:
        metrics = result["samplers"][name]["metrics"]
        assert metrics["sliced_w1"] < 3 * floor and 0.9 < metrics["within_mode_std"] < 1.1


def test_shares_of_a_ratio_and_what_chance_makes_of_them():
    """A generator with half of the mass in place, and a ratio that says so, give the truth."""
    means = torch.tensor([[-5.0, 0.0], [5.0, 0.0]])
    mixture = Mixture(means, torch.tensor([0.5, 0.5]), 0.1)

    class Two(nn.Module):
        def forward(self, z):  # a fifth of p_G on the left
            left = z[:, 2:] < -0.8416
            return torch.where(left, means[0], means[1]) + 0.1 * z[:, :2]

    class Log(nn.Module):
        def forward(self, x):
            return torch.where(x[:, 0] < 0, math.log(0.5 / 0.2), math.log(0.5 / 0.8))

    shares = modes.ratio_shares(GAN(Two(), Log(), 3), mixture, seed=0, draws=40_000)
    assert shares == pytest.approx([0.5, 0.5], abs=0.01)
    small, large = (modes.js_deviation([0.3, 0.7], mixture, n) for n in (100, 10_000))
    assert small / large == pytest.approx(10, rel=0.2)
