"""The commands ``score`` and ``select``, on a run and on samples alone."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import gantandem as gt
from commands import TINY, fails, run
from gantandem.runs import Workspace

pytestmark = pytest.mark.usefixtures("few_real_data")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "fitted"
    run("-q", "train", "imbalanced-8", "-o", folder, "seed=5", *TINY)
    run("-q", "fit-ratio", folder, "--samplers", "direct", *TINY[-3:])
    return folder


@pytest.fixture
def points(fitted, tmp_path):
    gan = Workspace(fitted).gan
    path = tmp_path / "points.npy"
    np.save(path, gt.sample(gan, "direct", 200, seed=3).x.numpy())
    return path


@pytest.mark.slow
def test_score_ranks_the_rows_of_files(fitted, points, tmp_path):
    told = run("score", fitted, points, "--out", tmp_path / "scores.csv").output
    assert "200 samples, scored by the ratio that judges samples of direct" in told
    assert "rank" in told and f"{points}[" in told and "AUC" in told
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scores = gt.score(Workspace(fitted).gan, points)
    assert len(rows) == 200 and rows[0]["name"] == scores.name(scores.order[0])
    found = json.loads(run("score", fitted, points, "--json", "--top", 3).stdout)
    assert [row["rank"] for row in found["samples"]] == [1, 2, 3] and found["n"] == 200
    assert found["diagnosis"]["auc"] == scores.diagnosis.auc
    assert len(run("score", fitted, points, "--top", 4).stdout.splitlines()) == 5


@pytest.mark.slow
def test_select_is_what_python_selects(fitted, points, tmp_path):
    words = ("select", fitted, points, "expected=3", "--seed", 2)
    told = run(*words)
    wanted = gt.select(Workspace(fitted).gan, points, gt.OBRS(expected=3.0), seed=2)
    assert told.stdout.split() == list(wanted.names)
    assert "of 200 samples accepted" in told.stderr
    run(*words, "--out", tmp_path / "kept")
    assert np.array_equal(np.load(tmp_path / "kept" / "samples.npy"), wanted.x.numpy())
    other = ("select", fitted, points, "expected=2", "--out", tmp_path / "kept")
    fails(*other, wanted=["nothing is overwritten"])
    (tmp_path / "kept" / "selected.json").unlink()  # as after a kill
    run(*words, "--out", tmp_path / "kept")
    assert json.loads((tmp_path / "kept" / "selected.json").read_text())["kept"] == len(wanted)
    assert json.loads(run(*words, "--json").stdout)["kept"] == len(wanted)
    run("select", fitted, points, "--sampler", "sir", "proposals=20")


@pytest.mark.slow
def test_wrong_words_are_one_message(fitted, points, tmp_path):
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "wide.npy", np.zeros((3, 5), np.float32))
    fails("score", fitted, wanted=["no file was given"])
    fails("score", fitted, tmp_path / "empty", wanted=["empty holds no samples"])
    fails("score", fitted, tmp_path / "wide.npy", wanted=["(5,) but the generator makes (2,)"])
    fails("score", tmp_path / "empty", points, wanted=["empty"])
    fails("score", fitted, points, "--sampler", "metropolis", "x=3", wanted=["unknown setting 'x'"])
    fails("score", fitted, points, "--condition", "seven", wanted=["--condition: got 'seven'"])
    fails("score", fitted, points, "--condition", "7", wanted=["this GAN has no condition"])
    fails("score", fitted, points, "--out", tmp_path / "a.txt", wanted=[".csv or .json"])
    fails("select", fitted, points, "--sampler", "refine", wanted=["does not accept them"])
    text = fails("score", fitted, points, "--sampler", "refine", wanted=["no ratio was fitted"])
    assert "gantandem fit-ratio RUN" in text


@pytest.mark.parametrize("command", ["score", "select"])
def test_samples_that_are_not_there_or_of_another_shape_are_one_message(command, tmp_path):
    torch.manual_seed(0)
    gan = gt.GAN(nn.Sequential(nn.Linear(4, 192), nn.Unflatten(1, (3, 8, 8))), Brightness(), 4)
    gan.with_diagnosis(gt.diagnose(gan, torch.rand(200, 3, 8, 8))).save(tmp_path / "gan")
    trusted = (command, "--trust", tmp_path / "gan")
    (line,) = run(*trusted, "nope", code=2).stderr.splitlines()  # and no word of the ratio
    assert line == f"error: {command}: nope: no such file or folder"
    np.save(tmp_path / "last.npy", np.zeros((9, 8, 8, 3), np.float32))
    np.save(tmp_path / "large.npy", np.zeros((9, 1, 16, 16), np.float32))
    np.save(tmp_path / "flat.npy", np.zeros((9, 192), np.float32))
    for name, wanted in (
        ("last", "(N, 3, 8, 8): put the channels first"),
        ("large", "(N, 3, 8, 8): make 3 channels of 1, then resize"),
        ("flat", "(N, 3, 8, 8): give each that shape"),
    ):
        (line,) = run(*trusted, tmp_path / f"{name}.npy", code=2).stderr.splitlines()
        assert line.startswith(f"error: {command} {name}.npy: the samples have shape")
        assert line.endswith(wanted)


class Brightness(nn.Module):
    """Of no weights."""

    def forward(self, x):
        return x.flatten(1).mean(1)


def test_a_saved_gan_needs_no_task(points, tmp_path):
    from gantandem.testing import toy_gan

    toy_gan().save(tmp_path / "toy")
    told = run("select", tmp_path / "toy", points, "expected=5")
    kept = gt.select(toy_gan(), points, gt.OBRS(expected=5.0))
    assert told.stdout.split() == list(kept.names)


def bright(folder, values):
    folder.mkdir()
    noise = np.random.default_rng(len(values))
    for place, value in enumerate(values):
        pixels = noise.normal(value, 20, (8, 8)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{place:03d}.png")
    return folder


@pytest.mark.slow
def test_pictures_alone_are_scored_and_selected_beside_real_ones(tmp_path, monkeypatch):
    from gantandem.scoring import recorded

    fit = recorded.fit_ratio
    quick = {"schedule": [(25, 2e-3)], "batch": 32}
    monkeypatch.setattr(recorded, "fit_ratio", lambda *a, **o: fit(*a, **{**o, **quick}))
    made = bright(tmp_path / "made", [60] * 60 + [160] * 60)
    real = bright(tmp_path / "real", [160] * 200)
    words = (made, "--real", real)
    found = json.loads(run("score", *words, "--json").stdout)
    best = [row["name"] for row in found["samples"][:20]]
    assert sum(int(name[-7:-4]) >= 60 for name in best) >= 18
    run("select", *words, "--sampler", "rejection", "--out", tmp_path / "kept")
    kept = sorted(path.name for path in (tmp_path / "kept").glob("*.png"))
    assert kept and sum(int(name[:3]) >= 60 for name in kept) > 0.7 * len(kept)
    fails("select", *words, "--sampler", "obsr", wanted=["did you mean 'obrs'"])
    fails("score", tmp_path / "made" / "001.png", "--real", real, wanted=["at least 40"])
