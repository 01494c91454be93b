"""Samples without a generator: no score comes of a ratio that has seen the sample."""

from __future__ import annotations

import pytest
import torch

import gantandem as gt
from gantandem.discriminator.held_out import rows_hash
from gantandem.errors import DataError, InputError
from gantandem.scoring import recorded
from judged import plain

QUICK = {"batch": 64, "schedule": [(30, 2e-3)]}


def test_no_sample_is_scored_by_a_ratio_that_has_seen_it(monkeypatch):
    x = plain(150)
    x = torch.cat([x, x[:30]])  # some twice
    fitted, scored = [], []
    fit, score_by = recorded.fit_ratio, recorded.score_by

    def look(gan, *args, n, **options):
        assert n == len(gan.generator.x)
        fitted.append(set(rows_hash(gan.generator.x).tolist()))
        return fit(gan, *args, n=n, **options)

    def watch(gan, ratio, rows, *args):
        scored.append(set(rows_hash(rows.x).tolist()))
        return score_by(gan, ratio, rows, *args)

    monkeypatch.setattr(recorded, "fit_ratio", look)
    monkeypatch.setattr(recorded, "score_by", watch)
    scores = gt.score_samples(x, plain(300, 1) + 1, **QUICK)
    assert len(scores) == 180 and len(fitted) == 3 and len(scored) == 6
    for seen, own, real in zip(fitted, scored[::2], scored[1::2], strict=True):
        assert own and real and not own & seen and not real & seen
    assert set().union(*scored[::2]) == set(rows_hash(x).tolist())
    test = set(rows_hash(gt.split_real(plain(300, 1) + 1).test).tolist())
    assert set().union(*scored[1::2]) == test


def test_scores_tell_near_samples_from_far_ones():
    x = torch.cat([plain(300), plain(300, 2) - 3])
    scores = gt.score_samples(x, plain(600, 1), **QUICK)
    assert scores.log_ratio[:300].mean() > scores.log_ratio[300:].mean() + 1
    assert scores.diagnosis.auc > 0.6 and scores.diagnosis.n_generated == 600
    kept = gt.select(scores, x, "obrs")
    assert (kept.places < 300).mean() > 0.8


def test_samples_of_the_very_law_are_not_told_apart():
    scores = gt.score_samples(plain(600), plain(600, 1), **QUICK)
    assert abs(scores.diagnosis.auc - 0.5) < 0.15
    assert "Do not trust" not in scores.trust or scores.diagnosis.auc < 0.5


def test_what_cannot_be_scored_is_one_message():
    with pytest.raises(DataError, match="at least 40"):
        gt.score_samples(plain(10), plain(100))
    with pytest.raises(DataError, match="at least 40"):
        gt.score_samples(plain(100), plain(10))
    with pytest.raises(DataError, match="give both the same shape"):
        gt.score_samples(plain(100), torch.zeros(100, 3))
    with pytest.raises(DataError, match="conditions"):
        gt.score_samples((plain(100), torch.zeros(100).long()), plain(100))
    with pytest.raises(DataError, match="1 distinct"):
        gt.score_samples(torch.zeros(100, 2), plain(100))


def test_a_misspelt_argument_is_that_of_score_samples():
    said = "score_samples: there is no argument 'fold'; did you mean 'folds'"
    with pytest.raises(InputError, match=said):
        gt.score_samples(plain(150), plain(150, 1), fold=2)


def test_a_budget_is_that_of_all_fits(monkeypatch):
    given = []

    def look(gan, *args, budget, **options):
        given.append(budget)
        raise InputError("enough")

    monkeypatch.setattr(recorded, "fit_ratio", look)
    with pytest.raises(InputError, match="enough"):
        gt.score_samples(plain(150), plain(150, 1), folds=4, budget="2m")
    assert given == [30.0]
    with pytest.raises(InputError, match="score_samples budget: got 'soon'"):
        gt.score_samples(plain(150), plain(150, 1), budget="soon")
