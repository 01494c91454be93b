"""The study of WL-GAN against MALA."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from experiments import STUDIES, wlgan
from gantandem.ratios.ratio import Ratio
from gantandem.samplers import Direct, WangLandau
from small_runs import committed

WLGAN = STUDIES["wlgan"]
RESULT = committed("wlgan")


@pytest.mark.slow
def test_the_study_runs_every_chain_and_counts_its_energies(tmp_path, monkeypatch):
    """The shipped discriminator judges, in the place of a fitted ratio."""
    quick = {"steps": 8, "bins": 4, "pilots": 64, "warm_up": 4, "t0": 4}
    monkeypatch.setattr(wlgan, "TASKS", ("imbalanced-8",))
    monkeypatch.setattr(
        wlgan,
        "fit_ratio",
        lambda gan, *_, **__: gan.with_ratio(gan.law(Direct()), Ratio(gan.guide)),
    )
    monkeypatch.setattr(wlgan, "WangLandau", partial(WangLandau, **quick))
    monkeypatch.setattr(wlgan, "ratio_shares", partial(wlgan.ratio_shares, draws=1_000))
    found = WLGAN.result(tmp_path, n=32)["tasks"]["imbalanced-8"]
    assert set(found["samplers"]) == set(RESULT["tasks"]["imbalanced-8"]["samplers"])
    for row in found["samplers"].values():
        assert row["n"] == 32 and len(row["mode_shares"]) == 8
        assert row["energies"] is None or sum(row["energies"]) == pytest.approx(1)
    twin = found["samplers"][wlgan.TWIN]["sampler"]
    assert twin["step_size"] == found["samplers"]["wlgan"]["sampler"]["step_size"]


def test_chance_is_what_draws_of_the_law_give():
    law, n = [0.5, 0.3, 0.15, 0.05], 400
    generator = torch.Generator().manual_seed(0)
    draws = torch.multinomial(
        torch.tensor(law).expand(4_000, 4), n, replacement=True, generator=generator
    )
    shares = torch.nn.functional.one_hot(draws, 4).double().mean(1)
    apart = [wlgan._apart(row, law) for row in shares.tolist()]
    assert wlgan._noise(law, n) == pytest.approx(sum(apart) / len(apart), rel=0.03)


@pytest.mark.parametrize("task", RESULT["tasks"])
def test_the_page_shows_every_sampler_and_its_distance_from_the_law(task):
    found = RESULT["tasks"][task]
    page = WLGAN.document({**RESULT, "tasks": {task: found}})
    law = [*found["law"], 1 - sum(found["law"])]
    assert sum(found["law"]) == pytest.approx(1, abs=0.02)
    for label, row in found["samplers"].items():
        assert sum(row["mode_shares"]) == pytest.approx(row["metrics"]["good"], abs=1e-6)
        shares = [*row["mode_shares"], 1 - sum(row["mode_shares"])]
        apart = sum(abs(a - b) for a, b in zip(shares, law, strict=True)) / 2
        line = next(x for x in page.splitlines() if x.startswith(f"| {label} |"))
        assert f"| {apart:.3f} |" in line
        if row["energies"] is not None:
            assert sum(row["energies"]) == pytest.approx(1)


def test_the_picture_has_coverage_and_energies_of_every_task():
    panels = WLGAN.draw(RESULT).axes
    assert len(panels) == 2 * len(RESULT["tasks"])
    assert [p.get_title().split(":")[0] for p in panels[::2]] == list(RESULT["tasks"])
