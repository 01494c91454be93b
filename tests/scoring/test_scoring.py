"""Scores of samples that exist already, by a ratio that is known exactly."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

import gantandem as gt
from gantandem.errors import DataError, InputError, LawMismatchError, NotARatioError
from gantandem.testing import toy_gan
from judged import SHIFT, Brightness, Exact, Picture, Same, exact_gan, labelled_gan, plain


def test_scores_are_those_of_the_ratio_and_ranked():
    x = plain(300)
    scores = gt.score(exact_gan(), x)
    assert np.allclose(scores.log_ratio, SHIFT * x[:, 0].numpy() - SHIFT**2 / 2, atol=1e-6)
    assert np.allclose(scores.probability, 1 / (1 + np.exp(-scores.log_ratio)))
    assert np.array_equal(scores.order, np.argsort(-x[:, 0].numpy(), kind="stable"))
    assert scores.rank[scores.order[0]] == 1 and sorted(scores.rank) == list(range(1, 301))
    assert len(scores) == 300 and "n=300" in repr(scores)
    assert "never diagnosed" in str(scores) and scores.proposal == "direct"


def test_no_score_hangs_on_the_batch_or_on_others():
    x = plain(90)
    whole = gt.score(exact_gan(), x).log_ratio
    assert np.array_equal(gt.score(exact_gan(), x[:17]).log_ratio, whole[:17])
    assert np.allclose(gt.score(exact_gan(), x, batch=7).log_ratio, whole, atol=1e-6)


def test_what_the_diagnosis_said_comes_with_the_scores(tmp_path):
    gan, real = exact_gan(), plain(2000, 1) + torch.tensor([SHIFT, 0.0])
    gan = gan.with_diagnosis(gt.diagnose(gan, real))
    scores = gt.score(gan, real[:50])
    assert scores.diagnosis is gan.ratio(gt.Direct()).diagnosis
    assert "Trust it" in str(scores) and "AUC 0." in scores.trust
    assert scores.to_dict()["diagnosis"]["auc"] == scores.diagnosis.auc


def test_samples_that_were_fitted_on_are_told(caplog):
    gan = gt.GAN(Same(), None, 2)
    real = plain(400, 1) + 1
    gan = gt.fit_ratio(gan, real, n=400, batch=50, schedule=[(3, 1e-3)])
    assert gt.score(gan, plain(60, 5)).seen == 0 and "flatter" not in caplog.text
    scores = gt.score(gan, real)
    assert scores.seen > 0.7  # the parts that fit and select
    assert "of the 400 samples are among the real ones" in caplog.text
    assert "their scores are too high" in str(scores)


def test_what_does_not_suit_the_generator_is_refused():
    gan = exact_gan()
    with pytest.raises(DataError, match=r"score: the samples have shape \(3,\) but the gen"):
        gt.score(gan, torch.zeros(4, 3))
    with pytest.raises(DataError, match="NaN"):
        gt.score(gan, torch.full((4, 2), torch.nan))
    with pytest.raises(LawMismatchError, match="fit_ratio"):
        gt.score(gan, plain(4), proposal=gt.Direct(truncation=0.5))
    with pytest.raises(LawMismatchError, match="fit_ratio"):
        gt.score(gt.GAN(Same(), None, 2), plain(4))
    with pytest.raises(NotARatioError, match="fit_ratio"):
        gt.score(gt.GAN(Same(), Exact(), 2, output="hinge"), plain(4))
    assert len(gt.score(gan, plain(4), proposal=gt.Direct(truncation=0.5), strict=False)) == 4


def test_conditions_are_one_label_or_a_row_each(tmp_path):
    gan, x = labelled_gan(), plain(30)
    labels = torch.arange(30) % 3
    scores = gt.score(gan, x, condition=labels)
    assert np.allclose(scores.log_ratio, (labels * x[:, 0]).numpy(), atol=1e-6)
    assert np.array_equal(gt.score(gan, (x, labels)).log_ratio, scores.log_ratio)
    assert np.allclose(gt.score(gan, x, condition=2).log_ratio, 2 * x[:, 0].numpy(), atol=1e-6)
    with pytest.raises(InputError, match="conditional"):
        gt.score(gan, x)
    np.savez(tmp_path / "x.npz", x=x.numpy(), label=labels.numpy())
    assert np.array_equal(gt.score(gan, tmp_path / "x.npz").log_ratio, scores.log_ratio)
    assert len(gt.score(exact_gan(), tmp_path / "x.npz")) == 30  # which has no conditions
    with pytest.raises(InputError, match="29 conditions"):
        gt.score(gan, x, condition=labels[:29])


def test_a_network_that_gives_no_number_is_told(caplog):
    class Odd(Exact):
        def forward(self, x):
            return torch.where(x[:, 0] > 1e6, torch.nan, super().forward(x))

    x = plain(10)
    x[3, 0] = 1e7
    scores = gt.score(gt.GAN(Same(), Odd(), 2), x)
    assert scores.order[-1] == 3 and scores.accept_log_ratio[3] == -np.inf
    assert "NaN or infinity for 1 of 10 samples" in caplog.text
    assert scores.rows([3])[0]["log_ratio"] is None


def test_files_keep_their_names_through_everything(tmp_path):
    np.save(tmp_path / "points.npy", plain(12).numpy())
    scores = gt.score(exact_gan(), tmp_path / "points.npy")
    assert scores.names[4] == f"{tmp_path / 'points.npy'}[4]"
    scores.save(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["rank"]) for row in rows] == list(range(1, 13))
    assert rows[0]["name"] == scores.names[scores.order[0]]
    assert float(rows[0]["log_ratio"]) == scores.log_ratio.max()
    scores.save(tmp_path / "scores.json", scores.order[:2])
    assert len(json.loads((tmp_path / "scores.json").read_text())["samples"]) == 2
    with pytest.raises(InputError, match=r"\.csv or \.json"):
        scores.save(tmp_path / "scores.txt")


def test_a_frame_has_a_row_for_each_sample():
    pytest.importorskip("pandas")
    frame = gt.score(exact_gan(), plain(5)).to_pandas()
    assert list(frame.columns) == ["log_ratio", "probability", "rank", "logit"] and len(frame) == 5


def test_pictures_become_the_range_of_the_generator(tmp_path):
    torch.manual_seed(0)
    gan = gt.GAN(Picture(), Brightness(), 2)
    for value in (0, 255):
        Image.new("RGB", (4, 4), (value,) * 3).save(tmp_path / f"{value:03d}.png")
    scores = gt.score(gan, tmp_path)
    assert scores.log_ratio == pytest.approx([-1, 1], abs=1e-6)
    assert scores.name(scores.order[0]).endswith("255.png")
    Image.new("L", (5, 4)).save(tmp_path / "z.png")
    with pytest.raises(DataError, match="z.png has shape"):
        gt.score(gan, tmp_path)
    with pytest.raises(DataError, match=r"resize: torch\.nn"):
        gt.score(gan, tmp_path / "z.png")


@pytest.mark.parametrize("call", [gt.score, gt.select])
def test_of_no_samples_at_all(call):
    wanted = f"{call.__name__}: got no samples; at least 1 sample is needed$"
    with pytest.raises(DataError, match=wanted):
        call(toy_gan(), torch.zeros(0, 2))
