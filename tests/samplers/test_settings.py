"""Settings of samplers: names, near misses, ranges."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gantandem import (
    DRS,
    OBRS,
    SAMPLERS,
    SIR,
    Direct,
    Key,
    Metropolis,
    Refine,
    Rejection,
    collaborative,
    from_config,
    sample,
)
from gantandem.errors import ConfigError, InputError
from gantandem.samplers import Proposal
from gantandem.testing import toy_gan


def test_a_name_alone_gives_the_defaults():
    for name, kind in SAMPLERS.items():
        assert from_config(name) == kind()
    assert from_config({"name": "obrs", "proposal": "refine"}) == OBRS(proposal=Refine())


@pytest.mark.parametrize(
    "config, words",
    [
        ("metropolys", "did you mean 'metropolis'"),
        ("nothing like it", "allowed: direct, refine"),
        ({"steps": 3}, "'name' is missing"),
        ({"name": "refine", "step_sise": 0.1}, "did you mean 'step_size'"),
        ({"name": "obrs", "proposal": {"name": "refined"}}, "did you mean 'refine'"),
        ("no_such_module:Sampler", "cannot be imported"),
        ("gantandem.samplers:Sampler", "cannot be imported"),
    ],
    ids=str,
)
def test_unknown_names_and_settings(config, words):
    with pytest.raises(ConfigError, match=words):
        from_config(config)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Refine(steps=0), "refine steps: got 0"),
        (lambda: Refine(step_size=-0.1), "step_size"),
        (lambda: Refine(step_size="fast"), "step_size"),
        (lambda: Refine(stop="first"), "'random', 'last', 'best' or 'threshold'"),
        (lambda: Refine(update="rmsprop"), "'sgd', 'momentum', 'adam' or 'scaled-adam'"),
        (lambda: Refine(defensive=1.5), "defensive"),
        (lambda: Refine(stop="last", defensive=0.5), "unrefined=0.020"),
        (lambda: Metropolis(proposals=0), "proposals"),
        (lambda: Rejection(pilot=0), "pilot"),
        (lambda: Rejection(budget=0), "budget"),
        (lambda: DRS(percentile=101), "0 to below 100"),
        (lambda: DRS(eps=0), "eps"),
        (lambda: OBRS(expected=0.5), "1 or more"),
        (lambda: OBRS(expected=float("inf")), "1 or more"),
        (lambda: OBRS(expected=float("nan")), "1 or more"),
        (lambda: OBRS(max_attempts=0), "max_attempts"),
        (lambda: collaborative(), "was not shaped"),
        (lambda: collaborative(proposal=Direct(), accept="drs"), "'obrs', 'metropolis'"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize("sampler", [DRS(), OBRS(), Rejection()], ids=lambda s: s.name)
def test_selectors_that_were_not_prepared_say_so(sampler):
    one = torch.zeros(1)
    with pytest.raises(InputError, match="not prepared"):
        sampler.judge(Key(0), None, Proposal(one.long(), one.long(), one))


def test_samples_of_widened_starts_are_warned_of_where_nothing_accepts_them(caplog):
    gan = toy_gan().replace(shaped=True)
    widened = Refine(layer="data", steps=2, step_size=0.01, defensive=0.5)
    sample(gan, replace(widened, defensive=0.0), 8)
    sample(gan, SIR(proposal=widened, proposals=2), 8, strict=False)
    assert "widened" not in caplog.text
    sample(gan, widened, 8)
    assert caplog.text.count("some starts were widened") == 1
