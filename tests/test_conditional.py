"""Conditions follow each sample: from real data, through fits, to every sampler's output."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

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
from gantandem.discriminator.calibration import PerClass, Platt, make_calibrator
from gantandem.discriminator.parts import split_real
from gantandem.errors import ConfigError, DataError, InputError
from gantandem.nets import build
from gantandem.nets.ratio import ratio_spec
from gantandem.samplers.base import Selector
from gantandem.score import Ratio, Score
from gantandem.writers import make_writer

CENTRES = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
SLOPES = torch.tensor([0.9, -0.9, 0.6, -0.3])
HALF = 0.25
LABELS = torch.arange(4)


def inside(x, label):
    """Where a sample lies in the box of its class, (N, 2): uniform on [-1, 1]^2 under p_G."""
    return (x - CENTRES.to(x)[label]) / HALF


class Boxes(nn.Module):
    """A uniform law on a box of its own for each label; no latent leads out of it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("centres", CENTRES.clone())

    def forward(self, z, label):
        return self.centres[label] + HALF * torch.special.erf(z / math.sqrt(2))


class Tilt(nn.Module):
    """The exact log ratio of data with density proportional to 1 + a u_0 in a label's box."""

    def __init__(self, scale=None, shift=None):
        super().__init__()
        self.register_buffer("scale", torch.ones(4) if scale is None else torch.tensor(scale))
        self.register_buffer("shift", torch.zeros(4) if shift is None else torch.tensor(shift))

    def forward(self, x, label):
        u = inside(x, label)[:, 0].clamp(-1.5, 1.5)
        exact = torch.log((1 + SLOPES[label] * u).clamp(min=0.02))
        return self.scale[label] * exact + self.shift[label]


def boxes(discriminator=None, condition=LABELS) -> GAN:
    return GAN(Boxes(), discriminator, Normal(2), condition=condition)


