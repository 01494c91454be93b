"""What selectors accept among samples that exist already."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import gantandem as gt
from gantandem.errors import InputError, NonFiniteError
from gantandem.rng import Key
from gantandem.samplers.obrs import effective_share
from judged import SHIFT, Brightness, Picture, exact_gan, labelled_gan, plain


def scores_of(log_ratio, **known):
    values = np.asarray(log_ratio, dtype=np.float64)
    return gt.Scores(values, values, **known)


@pytest.mark.parametrize("sampler", ["rejection", "obrs", gt.SIR(proposals=40), gt.Metropolis()])
def test_what_is_accepted_has_the_law_of_the_data(sampler):
    kept = gt.select(exact_gan(), plain(40_000), sampler, seed=3).x
    error = 5 / len(kept) ** 0.5
    assert abs(float(kept[:, 0].mean()) - SHIFT) < error + 0.05 * (sampler != "rejection")
    assert abs(float(kept[:, 1].mean())) < error


def test_a_coin_hangs_on_the_place_and_the_seed_alone():
    gan, x = exact_gan(), plain(500)
    rule = gt.OBRS(log_scale=-1.0)
    found = gt.select(gan, x, rule, seed=4)
    assert np.array_equal(
        gt.select(gan, x[:200], rule, seed=4).places, found.places[found.places < 200]
    )
    assert np.array_equal(gt.select(gan, x, rule, seed=4, batch=33).places, found.places)
    assert not np.array_equal(gt.select(gan, x, rule, seed=5).places, found.places)
    log_u = Key(4).fold("select").log_uniform(torch.arange(500), torch.zeros(500).long())
    wanted = log_u < torch.from_numpy(found.scores.log_ratio) - 1.0
    assert np.array_equal(found.places, wanted.nonzero().flatten().numpy())
    assert torch.equal(found.x, x[found.places])


def test_the_samples_are_their_own_pilot():
    scores = scores_of(plain(5000)[:, 0])
    found = gt.select(scores, sampler=gt.OBRS(expected=3.0))
    assert len(found) / 5000 == pytest.approx(1 / 3, abs=0.03)
    found = gt.select(scores, sampler="rejection")
    assert found.sampler.log_max == scores.log_ratio.max()
    assert scores.log_ratio.argmax() in found.places


@pytest.mark.parametrize("sampler", [gt.SIR(proposals=10), gt.Metropolis(proposals=10)])
def test_one_of_each_group_is_chosen_and_none_twice(sampler):
    found = gt.select(scores_of(plain(205)[:, 0]), sampler=sampler, seed=1)
    assert len(found) == 20 == len(set(found.places.tolist()))
    again = gt.select(scores_of(plain(205)[:, 0]), sampler=sampler, seed=1)
    assert np.array_equal(again.places, found.places)


def test_groups_are_of_one_condition():
    x, labels = plain(70), torch.tensor([0] * 41 + [1] * 20 + [2] * 9)
    found = gt.select(labelled_gan(), x, gt.SIR(proposals=10), condition=labels)
    assert np.bincount(labels[found.places], minlength=3).tolist() == [4, 2, 0]


def test_a_ratio_of_0_is_never_accepted():
    scores = scores_of([-np.inf, np.nan, 0.0, np.inf] * 30)
    for sampler in ("rejection", "obrs", gt.SIR(proposals=4), gt.Metropolis(proposals=4)):
        places = gt.select(scores, sampler=sampler).places
        assert len(places) and set(places % 4) == {2}
    with pytest.raises(NonFiniteError, match="every ratio"):
        gt.select(scores_of([-np.inf] * 4))


def test_strength_weighs_what_is_accepted():
    values = 3 * plain(3000)[:, 0]
    weak = gt.select(scores_of(values, strength=0.0), sampler="rejection")
    assert len(weak) == 3000


@pytest.mark.parametrize("sampler", ["obrs", gt.SIR(proposals=5), "rejection"])
def test_heavy_tails_are_told_once(sampler, caplog):
    values = plain(1000)[:, 0] * 6
    assert effective_share(values.double()) < 0.02
    found = gt.select(scores_of(values), sampler=sampler)
    assert caplog.text.count("the tail of the ratios is heavy") == 1
    assert "of 1,000 samples accepted" in str(found) and "of 1,000" in repr(found)


def test_wrong_calls_are_one_message():
    gan, x = exact_gan(), plain(8)
    with pytest.raises(InputError, match="refine makes samples and does not accept them"):
        gt.select(gan, x, gt.Refine())
    with pytest.raises(InputError, match="sir chooses one of 10, and there are 8"):
        gt.select(gan, x, "sir")
    with pytest.raises(InputError, match="the samples are missing"):
        gt.select(gan)
    with pytest.raises(InputError, match="got 8 samples, and scores of 3"):
        gt.select(scores_of([0, 0, 0]), x)
    with pytest.raises(InputError, match="unknown sampler"):
        gt.select(gan, x, "obrss")


def test_pictures_are_copied_with_their_names_and_nothing_is_overwritten(tmp_path):
    torch.manual_seed(0)
    gan = gt.GAN(Picture(), Brightness(), 2)
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    for value in (0, 90, 255):
        Image.new("L", (4, 4), value).save(source / "deep" / f"{value:03d}.png")
    found = gt.select(gan, source, gt.Rejection(log_max=-10.0))
    assert len(found) == 3
    found.save(out)
    copy = out / "deep" / "255.png"
    assert copy.read_bytes() == (source / "deep" / "255.png").read_bytes()
    lines = (out / "selected.csv").read_text().splitlines()
    assert len(lines) == 4 and lines[1].startswith("1,") and "255.png" in lines[1]
    told = json.loads((out / "selected.json").read_text())
    assert told["kept"] == 3 and told["sampler"]["name"] == "rejection"
    copy.write_bytes(b"mine")
    with pytest.raises(InputError, match="nothing is overwritten"):
        found.save(out)
    assert copy.read_bytes() == b"mine"


def test_rows_of_arrays_are_written_as_one(tmp_path):
    found = gt.select(exact_gan(), plain(50), seed=2)
    found.save(tmp_path / "out")
    assert np.array_equal(np.load(tmp_path / "out" / "samples.npy"), found.x.numpy())
