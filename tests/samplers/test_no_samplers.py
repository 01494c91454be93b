"""What is no sampler, or no count, is refused at every door."""

from __future__ import annotations

import json
import math
from typing import Literal

import numpy as np
import pytest
import torch

import gantandem as gt
from gantandem import Direct, Key
from gantandem.engine.pool import check_width
from gantandem.errors import ConfigError, InputError
from gantandem.latent import Normal, Uniform
from gantandem.samplers import from_config, to_config
from gantandem.settings import check
from gantandem.testing import toy_gan

# -- functions ----------------------------------------------------------------------------------


def test_functions_take_numpys_integers():
    gan = toy_gan()
    out = gt.sample(
        gan, Direct(), np.int64(5), seed=np.int64(3), width=np.int64(64), start=np.int8(1)
    )
    assert torch.equal(out.x, gt.sample(gan, Direct(), 5, seed=3, width=64, start=1).x)
    json.dumps(out.manifest)
    assert Normal(np.int64(2)) == Normal(2) and Uniform(2, 0, np.float32(1)) == Uniform(2, 0.0, 1.0)
    assert type(Key(np.int64(3)).seed) is int
    made = gt.fit_ratio(
        gan,
        torch.randn(200, 2),
        n=np.int64(100),
        batch=np.int32(20),
        schedule=[(np.int64(2), np.float32(1e-3))],
        width=np.int64(64),
        proposal=Direct(),
    )
    assert (
        gt.diagnose(made, torch.randn(200, 2), n=np.int64(50), proposal=Direct()).n_generated == 50
    )


WRONG_INTEGERS = [0, -1, 2.0, "5", True, None, math.nan, [5], np.float64(5), torch.tensor(5)]


@pytest.mark.parametrize("value", WRONG_INTEGERS, ids=repr)
def test_functions_refuse_what_is_no_count(value):
    gan, real = toy_gan(), torch.randn(100, 2)
    asked = {
        "n: got": [
            lambda: gt.sample(gan, Direct(), value),
            lambda: gt.compare(gan, {"direct": Direct()}, lambda x: {}, value),
        ],
        "fit_ratio schedule": [lambda: gt.fit_ratio(gan, real, schedule=[(value, 1e-3)])],
        "shape replay": [lambda: gt.shape(gan, real, replay=value)],
        "width": [lambda: check_width(value)],
    }
    if value != [5]:  # which is a shape
        asked["latent dim"] = [lambda: Normal(value), lambda: Uniform(value)]
    if value is not None:
        asked["fit_ratio n"] = [lambda: gt.fit_ratio(gan, real, n=value)]
        asked["fit_ratio batch"] = [lambda: gt.fit_ratio(gan, real, batch=value)]
        asked["shape updates"] = [lambda: gt.shape(gan, real, updates=value)]
        asked["n: got "] = [lambda: gt.diagnose(gan, real, n=value, proposal=Direct())]
        asked["width: got"] = [lambda: gt.sample(gan, Direct(), 5, width=value)]
    if value != 0:
        asked["seed: got"] = [lambda: gt.sample(gan, Direct(), 5, seed=value)]
        asked["start: got"] = [lambda: gt.sample(gan, Direct(), 5, start=value)]
    for words, calls in asked.items():
        for call in calls:
            with pytest.raises(InputError) as told:
                call()
            assert words in str(told.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, 0, -1.0, "1e-3", True], ids=repr)
def test_rates_are_finite(value):
    gan, real = toy_gan(), torch.randn(100, 2)
    with pytest.raises(InputError, match="shape learning_rate: got"):
        gt.shape(gan, real, learning_rate=value)
    with pytest.raises(InputError, match="fit_ratio schedule: got"):
        gt.fit_ratio(gan, real, schedule=[(1, value)])
    with pytest.raises(InputError, match="latent"):
        Uniform(2, low=value, high=value)
    for schedule in ([], [(1, 2, 3)], [1e-3], "fast"):
        with pytest.raises(InputError, match="fit_ratio schedule: got .* pairs"):
            gt.fit_ratio(gan, real, schedule=schedule)


def test_the_check_gives_back_what_it_was_given():
    assert check("x", Literal["a", 1], 1) == 1
    with pytest.raises(ConfigError, match="x: got 1.0, allowed is 'a' or 1"):
        check("x", Literal["a", 1], 1.0)


# -- samplers as arguments ----------------------------------------------------------------------

NO_SAMPLERS = [Direct, 3, [Direct()], {"name": "direct"}, torch.nn.Linear(2, 2), None]


@pytest.mark.parametrize("value", NO_SAMPLERS, ids=lambda v: str(v)[:20])
def test_what_is_no_sampler_is_refused_at_every_door(value):
    gan, real = toy_gan(), torch.randn(300, 2)
    calls = [
        lambda: gt.sample(gan, value, 4),
        lambda: next(gt.sample_iter(gan, value, 4)),
        lambda: gt.prepare(gan, value),
        lambda: gt.SampledGenerator(gan, value),
        lambda: gt.chain_report(gan, value),
    ]
    if value is not None:
        calls += [
            lambda: gt.fit_ratio(gan, real, proposal=value),
            lambda: gt.diagnose(gan, real, proposal=value),
            lambda: gt.calibrate(gan, real, proposal=value),
        ]
    for call in calls:
        with pytest.raises(InputError, match="sampler: got .*, allowed is a mover such as Direct"):
            call()
    if value != {"name": "direct"}:  # compare takes a mapping of samplers, too
        with pytest.raises(InputError, match="mine: got .*, allowed is a mover such as Direct"):
            gt.compare(gan, {"mine": value}, lambda x: {"zero": 0.0}, 4)


@pytest.mark.parametrize(
    "config, words",
    [
        (3, "sampler: got 3, allowed is a name"),
        (None, "sampler: got None"),
        (["obrs"], "sampler: got ['obrs']"),
        ({"name": 3}, "'name' is missing"),
        ({"name": "obrs", 3: 4}, "obrs: unknown setting 3; allowed"),
        (
            {"name": "obrs", "proposal": {"steps": 3}},
            "sampler: got {'steps': 3}, allowed is a name",
        ),
        ({"name": "obrs", "proposal": ["direct"]}, "obrs proposal: got"),
        ({"name": "obrs", "proposal": None}, "obrs proposal: got None"),
    ],
    ids=str,
)
def test_configurations_of_no_sampler(config, words):
    with pytest.raises(ConfigError) as told:
        from_config(config)
    assert words in str(told.value)
    with pytest.raises(ConfigError, match="not a dataclass of settings"):
        to_config(config)
