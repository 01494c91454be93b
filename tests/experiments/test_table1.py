"""Table 1: its points, its correlations and their signs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats

from experiments import STUDIES, published, table1
from experiments.stages import stages
from gantandem import diagnose
from gantandem.runs import train_run
from gantandem.runs.reading import load_recipe
from gantandem.samplers import Direct
from small_runs import TINY, committed

TABLE1 = STUDIES["table1"]


def points_of(change, **values):
    """Points with the given diagnostics; those left out are the change itself."""
    columns = {name: values.get(name, change) for name in table1.DIAGNOSTICS}
    return [
        {name: float(column[at]) for name, column in columns.items()}
        | {"change": {"drs": {"js": float(change[at]), "good": -float(change[at])}}}
        for at in range(len(change))
    ]


def test_correlations_have_their_known_values():
    noise = np.random.default_rng(0)
    change = noise.normal(size=200) + 5
    mixed = 0.6 * (change - 5) + 0.8 * noise.normal(size=200)
    signs = np.where(np.arange(200) % 2, -1, 1)
    columns = {
        "z": signs * change,
        "brier": -change,
        "ece": np.ones(200),
        "auc": np.exp(change),
        "resolution": mixed,
    }
    found = table1.correlations(points_of(change, **columns), "drs", "js")
    assert found["z"]["pearson"] == pytest.approx(1)  # of its absolute value
    assert found["brier"]["pearson"] == pytest.approx(-1)
    assert found["brier"]["spearman"] == pytest.approx(-1)
    assert math.isnan(found["ece"]["pearson"]) and math.isnan(found["ece"]["interval"][0])
    assert math.isnan(found["ece"]["spearman_p"])
    assert found["auc"]["spearman"] == pytest.approx(1)
    assert found["auc"]["pearson"] == pytest.approx(stats.pearsonr(np.exp(change), change)[0])
    # The p-value by the t distribution, and Fisher's interval, for normal pairs.
    pearson = np.corrcoef(mixed, change)[0, 1]
    t = pearson * np.sqrt(198 / (1 - pearson**2))
    assert found["resolution"]["pearson"] == pytest.approx(pearson)
    assert found["resolution"]["pearson_p"] == pytest.approx(2 * stats.t.sf(t, 198), rel=1e-6)
    ranked = stats.rankdata(mixed), stats.rankdata(change)
    assert found["resolution"]["spearman"] == pytest.approx(np.corrcoef(*ranked)[0, 1])
    interval = np.tanh(np.arctanh(pearson) + np.array([-1.96, 1.96]) / np.sqrt(197))
    assert found["resolution"]["interval"] == pytest.approx(interval, abs=0.04)
    turned = table1.correlations(points_of(change, **columns), "drs", "good")
    assert turned["resolution"]["pearson"] == pytest.approx(-pearson)


@pytest.mark.slow
def test_table_1_keeps_its_seeds_and_starts_from_the_shipped_discriminator(tmp_path, monkeypatch):
    monkeypatch.setattr(table1, "UPDATES", (0, 3))
    overrides = (*TINY, "train.iterations=20")
    settings = {"n": 64, "overrides": overrides}
    result = TABLE1.result(tmp_path, seeds=[0], **settings)
    points = result["seeds"]["0"]["points"]
    assert [(p["start"], p["update"]) for p in points] == [
        (start, update) for start in ("new", "trained") for update in (0, 3)
    ]
    before = result["seeds"]["0"]["direct"]
    for point in points:  # after less before, as published
        for metric in ("good", "js"):
            change = point["after"]["metropolis"][metric] - before[metric]
            assert point["change"]["metropolis"][metric] == change
    work = train_run(load_recipe("imbalanced-8", ["seed=0", *overrides]), tmp_path / "again")
    shipped = diagnose(work.gan, work.real, proposal=Direct(), width=table1.WIDTH)
    assert (points[2]["brier"], points[2]["z"]) == (shipped.brier, shipped.z)
    assert points[3]["brier"] != points[2]["brier"]
    again = TABLE1.result(tmp_path, seeds=[0], **settings)
    assert again["seeds"] == json.loads(json.dumps(result["seeds"]).replace("NaN", "null"))
    assert result["correlations"]["drs"]["all"]["points"] == 4


def test_stages_of_a_discriminator_do_not_depend_on_which_are_looked_at(tmp_path):
    overrides = ["seed=0", "train.batch_size=64", "train.iterations=5"]
    work = train_run(load_recipe("imbalanced-8", overrides), tmp_path)
    weights = {
        updates: dict(stages(work, "new", updates))[6].state_dict()
        for updates in [(0, 6), (2, 4, 6)]
    }
    one, other = weights.values()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_table_1_shows_the_published_correlations_with_their_signs():
    result = committed("table1")
    page = TABLE1.document(result)
    assert "| abs(Z) | JS | +0.07 (0.41) | -0.06 (0.35) |" in page
    assert "| Brier | good | -0.68 (0.01) | -0.72 (0.01) |" in page
    assert "| Brier | KL | +0.51 (0.04) | +0.46 (0.12) |" in page
    titles = [axes.get_title() for axes in TABLE1.draw(result).axes]
    assert titles[2].startswith("Brier") and titles[2].endswith("published -0.68")
    assert titles[8].startswith("Brier") and titles[8].endswith("published +0.77")


def test_a_better_score_going_with_a_larger_gain_has_the_published_signs():
    """The convention: good rises by more and KL falls by more where the Brier score is low."""
    brier = np.linspace(0.05, 0.25, 9)
    points = [
        dict.fromkeys(table1.DIAGNOSTICS, value)
        | {"change": {"drs": {"good": 0.5 - value, "kl": value - 0.3, "js": value - 0.3}}}
        for value in brier
    ]
    for metric, values in published.TABLE_1["brier"].items():
        found = table1.correlations(points, "drs", metric)["brier"]["pearson"]
        assert np.sign(found) == np.sign(values["pearson"])


def test_the_committed_correlations_are_those_of_the_points():
    result = committed("table1")
    points = [point for found in result["seeds"].values() for point in found["points"]]
    for selector, groups in result["correlations"].items():
        for metric in table1.METRICS:
            found = table1.correlations(points, selector, metric)
            for name, values in found.items():
                for key, value in values.items():
                    assert groups["all"][metric][name][key] == pytest.approx(value)
