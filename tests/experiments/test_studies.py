"""Studies of samplers beside the papers' figures: what they keep, compute and say."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from experiments import (
    agreement,
    agreement_page,
    mnist,
    mnist_page,
    modes,
    wlgan,
    wlgan_page,
    wlgan_picture,
)
from gantandem import GAN, compare
from gantandem.data.mixtures import Mixture
from gantandem.errors import ConfigError
from gantandem.samplers import DOT, Direct, Refine, Rejection
from gantandem.tasks import TASKS
from gantandem.testing import toy_gan

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def committed(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def test_ctrl_c_leaves_no_row_of_too_few_samples(monkeypatch):
    calls = 0

    def steps(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == 30:
            raise KeyboardInterrupt
        return whole(self, *arguments)

    whole = Refine.step
    monkeypatch.setattr(Refine, "step", steps)
    with pytest.raises(KeyboardInterrupt, match=r"refine had \d+ of 1,000 samples, not measured"):
        compare(toy_gan(), {"refine": Refine(steps=4, step_size=0.1)}, len, 1000, width=64)


# -- agreement ------------------------------------------------------------------------------------

SHORT = ("fit_ratio.pool=200", "fit_ratio.schedule=[[4, 1e-3]]")


def test_agreement_keeps_rows_of_its_own_ratio_only(tmp_path, monkeypatch):
    few = {"direct": Direct(), "rejection": Rejection()}
    monkeypatch.setattr(agreement, "samplers", lambda top: dict(few))

    def run():
        return agreement.agreement_result(tmp_path, n=64, overrides=SHORT)

    first = run()
    assert set(first["samplers"]) == set(few)
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
    assert "Not finished" not in agreement_page(result)
    del result["samplers"]["mala"]
    assert "Not finished in this run: mala." in agreement_page(result)


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


# -- MNIST ----------------------------------------------------------------------------------------


LITTLE = (
    "fit_ratio.pool=64",
    "fit_ratio.schedule=[[2, 1e-3]]",
    "shape.updates=1",
    "shape.check_every=1",
    "shape.check_samples=64",
    "shape.batch=32",
    "shape.width=32",
)


@pytest.fixture
def few_digits(tmp_path, monkeypatch):
    """A folder of 28x28 images in the place of MNIST: strokes at random places."""
    random = np.random.default_rng(0)
    for split, count in (("train", 300), ("test", 80)):
        folder = tmp_path / "data" / "mnist" / split / "1"
        folder.mkdir(parents=True)
        for number in range(count):
            image = np.zeros((28, 28), np.uint8)
            left = random.integers(4, 20)
            image[6:22, left : left + 3] = random.integers(150, 256)
            Image.fromarray(image).save(folder / f"{number}.png")
    monkeypatch.setenv("GANTANDEM_DATA", str(tmp_path / "data"))
    task = dataclasses.replace(TASKS["mnist"], sizes=(200, 50, 50))
    monkeypatch.setitem(TASKS, "mnist", task)
    monkeypatch.setattr(mnist, "PIXEL_SCHEDULE", ((2, 1e-3),))
    makers = mnist._makers

    def with_short_pilots(work, plain):
        def shorten(make):
            gan, sampler = make()
            return gan, dataclasses.replace(sampler, pilot=64) if pilots(sampler) else sampler

        return {name: partial(shorten, make) for name, make in makers(work, plain).items()}

    monkeypatch.setattr(mnist, "_makers", with_short_pilots)
    return tmp_path / "out"


def pilots(sampler):
    return hasattr(sampler, "pilot")


def test_mnist_runs_to_its_report_and_only_what_is_missing_runs_again(few_digits, monkeypatch):
    def run():
        return mnist.mnist_result(few_digits, stages=(2,), n=32, overrides=LITTLE)

    drawn = []

    def stops_at_refine(gan, samplers, *arguments, **options):
        drawn.extend(samplers)
        if "refine" in samplers:
            raise KeyboardInterrupt
        return compare(gan, samplers, *arguments, **options)

    monkeypatch.setattr(mnist, "compare", stops_at_refine)
    with pytest.raises(KeyboardInterrupt):
        run()
    finished, drawn[:] = drawn[:-1], []
    monkeypatch.setattr(mnist, "compare", lambda *a, **k: drawn.extend(a[1]) or compare(*a, **k))
    rows = run()["seeds"]["0"]["2"]["samplers"]
    assert list(rows) == [*finished, *drawn] and set(rows) == set(mnist.NOTES)
    assert all(row["n"] == 32 for row in rows.values())
    page = (few_digits / "mnist" / "seed-0" / "2" / "report.html").read_text()
    assert all(name in page for name in mnist.NOTES)
    assert (few_digits / "mnist-2-after.png").is_file()
    drawn.clear()
    run()
    assert not drawn


def test_the_page_of_mnist_shows_every_row_and_says_what_is_missing():
    result = committed("mnist")
    result["seeds"] = {"0": result["seeds"]["0"]}
    page = mnist_page(result)
    assert "Not finished" not in page
    for stage, found in result["seeds"]["0"].items():
        assert f"](mnist-{stage}-after.png)" in page
        for row in found["samplers"].values():
            assert f"| {row['metrics']['frechet_distance']:.3f} |" in page
    partial = copy.deepcopy(result)
    stage = next(iter(result["seeds"]["0"]))
    partial["seeds"]["7"] = {stage: copy.deepcopy(result["seeds"]["0"][stage])}
    page = mnist_page(partial)
    assert f"Not finished in this run: seed 7 at {mnist.STAGES[1]:,} iterations." in page
    assert page.count("-after.png") == 2, "pictures are of the first seed"


# -- wlgan against mala ---------------------------------------------------------------------------

RESULT = committed("wlgan")


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
    page = wlgan_page({**RESULT, "tasks": {task: found}})
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
    panels = wlgan_picture(RESULT).axes
    assert len(panels) == 2 * len(RESULT["tasks"])
    assert [p.get_title().split(":")[0] for p in panels[::2]] == list(RESULT["tasks"])
