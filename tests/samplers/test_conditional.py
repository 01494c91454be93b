"""Conditions follow each sample: from real data to every sampler's output and its files."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from conditional_boxes import CENTRES, LABELS, QUICK, SLOPES, Plane, Tilt, boxes, draw_data, inside
from gantandem import (
    GAN,
    ISIR,
    MALA,
    OBRS,
    SAMPLERS,
    Direct,
    Metropolis,
    Normal,
    Real,
    Refine,
    Rejection,
    Samples,
    calibrate,
    diagnose,
    fit_latent_reweight,
    fit_ratio,
    load_run,
    sample,
    save_run,
    shape,
)
from gantandem.discriminator.parts import split_real
from gantandem.errors import DataError, InputError
from gantandem.networks.score import Score
from gantandem.ratios.calibrators import PerClass, Platt
from gantandem.ratios.ratio import Ratio
from gantandem.runs.formats import make_writer
from gantandem.samplers.base import Selector

# -- samplers -----------------------------------------------------------------------------------


def small(kind):
    """A built-in sampler with few steps, proposals and pilots."""
    sampler = kind()
    given = {f.name: getattr(sampler, f.name) for f in dataclasses.fields(sampler)}
    sizes = {
        name: 8 if name == "steps" else 96 if value > 96 else min(value, 4)
        for name, value in given.items()
        if type(value) is int
    }
    return replace(sampler, **sizes)


TOYS = {name: small(kind) for name, kind in SAMPLERS.items()} | {
    "refine the latent": Refine(steps=4, layer="latent", stop="best"),
    "metropolis of refine": Metropolis(proposal=Refine(steps=4), proposals=4),
    "rejection with attempts ahead": Rejection(log_max=math.log(8.0), budget=500),
}


@pytest.mark.parametrize("name", TOYS)
def test_chains_never_mix_conditions(name):
    """Every sample lies with its own class, and was judged under it."""
    gan = boxes(Tilt()).observe(*draw_data(400))
    if name == "latent_reweight":
        gan = fit_latent_reweight(gan, n=500, schedule=[(10, 1e-2)], batch=100)
    # Neighbouring ids never share a label, nor do ids a width apart.
    gan = gan.with_condition(lambda ids: (ids + ids // 64) % 4)
    out = sample(gan, TOYS[name], 200, width=64, strict=False, progress=False)
    label = (out.ids + out.ids // 64) % 4
    assert torch.equal(out.condition, label)
    assert torch.equal(torch.cdist(out.x, CENTRES).argmin(1), label)
    if isinstance(TOYS[name], Selector):
        with gan.networks.frozen():
            again = gan.guide(out.x, label).double()
        assert torch.allclose(out.log_ratio, again, atol=1e-5)


@pytest.mark.parametrize(
    "sampler",
    [
        Rejection(log_max=math.log(1.9)),
        Metropolis(proposals=30),
        ISIR(points=5, rounds=8),
        MALA(steps=40),
    ],
    ids=lambda s: s.name,
)
@pytest.mark.parametrize("calibrated", [False, True], ids=["exact", "per class"])
def test_every_class_follows_its_own_data(sampler, calibrated):
    """Also where the logit is distorted in each class and calibrated back in each class."""
    scale, shift = [1.0, 0.5, 2.0, -1.0], [0.0, 1.0, -1.0, 0.5]
    gan = boxes(Tilt(scale, shift) if calibrated else Tilt())
    if calibrated:
        maps = tuple(Platt(1 / a, -b / a, 30.0, 0.0) for a, b in zip(scale, shift, strict=True))
        law, ratio = next(iter(gan.ratios.items()))
        per_class = PerClass((0, 1, 2, 3), maps, Platt(1.0, 0.0, 30.0, 0.0))
        gan = gan.with_ratio(law, replace(ratio, calibrator=per_class))
    out = sample(gan, sampler, 4000, progress=False)
    u = inside(out.x, out.condition)
    for label in range(4):
        mean = float(u[out.condition == label, 0].mean())
        assert mean == pytest.approx(float(SLOPES[label]) / 3, abs=4 * 0.58 / math.sqrt(1000))


def test_a_shared_guide_is_calibrated_by_class():
    """Where the guide's logit is the ratio's, no network runs again: the label is still known."""
    gan = boxes(Tilt())
    mover = Refine(steps=2, step_size=0.01, spread=0.1)
    maps = tuple(Platt(1.0, float(label), 30.0, 0.0) for label in range(4))
    calibrator = PerClass((0, 1, 2, 3), maps, Platt(9.0, 9.0, 30.0, 0.0))
    gan = gan.with_ratio(gan.law(mover), Ratio(gan.guide, calibrator=calibrator))
    out = sample(gan, OBRS(proposal=mover, pilot=100), 64, width=64, progress=False)
    again = gan.guide(out.x, out.condition).double() + out.condition
    assert torch.allclose(out.log_ratio, again, atol=1e-5)


def test_a_ratio_holds_for_every_choice_of_labels():
    gan = boxes(Tilt())
    one = gan.with_condition(torch.tensor([2]))
    assert one.law(Direct()) == gan.law(Direct())
    assert set(sample(one, Metropolis(proposals=3), 32, width=16).condition.tolist()) == {2}
    assert gan.with_condition(lambda ids: ids % 2).law(Direct()) == gan.law(Direct())
    with pytest.raises(InputError, match="own condition"):
        gan.with_condition(torch.zeros(4, 3))


# -- what does not fit --------------------------------------------------------------------------

X = torch.zeros(100, 2)


@pytest.mark.parametrize("call", [fit_ratio, calibrate, diagnose, shape], ids=lambda c: c.__name__)
@pytest.mark.parametrize(
    "real, words",
    [
        (X, "must bring their conditions"),
        ((X, torch.zeros(99).long()), "100 samples came with 99 conditions"),
        ((X, torch.zeros(100, 3)), "as in this GAN's own condition"),
        ((X, torch.zeros(100)), "allowed is .* of torch.int64"),
        (Real(X, X, X, X), "must bring their conditions"),
    ],
    ids=["none", "count", "shape", "dtype", "parts"],
)
def test_real_data_must_bring_their_conditions(call, real, words):
    with pytest.raises(InputError, match=words):
        call(boxes(Tilt()), real)


def test_conditions_where_there_should_be_none():
    gan = GAN(nn.Linear(2, 2), nn.Linear(2, 1), Normal(2))
    with pytest.raises(InputError, match="this GAN has no condition"):
        fit_ratio(gan, (X, torch.zeros(100).long()))
    with pytest.raises(InputError, match="must bring"):
        boxes(Tilt()).observe(X)


def test_parts_and_conditions_of_different_length():
    short = Real(*[torch.zeros(9).long()] * 4)
    with pytest.raises(DataError, match="part 'fit' has 100 samples and 9 conditions"):
        Real(X, X, X, X, conditions=short)


@pytest.mark.parametrize(
    "condition",
    [lambda ids: ids[:3], lambda ids: 3, torch.zeros(0).long()],
    ids=["rows", "number", "empty"],
)
def test_conditions_that_are_no_rows(condition):
    with pytest.raises(InputError, match="condition"):
        boxes(Tilt(), condition)


def test_pairs_are_split_together():
    x = torch.arange(200.0)[:, None]
    parts = split_real((x, 3 * torch.arange(200)))
    for part in ("fit", "select", "calibrate", "test"):
        rows = parts.rows(part)
        assert torch.equal(3 * rows.x[:, 0].long(), rows.cond)
    assert torch.equal(parts.fit, split_real(x).fit)


# -- files --------------------------------------------------------------------------------------


def test_samples_keep_their_conditions_in_files(tmp_path):
    gan = boxes(Tilt())
    out = sample(gan, Direct(), 100, width=16)
    back = Samples.load(out.save(tmp_path / "a.npz"))
    assert torch.equal(back.condition, gan.conditions(out.ids))
    joined = Samples.join([out, out], {})
    assert torch.equal(joined.condition, torch.cat([out.condition, out.condition]))
    writer = make_writer("npz", tmp_path / "many")
    writer.add(out)
    writer.close()
    (path,) = (tmp_path / "many").glob("*.npz")
    assert torch.equal(Samples.load(path).condition, out.condition)


@pytest.mark.parametrize("cond", [LABELS, torch.eye(4)], ids=["labels", "tensors"])
def test_parquet_keeps_conditions(tmp_path, cond):
    parquet = pytest.importorskip("pyarrow.parquet")
    gan = GAN(Plane(), None, Normal(2), condition=cond)
    out = sample(gan, Direct(), 50, width=16)
    writer = make_writer("parquet", tmp_path)
    writer.add(out)
    writer.close()
    table = parquet.read_table(tmp_path / "samples-000000000000.parquet")
    assert table["condition"].to_pylist() == out.condition.tolist()


def test_a_conditional_run_is_read_as_it_was_written(tmp_path):
    spec = {"net": "conditional-ratio", "x_shape": [2], "classes": 4}
    generator = {"net": "conditional_boxes:Boxes"}
    data = draw_data(2000)
    gan = boxes().replace(specs={"generator": generator})
    gan = fit_ratio(gan, data, **{**QUICK, "n": 500, "schedule": [(5, 1e-3)], "batch": 100})
    gan = calibrate(gan, data, method="platt", per_class=True)
    diagnose(gan, data)
    save_run(gan, tmp_path)
    back, _ = load_run(tmp_path, trust=True)
    ratio = back.ratio(Direct())
    assert ratio.spec == gan.ratio(Direct()).spec and torch.equal(back.condition, LABELS)
    assert spec in (ratio.spec, ratio.spec.get("base")), "trees stand on the network, if they won"
    assert ratio.diagnosis == gan.ratio(Direct()).diagnosis
    wanted, got = (sample(g, Metropolis(proposals=3), 32, width=16) for g in (gan, back))
    assert torch.equal(wanted.x, got.x) and torch.equal(wanted.log_ratio, got.log_ratio)


def test_of_an_unconditional_gan_nothing_is_kept(tmp_path):
    out = sample(GAN(nn.Linear(2, 2), None, Normal(2)), Direct(), 20, width=16)
    assert out.condition is None and "condition" not in out.fields
    assert Samples.load(out.save(tmp_path / "a.npz")).condition is None
    assert Score(nn.Linear(2, 1))(out.x).shape == (20,)
