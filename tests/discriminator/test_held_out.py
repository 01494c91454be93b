"""What is held out is never fitted on, whatever the call and however the data come in."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from gantandem import GAN, Normal, Real, Refine, calibrate, diagnose, fit_ratio, shape
from gantandem.data.real import PARTS
from gantandem.discriminator import candidates
from gantandem.discriminator.held_out import REMEMBERED, check_unseen, remember, rows_hash
from gantandem.discriminator.parts import split_real
from gantandem.nets import boosted, build
from gantandem.nets.boosted import columns
from gantandem.nets.weights import read_tensors, write_tensors
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.runs.folder import load_run, save_run
from run_files import earlier

SEEN: list[torch.Tensor] = []


class Recorder(nn.Module):
    """A discriminator that notes every sample that goes through it, copies of it too."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.main = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x, cond=None):
        SEEN.append(x.detach().clone())
        return self.main(x) if cond is None else self.main(x) + 0.1 * cond[:, None]


class Half(nn.Module):
    def forward(self, z, cond=None):
        return 0.5 * z


def cloud(n: int, seed: int = 0) -> torch.Tensor:
    return 1 + torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def keys(x: torch.Tensor) -> set[int]:
    return set(rows_hash(x).tolist())


def noted_columns(x, cond):
    SEEN.append(x.detach().clone())
    return columns(x, cond)


def touched(call, real: set[int]):
    """What a call returns, and which real samples went through a network, a line or trees."""
    SEEN.clear()
    with pytest.MonkeyPatch.context() as patch:
        for module in (candidates, boosted):
            patch.setattr(module, "columns", noted_columns)
        found = call()
    return found, real & set().union(*(keys(x) for x in SEEN))


FIT = {"n": 300, "schedule": [(15, 1e-3)], "batch": 128, "progress": False}
SHAPE = {"updates": 8, "check_every": 4, "check_samples": 64, "batch": 128, "progress": False}
LABELS = torch.arange(600) % 3


@pytest.mark.parametrize(
    "door, seed",
    [(door, 0) for door in ("tensor", "pair", "real", "repeated", "shuffled", "less")]
    + [("shuffled", 1)],
)
def test_no_step_touches_what_a_later_one_is_held_out_for(door, seed):
    x = cloud(150 if door == "repeated" else 600)
    order = torch.randperm(600, generator=torch.Generator().manual_seed(seed))
    doors = {
        "tensor": (x, x),
        "pair": ((x, LABELS), (x, LABELS)),
        "real": (split_real(x), split_real(x)),
        "repeated": (x.repeat(8, 1), x.repeat(8, 1)),
        "shuffled": (x, x[order % len(x)]),
        "less": (x[:500], x),
    }
    first, then = doors[door]
    condition = torch.arange(3) if door == "pair" else None
    gan = GAN(Half(), Recorder(), Normal(2), condition=condition)
    refine = Refine(steps=2, step_size=0.1, layer="latent")
    real = keys(x)
    shaped, guiding = touched(lambda: shape(gan, first, refine=refine, seed=seed, **SHAPE), real)
    fitted, fit = touched(lambda: fit_ratio(shaped, first, seed=seed, **FIT), real)
    better, held = touched(lambda: calibrate(fitted, then, method="platt"), real)
    _, test = touched(lambda: diagnose(better, then), real)
    assert min(map(len, (guiding, fit, held, test))) >= 10
    assert not (guiding | fit) & (held | test)
    assert not held & test


class Same(nn.Module):
    def forward(self, z):
        return z