def draw_data(n, shares=(0.25, 0.25, 0.25, 0.25), seed=0):
    """Exact data: (n, 2) points and their labels, the labels with these shares."""
    noise = torch.Generator().manual_seed(seed)
    label = torch.multinomial(torch.tensor(shares), n, replacement=True, generator=noise)
    u = 2 * torch.rand(n, 2, generator=noise) - 1
    slope = SLOPES[label]
    # The inverse of the distribution function ((1 + u) + a (u^2 - 1) / 2) / 2 of u_0.
    level = torch.rand(n, generator=noise)
    u[:, 0] = (torch.sqrt((1 - slope) ** 2 + 4 * slope * level) - 1) / slope
    return CENTRES[label] + HALF * u, label


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
        gan = fit_latent_reweight(gan, pool=500, schedule=[(10, 1e-2)], batch=100)
    # Neighbouring ids never share a label, nor do ids a width apart.
    gan = gan.with_condition(lambda ids: (ids + ids // 64) % 4)
    out = sample(gan, TOYS[name], 300, width=64, strict=False, progress=False)
    label = (out.ids + out.ids // 64) % 4
    assert torch.equal(out.condition, label)
    assert torch.equal(torch.cdist(out.x, CENTRES).argmin(1), label)
    if isinstance(TOYS[name], Selector):
        with gan.frozen():
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
    with pytest.raises(InputError, match="kind"):
        gan.with_condition(torch.zeros(4, 3))


# -- fits ---------------------------------------------------------------------------------------

QUICK = {"pool": 5000, "schedule": [(150, 5e-3), (60, 5e-4)], "batch": 400, "progress": False}
SHARES = (0.7, 0.1, 0.1, 0.1)


def test_fit_ratio_recovers_the_ratio_given_the_label():
    """Though labels are asked for in equal shares and the data hold them in others."""
    x, label = draw_data(10_000, SHARES)
    gan = fit_ratio(boxes(), (x, label), **QUICK)
    ratio = gan.ratio(Direct())
    assert ratio.spec == {"net": "conditional-ratio", "x_shape": [2], "classes": 4}
    out = sample(boxes(), Direct(), 2000)
    with torch.no_grad():
        error = ratio.log_ratio(out.x, out.condition) - Tilt()(out.x, out.condition)
    for one in range(4):
        inner = (out.condition == one) & (inside(out.x, out.condition)[:, 0].abs() < 0.9)
        assert float(error[inner].square().mean().sqrt()) < 0.3
        assert abs(float(error[inner].mean())) < 0.2
    found = diagnose(gan, (x, label))
    assert set(found.by_class) == set("0123") and abs(found.z) < 4
    assert all(0.15 < brier < 0.26 for brier in found.by_class.values())


def test_fit_ratio_starts_from_a_conditional_guide():
    guide = build(ratio_spec((2,), cond_shape=(3,)))
    gan = GAN(Plane(), guide, Normal(2), condition=torch.eye(3))
    real = (draw_data(400)[0], torch.eye(3)[torch.arange(400) % 3])
    options = {**QUICK, "pool": 300, "schedule": [(1, 1e-9)], "batch": 50}
    fitted = fit_ratio(gan, real, **options).ratio(Direct()).score.network
    assert fitted is not guide
    for name, value in guide.state_dict().items():
        assert torch.allclose(value, fitted.state_dict()[name], atol=1e-6)


def test_shaping_under_conditions():
    """A guide that knows its label leads every class to its own data."""
    noise = torch.Generator().manual_seed(0)
    label = torch.arange(1200) % 2
    x = torch.stack([2.0 * label - 1, torch.ones(1200)], 1)
    x += 0.3 * torch.randn(1200, 2, generator=noise)
    generator = Plane()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = build(ratio_spec((2,), classes=2))
    gan = GAN(generator, start, Normal(2), condition=torch.arange(2))
    refine = Refine(steps=10, step_size=0.2, stop="last")
    options = {"updates": 150, "batch": 128, "check_every": 50, "check_samples": 200}
    shaped = shape(gan, (x, label), refine=refine, learning_rate=3e-3, progress=False, **options)
    out = sample(shaped, shaped.proposal, 400, width=64, progress=False)
    for one in range(2):
        middle = out.x[out.condition == one].mean(0)
        assert torch.allclose(middle, torch.tensor([2.0 * one - 1, 1.0]), atol=0.35)
    assert shaped.real_logits is not None


class Plane(nn.Module):
    """The same law for every label."""

    def forward(self, z, label):
        return 0.5 * z


def test_a_label_the_real_data_lack_still_has_a_row():
    x, label = draw_data(300, (0.5, 0.5, 0.0, 0.0))
    options = {**QUICK, "pool": 300, "schedule": [(2, 1e-3)], "batch": 50}
    gan = fit_ratio(boxes(), (x, label), **options)
    assert sample(gan, Metropolis(proposals=2), 16, width=16).x.isfinite().all()
    with pytest.raises(InputError, match="label -1"):
        fit_ratio(boxes(condition=torch.tensor([0, -1])), (x, label), **options)


@pytest.mark.parametrize(
    "x_shape, classes, cond_shape",
    [((3,), 5, ()), ((1, 8, 8), 5, ()), ((3,), 0, (2, 2)), ((1, 8, 8), 0, (4,))]
    + [((3, 8, 8), 0, (2, 8, 8)), ((3,), 0, (1,)), ((3, 2), 0, (6,))],
    ids=str,
)
def test_ratio_networks_that_see_conditions(x_shape, classes, cond_shape):
    noise = torch.Generator().manual_seed(0)
    network = build(ratio_spec(x_shape, classes, cond_shape)).eval()
    x = torch.randn(6, *x_shape, generator=noise)
    cond = torch.arange(6) % 5 if classes else torch.randn(6, *cond_shape, generator=noise)
    logit = network(x, cond)
    assert logit.shape == (6,)
    assert not torch.allclose(logit, network(x, cond.roll(1, 0)))
    assert torch.allclose(logit.roll(1, 0), network(x.roll(1, 0), cond.roll(1, 0)), atol=1e-5)


def test_a_ratio_network_needs_one_kind_of_condition():
    with pytest.raises(ValueError, match="either classes or cond_shape"):
        build({"net": "conditional-ratio", "x_shape": [2]})


# -- calibration --------------------------------------------------------------------------------


def distorted() -> GAN:
    return boxes(Tilt([1.0, 0.5, 2.0, 1.0], [0.0, 1.5, -1.5, 0.5]))


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_per_class(method):
    data = draw_data(12_000)
    real = split_real(data)
    real = replace(real, calibrate=data[0], conditions=replace(real.conditions, calibrate=data[1]))
    pooled = calibrate(distorted(), real, method=method).ratio(Direct())
    gan = calibrate(distorted(), real, method=method, per_class=True)
    ratio = gan.ratio(Direct())
    out = sample(gan, Direct(), 4000)
    with torch.no_grad():
        truth = Tilt()(out.x, out.condition).double()
        errors = [
            (r.log_ratio(out.x, out.condition) - truth)[truth > -1.5].abs().mean()
            for r in (ratio, pooled)
        ]
    assert errors[0] < 0.1 < 0.25 < errors[1]
    read = make_calibrator(ratio.calibrator.config())
    assert read == ratio.calibrator and isinstance(read, PerClass)


def test_small_classes_keep_the_pooled_map(caplog):
    x, label = draw_data(4000, (0.9, 0.02, 0.04, 0.04))
    real = split_real((x, label))
    gan = calibrate(distorted(), real, per_class=True)
    found = gan.ratio(Direct()).calibrator
    assert found.labels == (0,) and "labels [1, 2, 3] have fewer than 100" in caplog.text
    logit = torch.linspace(-1, 1, 4, dtype=torch.float64)
    assert torch.equal(found(logit, torch.full((4,), 2)), found.pooled(logit))
    assert torch.equal(found(logit, torch.full((4,), 7)), found.pooled(logit))
    assert not torch.equal(found(logit, torch.zeros(4).long()), found.pooled(logit))


def test_a_calibration_per_class_needs_labels():
    target = GAN(nn.Linear(2, 2), nn.Linear(2, 1), Normal(2))
    with pytest.raises(InputError, match="this GAN has no condition"):
        calibrate(target, torch.randn(100, 2), per_class=True)
    with pytest.raises(InputError, match="label of every sample"):
        PerClass((), (), Platt(1.0, 0.0, 1.0, 0.0))(torch.zeros(2))
    with pytest.raises(ConfigError):
        make_calibrator({"kind": "per-class", "labels": []})


# -- what does not fit --------------------------------------------------------------------------

X = torch.zeros(100, 2)


@pytest.mark.parametrize("call", [fit_ratio, calibrate, diagnose, shape], ids=lambda c: c.__name__)
@pytest.mark.parametrize(
    "real, words",
    [
        (X, "must bring their conditions"),
        ((X, torch.zeros(99).long()), "100 samples came with 99 conditions"),
        ((X, torch.zeros(100, 3)), "the kind this GAN was made with"),
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
    with pytest.raises(InputError, match="this GAN has none"):
        fit_ratio(gan, (X, torch.zeros(100).long()))
    with pytest.raises(InputError, match="must bring"):
        boxes(Tilt()).observe(X)


def test_parts_and_conditions_of_different_length():
    short = Real(*[torch.zeros(9).long()] * 4)
    with pytest.raises(DataError, match="part 'fit' has 100 samples and 9 conditions"):
        Real(X, X, X, X, conditions=short)


@pytest.mark.parametrize(
    "condition",
    [lambda ids: ids[:3], lambda ids: 3, torch.zeros(0).long(), torch.tensor(3)],
    ids=["rows", "number", "empty", "scalar"],
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
    (path,) = (tmp_path / "many").iterdir()
    assert torch.equal(Samples.load(path).condition, out.condition)


@pytest.mark.parametrize("cond", [LABELS, torch.eye(4)], ids=["labels", "tensors"])
def test_parquet_keeps_conditions(tmp_path, cond):
    parquet = pytest.importorskip("pyarrow.parquet")
    gan = GAN(Plane(), None, Normal(2), condition=cond)
    out = sample(gan, Direct(), 50, width=16)
    writer = make_writer("parquet", tmp_path)
    writer.add(out)
    writer.close()
    table = parquet.read_table(tmp_path / "samples.parquet")
    assert table["condition"].to_pylist() == out.condition.tolist()


def test_a_conditional_run_is_read_as_it_was_written(tmp_path):
    spec = {"net": "conditional-ratio", "x_shape": [2], "classes": 4}
    generator = {"net": "test_conditional:Boxes"}
    data = draw_data(2000)
    gan = boxes()
    gan.specs = {"generator": generator}
    gan = fit_ratio(gan, data, **{**QUICK, "pool": 500, "schedule": [(5, 1e-3)], "batch": 100})
    gan = calibrate(gan, data, method="platt", per_class=True)
    diagnose(gan, data)
    save_run(gan, tmp_path)
    back, _ = load_run(tmp_path)
    ratio = back.ratio(Direct())
    assert ratio.spec == spec and torch.equal(back.condition, LABELS)
    assert ratio.diagnosis == gan.ratio(Direct()).diagnosis
    wanted, got = (sample(g, Metropolis(proposals=3), 32, width=16) for g in (gan, back))
    assert torch.equal(wanted.x, got.x) and torch.equal(wanted.log_ratio, got.log_ratio)


def test_of_an_unconditional_gan_nothing_is_kept(tmp_path):
    out = sample(GAN(nn.Linear(2, 2), None, Normal(2)), Direct(), 20, width=16)
    assert out.condition is None and "condition" not in out.fields
    assert Samples.load(out.save(tmp_path / "a.npz")).condition is None
    assert Score(nn.Linear(2, 1))(out.x).shape == (20,)
