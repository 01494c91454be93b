"""Sweeps: what is varied, what is measured of it, and that no ratio judges another law."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import torch
from torch import nn

import gantandem
from gantandem import (
    GAN,
    MALA,
    OBRS,
    SAMPLERS,
    Direct,
    Metropolis,
    Refine,
    Rejection,
    Sweep,
    compare,
    from_config,
    to_config,
)
from gantandem.errors import ConfigError, InputError
from gantandem.evaluate.knobs import SWEEPS, default_sweeps, parse_sweep, plan
from gantandem.evaluate.metrics.pareto import Axis, Pareto
from gantandem.evaluate.sweeping import sweep
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio
from gantandem.samplers.base import Selector
from targets import gaussian

N = 64
PARETO = Pareto(Axis("mean", "high"), Axis("std", "one"), Axis("mean", "low"))


def numbers(x):
    return {"mean": float(x.mean()), "std": float(x.std())}


def run_sweep(gan, samplers, n=N, **options):
    return sweep(gan, samplers, numbers, n, width=32, **options)


# -- what is varied ------------------------------------------------------------------------------


def test_a_line_of_settings_keeps_the_order_given():
    planned = plan({"o": OBRS(), "d": Direct()}, {"o": [Sweep("expected", (8, 2.5))]})
    assert [one.label for one in planned] == ["o expected=8", "o expected=2.5", "d"]
    assert [one.sampler for one in planned] == [OBRS(expected=8), OBRS(expected=2.5), Direct()]


def test_two_knobs_are_varied_one_at_a_time():
    lines = [Sweep("expected", (2,)), Sweep("proposal.steps", (3, 4))]
    base = OBRS(proposal=Refine(steps=9), expected=5)
    found = [one.sampler for one in plan({"o": base}, {"o": lines})]
    assert found == [
        OBRS(proposal=Refine(steps=9), expected=2),
        OBRS(proposal=Refine(steps=3), expected=5),
        OBRS(proposal=Refine(steps=4), expected=5),
    ]


@pytest.mark.parametrize(
    ("text", "name", "knob", "values"),
    [
        ("obrs.expected=2,4.5", "obrs", "expected", (2, 4.5)),
        ("collaborative.proposal.stop=random,last", "collaborative", "proposal.stop",
         ("random", "last")),
        ("my.module:Own.rate=1e-3", "my.module:Own", "rate", (0.001,)),
        ("refine.clamp=[0,1],null", "refine", "clamp", ((0, 1), None)),
    ],
)  # fmt: skip
def test_a_sweep_is_read_from_text(text, name, knob, values):
    assert parse_sweep(text) == (name, Sweep(knob, values))


MISTAKES = {
    "obrs=2,4": "allowed is SAMPLER.KNOB",
    "obrs.expected": "allowed is SAMPLER.KNOB",
    ".expected=2": "allowed is SAMPLER.KNOB",
    "obrs.=2": "allowed is SAMPLER.KNOB",
    "obrs.expected=": "no value was given",
    "obrs.expected=[2": "not a list of values",
    "obrs.expected=2,4,2": "2 is given twice",
    "obrs.expected=2,2.0": "2 is given twice",
    "obrs.expcted=2": "did you mean 'expected'",
    "obrs.expected=two": "sweep obrs.expected: got 'two', allowed is a number of 1 or more",
    "obrs.expected=true": "got True, allowed is a number of 1 or more",
    "obrs.expected=.inf": "got inf, allowed is",
    "obrs.expected=0.5": "got 0.5, allowed is a number of 1 or more",
    "obrs.expected.more=2": "has no knobs inside",
    "obrs.proposal=2": "proposal is a sampler",
    "obrs.proposal.steps=2": "direct has no knob 'steps'",
    "refine.steps=2.5": "got 2.5, allowed is an integer of 1 or more",
    "refine.stop=lst": "allowed is 'random', 'last'",
    "refine.steps=0": "refine.steps: got 0",
    "obr.expected=2": "unknown sampler 'obr'; did you mean 'obrs'",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistaken_sweep_is_refused_with_what_is_allowed(text):
    with pytest.raises(InputError, match=re.escape(MISTAKES[text])):
        name, line = parse_sweep(text)
        plan({"obrs": OBRS(), "refine": Refine()}, {name: [line]})


def test_a_knob_given_twice_is_refused():
    with pytest.raises(ConfigError, match=r"obrs\.expected is given twice"):
        plan({"obrs": OBRS()}, {"obrs": [Sweep("expected", (2,)), Sweep("expected", (4,))]})


WITHOUT_A_KNOB = {"latent_reweight"}


def test_every_built_in_sampler_is_in_the_table():
    assert set(SWEEPS) | WITHOUT_A_KNOB == set(SAMPLERS)
    for name in SWEEPS:
        planned = plan({name: from_config(name)}, default_sweeps({name: from_config(name)}))
        assert len(planned) >= 4
        assert len({json.dumps(to_config(one.sampler)) for one in planned}) == len(planned)


def test_knobs_of_selectors_in_the_table_leave_the_law_alone():
    for name, kind in SAMPLERS.items():
        if isinstance(kind(), Selector):
            assert not SWEEPS[name].knob.startswith("proposal.")


def test_the_table_goes_by_the_kind_of_sampler_not_by_its_name():
    assert default_sweeps({"mine": OBRS(proposal=Refine())}) == {"mine": [SWEEPS["obrs"]]}


# -- what is measured ----------------------------------------------------------------------------


def test_a_row_is_what_compare_says_of_that_sampler():
    gan = gaussian().gan
    lines = {"obrs": [Sweep("expected", (1.5, 3.0))]}
    found = run_sweep(gan, {"obrs": OBRS(pilot=256)}, sweeps=lines)
    assert not found.skipped
    for row, expected in zip(found.points, (1.5, 3.0), strict=True):
        alone = compare(gan, {"o": OBRS(expected=expected, pilot=256)}, numbers, N, width=32)[
            "o"
        ].row
        for key in ("metrics", "passes_per_sample", "setup_passes", "acceptance", "n", "events"):
            assert row[key] == alone[key], key
        assert row["settings"] == alone["sampler"]
        assert (row["sampler"], row["knob"], row["value"]) == ("obrs", "expected", expected)
        assert row["fitted"] is False
    passes = [row["passes_per_sample"] for row in found.points]
    assert passes == sorted(passes)


def test_fronts_are_marked_by_the_axes_given():
    gan = gaussian().gan
    found = run_sweep(
        gan,
        {"obrs": OBRS(pilot=256), "direct": Direct()},
        sweeps={"obrs": [Sweep("expected", (1.5, 2, 3))]},
        pareto=PARETO,
    )
    marks = {row["label"]: row["on_front"] for row in found.points}
    assert set(marks["direct"]) == {
        "quality_diversity", "quality_passes", "diversity_passes", "distance_passes",
    }  # fmt: skip
    assert all(marks["direct"][f"{role}_passes"] for role in ("quality", "diversity", "distance"))
    best = max(found.points, key=lambda row: row["metrics"]["mean"])
    assert best["on_front"]["quality_diversity"] and best["on_front"]["quality_passes"]
    assert not all(row["on_front"]["quality_passes"] for row in found.points)


class Line(nn.Module):
    """A ratio network that can be told apart by its weight."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x):
        return self.slope * x[:, 0]