@pytest.mark.slow
def test_repeated_samples_do_not_flatter_a_useless_ratio(caplog):
    """Data and generator have one law; a network that knows each point by heart is not believed."""
    x = torch.randn(300, 8, generator=torch.Generator().manual_seed(0)).repeat(8, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hidden = [nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
        network = nn.Sequential(*hidden, nn.Linear(128, 1))
    gan = GAN(Same(), None, Normal(8))
    options = {"n": 2000, "schedule": [(250, 3e-3)], "batch": 250, "progress": False}
    order = torch.randperm(2400, generator=torch.Generator().manual_seed(0))
    by_place = Real(*(x[index] for index in order.split([1680, 240, 240, 240])))
    fits = [fit_ratio(gan, real, network=network, **options) for real in (x, by_place)]
    assert 0.25 < diagnose(fits[0], x, n=1000).auc < 0.75
    assert WORDS not in caplog.text
    assert diagnose(fits[1], by_place, n=1000).auc > 0.85
    assert WORDS in caplog.text and "100% of the 240" in caplog.text


def test_the_split_is_of_content():
    """Neither order nor repetition moves a sample to another part; conditions follow."""
    x = cloud(1000)
    parts = split_real(x)
    assert [len(getattr(parts, part)) for part in PARTS] == [700, 100, 100, 100]
    order = torch.randperm(3000, generator=torch.Generator().manual_seed(3))
    cond = torch.arange(1000).repeat(3)[order]
    other = split_real((x.repeat(3, 1)[order], cond))
    for part in PARTS:
        mine, rows = getattr(parts, part), other.rows(part)
        assert len(rows.x) == 3 * len(mine) and keys(rows.x) == keys(mine)
        assert torch.equal(x[rows.cond], rows.x)


def test_of_a_discrete_law_equal_samples_land_in_every_part():
    table = torch.randint(3, (2000, 2), generator=torch.Generator().manual_seed(0)).float()
    parts = split_real(table, apart=True)
    assert [len(getattr(parts, part)) for part in PARTS] == [1400, 200, 200, 200]
    assert all(keys(getattr(parts, part)) == keys(table) for part in PARTS)


def test_few_distinct_samples_are_told(caplog):
    parts = split_real(cloud(20).repeat(10, 1))
    assert "200 samples are 20 distinct ones" in caplog.text
    assert min(len(getattr(parts, part)) for part in PARTS) == 20


def test_a_hash_is_of_values():
    x = cloud(1000)
    assert len(keys(x)) == 1000
    assert torch.equal(rows_hash(x.double()), rows_hash(x))
    assert torch.equal(rows_hash(x.reshape(1000, 1, 2)), rows_hash(x))
    assert torch.equal(rows_hash(torch.tensor([[0.0]])), rows_hash(torch.tensor([[-0.0]])))
    assert torch.equal(rows_hash(x.t().contiguous().t()), rows_hash(x))  # strides do not count
    assert len(keys(torch.tensor([[1.0, 2.0], [2.0, 1.0]]))) == 2
    assert len(rows_hash(x[:0])) == 0


# -- a ratio remembers --------------------------------------------------------------------------

DATA = cloud(600)
SPEC = {"net": "mlp-discriminator", "width": 8, "layers": 2}
WORDS = "are among those that this ratio or its guide was fitted on"


def fitted(real) -> GAN:
    plain = {"net": "mlp-generator", "width": 8, "layers": 2}
    gan = GAN(build(plain), None, Normal(2)).replace(specs={"generator": plain})
    return fit_ratio(gan, real, network=build(SPEC), spec=SPEC, **FIT)


def test_the_same_data_are_used_in_silence(caplog):
    gan = fitted(DATA)
    for method in ("platt", "isotonic"):  # calibrating again is no overlap
        gan = calibrate(gan, DATA, method=method)
    diagnose(gan, DATA)
    assert WORDS not in caplog.text


@pytest.mark.parametrize("call", [calibrate, diagnose], ids=lambda c: c.__name__)
@pytest.mark.parametrize(
    "other, share",
    [
        (Real(*[DATA] * 4), "80%"),
        (Real(*[split_real(DATA).fit] * 4), "100%"),
        (Real(*[split_real(DATA).select] * 4), "100%"),
        (Real(*[torch.cat([split_real(DATA).fit[:50], cloud(150, 1)])] * 4), "25%"),
    ],
    ids=["all", "fit", "select", "some"],
)
def test_an_overlap_is_told_whichever_way_the_data_came_in(call, other, share, caplog):
    call(fitted(DATA), other)
    assert WORDS in caplog.text and share in caplog.text


def test_what_a_calibrator_was_fitted_on_is_no_test(caplog):
    parts = split_real(DATA)
    gan = calibrate(fitted(DATA), DATA, method="platt")
    diagnose(gan, Real(*[parts.calibrate] * 4))
    assert "100% of the 60" in caplog.text


def test_a_ratio_remembers_in_a_run_folder(tmp_path, caplog):
    gan = calibrate(fitted(DATA), DATA, method="platt")
    save_run(gan, tmp_path)
    back, _ = load_run(tmp_path)
    (law,) = gan.ratios
    for step in ("fit", "calibrate"):
        assert torch.equal(back.ratios[law].seen[step], gan.ratios[law].seen[step])
    diagnose(back, DATA)
    assert WORDS not in caplog.text
    diagnose(back, Real(*[DATA] * 4))
    assert WORDS in caplog.text


def test_a_guide_remembers_what_it_was_shaped_on(tmp_path, caplog):
    """It leads samples to these, so that they are no test of its law's ratio either."""
    other = cloud(600, 5)
    gan = fit_ratio(fitted(DATA), DATA, as_guide=True, network=build(SPEC), spec=SPEC, **FIT)
    refine = Refine(steps=2, step_size=0.1, layer="latent")
    shaped = shape(gan, other, refine=refine, **SHAPE)
    judged = fit_ratio(shaped, DATA, network=build(SPEC), spec=SPEC, **FIT)
    save_run(judged, tmp_path)
    for g in (judged, load_run(tmp_path)[0]):
        caplog.clear()
        diagnose(g, DATA)
        assert WORDS not in caplog.text
        diagnose(g, Real(*[split_real(other).fit] * 4))
        assert "diagnose: 100% of the 420" in caplog.text


def test_a_ratio_file_without_a_memory_still_loads(tmp_path, caplog):
    gan = fitted(DATA)
    save_run(gan, tmp_path)
    (path,) = (earlier(tmp_path) / "ratios").iterdir()
    tensors, metadata = read_tensors(path)
    old = {k: v for k, v in tensors.items() if not k.startswith("gantandem.")}
    assert len(old) < len(tensors)
    write_tensors(path, old, metadata)
    back, _ = load_run(tmp_path)
    (ratio,) = back.ratios.values()
    assert ratio.seen == {}
    diagnose(back, Real(*[DATA] * 4))
    assert WORDS not in caplog.text


def ratio() -> Ratio:
    return Ratio(Score(nn.Linear(2, 1)))


def test_a_law_that_repeats_its_samples_is_no_leak(caplog):
    noise = torch.Generator().manual_seed(0)
    table = torch.randint(10, (900, 2), generator=noise).float()
    known = remember(ratio(), "fit", table[:600])
    assert check_unseen(known, table[600:], "diagnose", table[:300].flip(0)) > 0.9
    assert not caplog.text
    check_unseen(known, table[600:], "diagnose", cloud(300))
    assert WORDS in caplog.text


def test_a_few_equal_samples_are_not_told(caplog):
    known = remember(ratio(), "fit", DATA)
    held = torch.cat([DATA[:1], cloud(199, 1)])
    assert check_unseen(known, held, "calibrate") == pytest.approx(0.005)
    assert not caplog.text


def test_of_a_large_fit_a_fair_part_is_remembered(caplog):
    caplog.set_level(logging.WARNING)
    x = cloud(200_000)
    known = remember(ratio(), "fit", x)
    assert len(known.seen["fit"]) == REMEMBERED
    assert check_unseen(known, x[:3000], "diagnose") == 1
    mixed = torch.cat([x[:3000], cloud(9000, 1)])
    assert check_unseen(known, mixed, "diagnose") == pytest.approx(0.25, abs=0.04)
    assert check_unseen(known, cloud(3000, 2), "diagnose") == 0
