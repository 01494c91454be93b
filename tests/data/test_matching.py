"""Real data that do not suit the generator are refused or told, in every call that takes some."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gantandem import GAN, Normal, Real, diagnose, fit_ratio
from gantandem.data.matching import probe, take_in
from gantandem.discriminator.parts import parts_for
from gantandem.errors import DataError, InputError
from matching_gans import CALLS, QUICK, UNIT, gan, noise
from targets import Formula

# -- what is not finite, in any part ------------------------------------------------------------


def points(n: int = 200, bad: float | None = None) -> torch.Tensor:
    x = noise(n, 2)
    if bad is not None:
        x[n // 2, 1] = bad
    return x


def plane() -> GAN:
    return GAN(nn.Linear(2, 2), nn.Linear(2, 1), Normal(2))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("part", ["tensor", "fit", "select", "calibrate", "test"])
def test_a_sample_that_is_not_finite_is_refused_in_every_part(call, part, bad):
    sound = {name: points() for name in ("fit", "select", "calibrate", "test")}
    real = points(200, bad) if part == "tensor" else Real(**{**sound, part: points(200, bad)})
    if call == "observe" and part in ("select", "calibrate", "test"):
        CALLS[call](plane(), real)  # it looks at the fit part alone
        return
    with pytest.raises(DataError, match=r"1 of 200 samples hold values that are NaN.*at 100\)"):
        CALLS[call](plane(), real)


@pytest.mark.parametrize("call", list(CALLS)[:4])
@pytest.mark.parametrize(
    "parts, words",
    [
        ({"test": points()[:0]}, "part 'test': got no samples; at least 4"),
        ({"select": points()[:3]}, "part 'select': got 3 samples"),
        ({"calibrate": noise(50, 3)}, r"part 'calibrate'.*\(3,\).*makes \(2,\)"),
        ({"fit": noise(50)}, r"part 'fit'.*shape \(\)"),
        ({"test": "test.npy"}, "part 'test': got the path 'test.npy'"),
    ],
    ids=["empty", "few", "shape", "flat", "path"],
)
def test_every_part_is_checked_as_a_tensor_is(call, parts, words):
    sound = {name: points() for name in ("fit", "select", "calibrate", "test")}
    with pytest.raises(DataError, match=words):
        CALLS[call](plane(), Real(**{**sound, **parts}))


def test_conditions_that_are_not_finite_are_refused():
    g = GAN(Sum(), None, Normal(2), condition=torch.eye(2))
    cond = torch.eye(2).repeat(100, 1)
    fitted = fit_ratio(g, (points(), cond), **QUICK)
    cond[7, 0] = math.nan
    with pytest.raises(InputError, match="conditions: some values are NaN"):
        fit_ratio(g, (points(), cond), **QUICK)
    sound = Real(*[torch.eye(2).repeat(100, 1)] * 3, cond)
    with pytest.raises(InputError, match="conditions: some values are NaN"):
        diagnose(fitted, Real(*[points()] * 4, conditions=sound))


class Sum(nn.Module):
    def forward(self, x, cond):
        return x + cond


# -- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_another_shape_is_refused_in_every_call(call):
    with pytest.raises(DataError, match=r"real\.permute\(0, 3, 1, 2\)"):
        CALLS[call](gan(3, 8, 8), torch.rand(60, 8, 8, 3))


@pytest.mark.parametrize(
    "want, got, fix",
    [
        ((3, 8, 8), (60, 8, 8, 3), lambda real: real.permute(0, 3, 1, 2)),
        ((1, 8, 8), (60, 8, 8, 1), lambda real: real.permute(0, 3, 1, 2)),
        ((8, 8, 3), (60, 3, 8, 8), lambda real: real.permute(0, 2, 3, 1)),
        ((1, 8, 8), (60, 8, 8), lambda real: real[:, None]),
        ((8, 8), (60, 1, 8, 8), lambda real: real[:, 0]),
        ((64,), (60, 1, 8, 8), lambda real: real.reshape(-1, 64)),
        ((1, 8, 8), (60, 64), lambda real: real.reshape(-1, 1, 8, 8)),
        ((3, 8, 8), (60, 1, 8, 8), lambda real: real.expand(-1, 3, -1, -1)),
        ((1, 8, 8), (60, 3, 8, 8), lambda real: real.mean(1, keepdim=True)),
        ((3, 8, 8), (60, 4, 8, 8), lambda real: real[:, :3]),
        ((1,), (60,), lambda real: real[:, None]),
        (
            (3, 8, 8),
            (60, 3, 16, 12),
            lambda real: torch.nn.functional.interpolate(
                real, size=(8, 8), mode="bilinear", antialias=True
            ),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "",
)
def test_the_message_says_how_to_map(want, got, fix):
    """What it says is code, and that code gives the generator's shape."""
    real, g = torch.rand(got), gan(*want, last=torch.sigmoid)
    with pytest.raises(DataError) as error:
        parts_for(g, real, "fit_ratio real")
    mapped = eval(str(error.value).rpartition(": ")[2], {"torch": torch, "real": real})
    assert torch.equal(mapped, fix(real)) and mapped.shape[1:] == want
    parts_for(g, mapped, "fit_ratio real")


def test_steps_are_named_one_after_the_other():
    with pytest.raises(DataError, match=r"permute.*, then make 3 channels of 1.*, then resize"):
        parts_for(gan(3, 8, 8), torch.rand(60, 16, 16, 1), "real")
    with pytest.raises(DataError, match="these are batches, join them"):
        parts_for(gan(3, 8, 8), torch.rand(60, 5, 3, 8, 8), "real")
    with pytest.raises(DataError, match=r"shape \(5,\).*must be \(N, 2\): reshape them"):
        parts_for(plane(), noise(60, 5), "real")


@pytest.mark.parametrize("call", CALLS)
def test_numbers_without_an_axis_end_in_one_message(call):
    g = GAN(nn.Linear(2, 1), nn.Linear(1, 1), Normal(2))
    with pytest.raises(DataError, match=r"must be \(N, 1\).*real\[:, None\]"):
        CALLS[call](g, noise(100))
    with pytest.raises(DataError, match=r"shape \(\).*must be \(N, 2\)"):
        CALLS[call](plane(), noise(100))


# -- types -------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64])
def test_other_types_are_put_in_the_generators(call, dtype, caplog):
    x = (3 * points()).to(dtype)
    assert CALLS[call](plane(), x) is not None
    sound = [(3 * points(200)).to(dtype)] * 4
    assert CALLS[call](plane(), Real(*sound)) is not None
    assert "data lie" not in caplog.text


def test_a_double_generator_keeps_double_data():
    g = GAN(Formula(lambda z: z), None, Normal(2))
    x = points().double() + 1e-12
    assert parts_for(g, x, "real").fit.dtype == torch.float64
    big = torch.full((60, 2), 1e300, dtype=torch.float64)
    with pytest.raises(DataError, match="infinite as float32"):
        parts_for(plane(), big, "real")


def test_a_look_at_the_generator_leaves_it_as_it_is():
    g = gan(3, 8, 8)
    runs = g.networks
    g.generator.train()
    before, state = g.generator.weight.clone(), torch.get_rng_state()
    assert torch.equal(probe(runs), probe(runs)) and len(probe(runs)) == 256
    take_in(runs, 2 * UNIT - 1, "real")
    assert g.generator.training and torch.equal(before, g.generator.weight)
    assert torch.equal(torch.get_rng_state(), state)
