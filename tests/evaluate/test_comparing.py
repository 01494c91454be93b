"""``compare`` checks every sampler before it draws the first, and keeps what it measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from gantandem import DRS, OBRS, Direct, Metropolis, Refine, Rejection, Uniform, compare, sample
from gantandem.errors import (
    BudgetError,
    ConfigError,
    GANtandemError,
    IncompleteError,
    InputError,
    LawMismatchError,
    NonFiniteError,
)
from gantandem.evaluate.comparison import Compared
from gantandem.gan import GAN
from gantandem.testing import toy_gan
from targets import Formula

N = 64


def numbers(x):
    return {"mean": float(x.mean())}


@dataclass(frozen=True, kw_only=True)
class Breaks(Direct):
    """Fails while it draws, never before."""

    name: ClassVar[str] = "breaks"
    fails: str = "number"

    def step(self, gan, key, state):
        state, moved = super().step(gan, key, state)
        if self.fails == "network":
            raise RuntimeError("out of memory")
        if self.fails == "interrupt":
            raise KeyboardInterrupt
        return state, moved._replace(x=moved.x / 0)


def steep():
    return GAN(
        Formula(lambda z: z, torch.float32),
        Formula(lambda x: 400.0 * x[:, 0]),
        Uniform(1, 0.0, 1.0),
    )


HOPELESS = Rejection(pilot=300, budget=3)
WRONG = {
    "no sampler": (3, InputError, "a mover"),
    "no such name": ("obsr", ConfigError, "did you mean 'obrs'"),
    "not shaped": ("collaborative", InputError, "was not shaped"),
    "a class": (OBRS, InputError, "a mover"),
    "no ratio of its law": (Metropolis(proposal=Refine(layer="latent")), LawMismatchError, "fit"),
    "no such layer": (Refine(layer="nowhere"), GANtandemError, "nowhere"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("place", [0, 2])
def test_what_cannot_run_is_named_before_anything_is_drawn(name, place, monkeypatch):
    sampler, error, words = WRONG[name]
    gan, drawn = toy_gan(), []
    monkeypatch.setattr("gantandem.evaluate.comparing.sample", lambda *a, **k: drawn.append(a))
    samplers = [("direct", Direct()), ("drs", DRS(pilot=100, percentile=5.0))]
    samplers.insert(place, ("bad one", sampler))
    with pytest.raises(error, match=f"bad one: .*{words}"):
        compare(gan, dict(samplers), numbers, N)
    assert not drawn


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 2.5}, {"seed": -1}, {"width": 7}])
def test_arguments_are_checked_before_anything_is_drawn(options, monkeypatch):
    monkeypatch.setattr("gantandem.evaluate.comparing.sample", None)
    with pytest.raises(InputError, match=next(iter(options))):
        compare(toy_gan(), {"a": Direct(), "b": OBRS(pilot=100)}, numbers, **options)
    with pytest.raises(InputError, match="compare real: "):
        compare(toy_gan(), {"a": Direct()}, "mean", N)
    with pytest.raises(InputError, match="give real samples .*, or metrics="):
        compare(toy_gan(), {"a": Direct()})
    with pytest.raises(InputError, match="metrics: got 'mean'"):
        compare(toy_gan(), {"a": Direct()}, metrics="mean")


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("how", "error", "reason"),
    [("number", NonFiniteError, "breaks: "), ("network", RuntimeError, "RuntimeError: out of mem")],
)
def test_a_sampler_that_fails_does_not_stop_the_others(place, how, error, reason, caplog):
    samplers = [("direct", Direct()), ("obrs", OBRS(pilot=200))]
    samplers.insert(place, ("bad", Breaks(fails=how)))
    with pytest.raises(IncompleteError, match=f"not measured: bad: {reason}") as stop:
        compare(toy_gan(), dict(samplers), numbers, N)
    assert isinstance(stop.value.__cause__, error)
    assert list(stop.value.finished) == ["direct", "obrs"]
    whole = compare(toy_gan(), {"direct": Direct(), "obrs": OBRS(pilot=200)}, numbers, N)
    for name, kept in stop.value.finished.items():
        assert isinstance(kept, Compared) and torch.equal(kept.samples.x, whole[name].samples.x)
        assert kept.row["metrics"] == whole[name].row["metrics"]
    assert stop.value.metrics["samplers"]["obrs"] == stop.value.finished["obrs"].row
    assert stop.value.metrics["failed"]["bad"].startswith(reason)


@pytest.mark.parametrize("place", [0, 1])
def test_a_sampler_that_is_hopeless_by_its_pilot_costs_its_row_alone(place):
    samplers = [("direct", Direct())]
    samplers.insert(place, ("hopeless", HOPELESS))
    with pytest.raises(IncompleteError, match="not measured: hopeless: .*in the pilot") as stop:
        compare(steep(), dict(samplers), numbers, N)
    assert list(stop.value.finished) == ["direct"]
    with pytest.raises(BudgetError, match="in the pilot"):
        compare(steep(), {"hopeless": HOPELESS}, numbers, N)


def test_a_metric_that_fails_costs_its_row_alone():
    seen = []

    def metrics(x):
        seen.append(len(x))
        if len(seen) == 2:
            raise KeyError("no such class")
        return numbers(x)

    samplers = {"a": Direct(), "b": Direct(), "c": Direct()}
    with pytest.raises(IncompleteError, match="b: KeyError: 'no such class'") as stop:
        compare(toy_gan(), samplers, metrics, N)
    assert list(stop.value.finished) == ["a", "c"]


@pytest.mark.parametrize("count", [1, 2])
def test_where_nothing_was_measured_the_error_is_the_samplers_own(count):
    samplers = {f"bad {k}": Breaks() for k in range(count)}
    with pytest.raises(NonFiniteError, match="^breaks: "):
        compare(toy_gan(), samplers, numbers, N)


def test_ctrl_c_hands_over_what_was_measured():
    samplers = {"direct": Direct(), "bad": Breaks(fails="interrupt"), "late": Direct()}
    with pytest.raises(KeyboardInterrupt) as stop:
        compare(toy_gan(), samplers, numbers, N)
    assert list(stop.value.finished) == ["direct"]


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
    with pytest.raises(KeyboardInterrupt, match="refine not measured; nothing was") as stop:
        compare(toy_gan(), {"refine": Refine(steps=4, step_size=0.1)}, len, 1000, width=64)
    assert 0 < len(stop.value.samples) < 1000


def test_what_was_prepared_to_check_is_not_prepared_again():
    gan, sampler = toy_gan(), OBRS(pilot=2000)
    rows = []
    gan.generator.register_forward_hook(lambda module, args, out: rows.append(len(out)))
    row = compare(gan, {"a": sampler, "b": Direct()}, numbers, N, width=64)["a"].row
    assert sum(rows) < 2 * 2000
    alone = sample(toy_gan(), sampler, N, width=64).manifest
    assert row["setup_passes"] == alone["setup_passes"] > 0
    assert row["sampler"] == alone["sampler"]


def test_rows_of_an_equal_budget_stand_beside_what_costs_more():
    gan = toy_gan()
    samplers = {"direct": Direct(), "metropolis": Metropolis(proposals=5)}
    found = compare(gan, samplers, torch.randn(400, 2), n=64, equal_budget=True, progress=False)
    passes = round(found["metropolis"].row["passes_per_sample"])
    assert list(found) == ["direct", "metropolis", f"obrs, K = {passes}"]
    assert found[f"obrs, K = {passes}"].row["sampler"]["expected"] == passes
    asked = ["metropolis", OBRS(expected=passes)]
    again = compare(
        gan, {"m": samplers["metropolis"], "own": asked[1]}, torch.randn(400, 2), n=64,
        equal_budget=True, progress=False,
    )  # fmt: skip
    assert list(again) == ["m", "own"]  # it is there already