def pair(output="logit"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GAN(nn.Linear(2, 2), Line(0.5), 2, output=output)


class Fitter:
    """Fits nothing, but gives a ratio of its own to each law and says what it was asked for."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, gan, mover):
        self.asked.append(mover)
        ready, _ = gantandem.prepare(gan, mover)
        fitted = gan.with_ratio(gan.law(ready), Ratio(Score(Line(len(gan.ratios) + 1.0))))
        return fitted.replace(setup_passes=fitted.setup_passes + 1000)


REFINE = Refine(steps=2, step_size=0.1)


def test_a_law_without_a_ratio_is_skipped_and_never_judged(caplog):
    """The pair's own discriminator is a ratio of p_G and must not judge refined proposals."""
    samplers = {"accept": OBRS(proposal=REFINE, pilot=64), "plain": OBRS(pilot=64)}
    lines = {"accept": [Sweep("expected", (2, 4))], "plain": [Sweep("expected", (2,))]}
    found = run_sweep(pair(), samplers, sweeps=lines)
    assert [row["label"] for row in found.points] == ["plain expected=2"]
    assert [row["label"] for row in found.skipped] == ["accept expected=2", "accept expected=4"]
    for row in found.skipped:
        assert "no ratio was fitted on the law of its refine proposals" in row["reason"]
    lines_told = [r for r in caplog.records if r.levelname == "WARNING" and "skipped" in r.message]
    assert len(lines_told) == 1  # one line for a reason that both settings share


def test_a_knob_inside_the_proposal_changes_the_law():
    gan = Fitter()(pair(), REFINE)
    accept = OBRS(proposal=REFINE, pilot=64)
    found = run_sweep(gan, {"a": accept}, sweeps={"a": [Sweep("proposal.steps", (2, 3))]})
    assert [row["value"] for row in found.points] == [2]
    assert [row["value"] for row in found.skipped] == [3]


def test_a_missing_ratio_is_fitted_once_and_its_passes_are_told_of_every_point_that_needs_it():
    gan, fitter = pair(), Fitter()
    samplers = {"accept": OBRS(proposal=REFINE, pilot=64), "plain": OBRS(pilot=64)}
    lines = {
        "accept": [Sweep("expected", (2, 4)), Sweep("proposal.steps", (3,))],
        "plain": [Sweep("expected", (2,))],
    }
    found = run_sweep(gan, samplers, sweeps=lines, fit=fitter)
    assert fitter.asked == [REFINE, dataclasses.replace(REFINE, steps=3)]
    rows = {row["label"]: row for row in found.points}
    assert [row["fitted"] for row in found.points] == [True, True, True, False]
    assert rows["plain expected=2"]["setup_passes"] == 64
    first, second = rows["accept expected=2"], rows["accept expected=4"]
    assert first["law"] == second["law"] != rows["accept proposal.steps=3"]["law"]
    assert first["setup_passes"] == second["setup_passes"] > 1000
    assert set(found.gan.ratios) - set(gan.ratios) == {
        first["law"], rows["accept proposal.steps=3"]["law"],
    }  # fmt: skip
    # ... and that very ratio judges: the same as a comparison on the GAN that came back
    alone = compare(found.gan, {"o": OBRS(proposal=REFINE, pilot=64, expected=4)}, numbers, N,
                    width=32)["o"].row  # fmt: skip
    assert second["metrics"] == alone["metrics"]


def test_a_fit_that_brings_no_ratio_of_that_law_is_not_taken():
    with pytest.raises(InputError, match="returned no ratio of law"):
        run_sweep(pair(), {"a": OBRS(proposal=REFINE)}, sweeps={}, fit=lambda gan, mover: gan)


def test_chains_in_latent_space_need_the_ratio_of_the_plain_generator():
    """A critic is no ratio: without a fit the chain is skipped, with one it walks on it."""
    gan, fitter = pair(output="critic"), Fitter()
    mala = MALA(steps=2, step_size=0.1)
    samplers = {"mala": mala, "direct": Direct()}
    assert [row["label"] for row in run_sweep(gan, samplers, sweeps={}).points] == ["direct"]
    found = run_sweep(gan, samplers, sweeps={}, fit=fitter)
    assert fitter.asked == [Direct()]
    assert [(row["label"], row["fitted"]) for row in found.points] == [
        ("mala", True), ("direct", False),
    ]  # fmt: skip
    assert found.points[0]["setup_passes"] == 1000


def test_a_spent_budget_skips_that_setting_alone():
    spent = Rejection(budget=40)
    found = run_sweep(gaussian().gan, {"r": spent}, sweeps={"r": [Sweep("log_max", (60.0, 0.0))]})
    assert [row["value"] for row in found.points] == [0.0]
    assert "would use up their 40 attempts" in found.skipped[0]["reason"]


def test_nothing_measured_is_an_error_with_every_reason():
    with pytest.raises(InputError, match=r"no setting could be measured\n.*law of its refine"):
        run_sweep(pair(), {"a": OBRS(proposal=REFINE)}, sweeps={})


@pytest.mark.parametrize("n", [0, 2.5, True])
def test_n_is_checked_before_anything_is_drawn(n):
    with pytest.raises(InputError, match="n: got"):
        run_sweep(pair(), {"d": Direct()}, n=n)


def test_an_interruption_keeps_what_was_finished(monkeypatch):
    seen = []

    def stopping(gan, samplers, *arguments, **options):
        if "second" in samplers:
            raise KeyboardInterrupt
        return compare(gan, samplers, *arguments, **options)

    monkeypatch.setattr("gantandem.evaluate.sweeping.compare", stopping)
    samplers = {"first": Direct(), "second": Metropolis(), "third": Direct()}
    with pytest.raises(KeyboardInterrupt, match="measured: 1 settings"):
        run_sweep(
            gaussian().gan,
            samplers,
            sweeps={},
            on_point=lambda swept: seen.append([row["label"] for row in swept.points]),
        )
    assert seen == [["first"]]
