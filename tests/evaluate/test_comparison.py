"""A comparison takes names and samplers, measures against real data, and shows what it found."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

import gantandem as gt
from gantandem.errors import DataError, InputError, MissingExtraError
from gantandem.evaluate.against import Against
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.samplers.named import as_samplers, sampler_label
from gantandem.testing import toy_gan

REAL = torch.randn(1500, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found():
    samplers = ["direct", gt.OBRS(expected=2, pilot=100), gt.OBRS(expected=4, pilot=100)]
    return gt.compare(toy_gan(), samplers, REAL, 128, progress=False)


def test_a_list_has_names_and_samplers(found):
    assert list(found) == ["direct", "obrs expected=2 pilot=100", "obrs expected=4 pilot=100"]
    again = {"a": "direct", "b": gt.OBRS(expected=2, pilot=100)}
    named = gt.compare(toy_gan(), again, REAL, 128, progress=False)
    pairs = zip(named.values(), list(found.values())[:2], strict=True)
    for (row, out), (other, samples) in pairs:
        assert torch.equal(out.x, samples.x) and row["metrics"] == other["metrics"]


def test_samples_are_measured_against_the_test_part_and_real_ones_in_their_place(found):
    parts = gt.split_real(REAL)
    assert torch.equal(found.real, parts.test[:128])
    x = found["direct"].samples.x
    metrics = found["direct"].row["metrics"]
    assert metrics["sliced_w1"] == sliced_wasserstein(x, parts.test[:128])
    assert found.floor == {
        "n": len(parts.select[:128]),
        **Against(parts.test[:128])(parts.select[:128]),
    }
    assert set(metrics) == {"sliced_w1", "c2st", "precision", "recall", "density", "coverage"}
    own = gt.compare(toy_gan(), "direct", REAL, 64, metrics=lambda x: {"mean": x.mean().item()})
    assert own.floor == {"n": 64, "mean": parts.select[:64].mean().item()}


def test_wide_and_few_samples_are_measured_by_what_they_allow():
    x = torch.randn(200, 300, generator=torch.Generator().manual_seed(0))
    assert "c2st" not in Against(x)(x[:150]) and "coverage" in Against(x)(x[:150])
    assert set(Against(x)(x[:5])) == {"sliced_w1"}


def test_it_prints_as_a_table(found):
    head, real, direct, *_ = str(found).splitlines()
    assert head.split()[:3] == ["sliced", "W1", "C2ST"] and head.endswith("seconds")
    assert real.startswith("real data  ") and direct.startswith("direct  ")
    shown = f"{found['direct'].row['metrics']['c2st']:.3f}"
    assert direct.split()[2].rstrip("*") == shown
    assert "128 samples each, seed 0" in str(found)
    assert repr(found) == f"Comparison({', '.join(found)}; 128 samples each)"
    assert found._repr_markdown_().startswith("|  | sliced W1 |")
    best = min(list(found), key=lambda name: found[name].row["metrics"]["sliced_w1"])
    starred = [line for line in str(found).splitlines() if line.startswith(f"{best} ")][0]
    cell = starred.removeprefix(best).split()[0]
    assert cell == f"{found[best].row['metrics']['sliced_w1']:.3f}*"


def test_it_becomes_a_frame(found, monkeypatch):
    table = found.to_pandas()
    assert list(table.index) == list(found) and table.index.name == "sampler"
    assert table.loc["direct", "coverage"] == found["direct"].row["metrics"]["coverage"]
    assert list(table["n"]) == [128] * 3 and table.loc["direct", "passes_per_sample"] == 1
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"gantandem\[tables\]"):
        found.to_pandas()


def test_it_draws_points_and_images_and_says_what_it_cannot_draw(found, tmp_path):
    figure = found.plot(tmp_path / "points.png")
    titles = [axes.get_title().split("\n")[0] for axes in figure.axes]
    assert titles == ["real data", *found]
    assert (tmp_path / "points.png").stat().st_size > 1000
    images = gt.GAN(nn.Sequential(nn.Linear(2, 16), nn.Unflatten(1, (1, 4, 4))), None, 2)
    real = torch.rand(60, 1, 4, 4)
    pictures = gt.compare(images, ["direct"], real, 32, progress=False).plot()
    assert [len(axes.images) for axes in pictures.axes] == [1, 1]
    lines = gt.compare(gt.GAN(nn.Linear(2, 5), None, 2), "direct", torch.randn(60, 5), 32)
    with pytest.raises(InputError, match=r"samples of shape \(5,\); allowed are"):
        lines.plot()


def test_real_data_must_suit():
    with pytest.raises(DataError, match="compare real"):
        gt.compare(toy_gan(), ["direct"], torch.randn(100, 3))


def test_names_are_those_of_a_shaped_gan():
    gan = toy_gan().replace(proposal=gt.Refine(layer="latent", steps=3, defensive=0.5))
    named = as_samplers(gan, ["refine", "collaborative", "metropolis"])
    assert named["refine"] == gt.Refine(layer="latent", steps=3, defensive=0.0)
    assert named["collaborative"] == gt.collaborative(gan)
    assert named["metropolis"] == gt.Metropolis()


@pytest.mark.parametrize(
    "samplers, words",
    [
        (["direct", gt.Direct()], "direct is given twice"),
        ([], "got none"),
        (["direct", gt.OBRS], "allowed is a mover"),
        (np.array([1, 2]), "allowed is a mover"),
        (None, "allowed is a mover"),
    ],
)
def test_what_is_no_list_of_samplers(samplers, words):
    with pytest.raises(InputError, match=words):
        as_samplers(toy_gan(), samplers)


def test_a_label_has_what_was_set():
    nested = gt.OBRS(expected=2.5, proposal=gt.Refine(steps=5))
    assert sampler_label(nested) == "obrs(refine steps=5) expected=2.5"
    assert sampler_label(nested, brief=True) == "obrs(refine)"
    assert sampler_label(gt.Metropolis()) == "metropolis"
