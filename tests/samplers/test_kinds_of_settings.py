"""Settings of the wrong kind, name or range end in one message, whichever way they come in."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from gantandem import DOT, DRS, MALA, OBRS, SAMPLERS, Direct, Metropolis, Refine, WangLandau
from gantandem.errors import ConfigError, InputError
from gantandem.runs.reading import apply_overrides, parse
from gantandem.samplers import from_config, to_config
from gantandem.settings import Count, Positive, Rule, Settings

AWKWARD = [
    None,
    True,
    False,
    0,
    -1,
    3,
    2**40,
    10**400,
    0.5,
    -0.5,
    1e30,
    math.nan,
    math.inf,
    -math.inf,
    "4",
    "auto",
    "",
    b"4",
    1j,
    [2, 2],
    [0.1, 0.9],
    (0.9, 0.1),
    (math.nan, 1.0),
    (1, 2, 3),
    ("0.1", 0.9),
    (),
    {},
    {"name": "direct"},
    {0.5},
    np.int64(3),
    np.float32(0.5),
    np.float64("nan"),
    np.bool_(True),
    np.str_("last"),
    np.arange(3),
    np.array(2),
    torch.tensor(2),
    torch.tensor([0.1, 0.9]),
    Direct,
    Direct(),
    OBRS(),
    Refine(steps=3),
    DataLoader(TensorDataset(torch.zeros(2))),
    len,
    ...,
]


FIELDS = [(kind, f.name) for kind in SAMPLERS.values() for f in dataclasses.fields(kind)]


@pytest.mark.parametrize("kind, field", FIELDS, ids=lambda part: getattr(part, "name", part))
def test_whatever_is_given_is_a_setting_or_is_refused_by_name(kind, field):
    refused = 0
    for value in AWKWARD:
        try:
            made = kind(**{field: value})
        except InputError as error:
            assert f"{kind.name} {field}: got" in str(error) or f"{field}=" in str(error), error
            assert "\n" not in str(error) and len(str(error)) < 250
            refused += 1
            continue
        assert from_config(json.loads(json.dumps(to_config(made), allow_nan=False))) == made
        assert {made: 1}[replace(made)] == 1
        kept = getattr(made, field)
        # Nothing but NumPy's numbers, lists and whole numbers is converted.
        assert kept is value or kept == (tuple(value) if isinstance(value, list) else value)
        assert type(kept) in (type(None), bool, int, float, str, tuple, Direct, Refine)
    assert refused > len(AWKWARD) // 2


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Refine(betas=[2, 2]), "refine betas: got [2, 2], allowed is two shares of 0"),
        (lambda: Refine(clamp=1), "refine clamp: got 1, allowed is two numbers (low, high)"),
        (lambda: Refine(clamp=(1, -1)), "low below high"),
        (lambda: Refine(layer=3), "refine layer: got 3, allowed is the name of a layer"),
        (lambda: Refine(steps=True), "refine steps: got True, allowed is an integer of 1 or more"),
        (lambda: Refine(steps=5.0), "refine steps: got 5.0"),
        (lambda: Refine(spread=0.0), "refine spread: got 0.0, allowed is a number above 0 or None"),
        (lambda: Metropolis(proposal=OBRS()), "metropolis proposal: got OBRS("),
        (lambda: Metropolis(proposal=Direct), "allowed is a mover such as Direct()"),
        (lambda: OBRS(proposal="refine"), "obrs proposal: got 'refine'"),
        (lambda: OBRS(expected="4"), "obrs expected: got '4', allowed is a number of 1 or more"),
        (lambda: OBRS(expected=math.inf), "obrs expected: got inf"),
        (lambda: OBRS(log_scale=math.nan), "log_scale: got nan, allowed is a finite number"),
        (lambda: DRS(percentile=100), "drs percentile: got 100, allowed is a percentile from 0 to"),
        (lambda: DOT(project=1), "dot project: got 1, allowed is True or False"),
        (lambda: DOT(betas=(0.5,)), "dot betas: got (0.5,)"),
        (lambda: MALA(step_size="0.1"), "allowed is a number above 0 or 'auto'"),
        (lambda: MALA(step_size=-1), "mala step_size: got -1"),
        (lambda: WangLandau(pilots=100), "a multiple of 16"),
        (lambda: WangLandau(quantiles=(0.5, 1.5)), "wlgan quantiles: got (0.5, 1.5)"),
        (lambda: WangLandau(log_weights=(0.0, "1")), "each a finite number or None"),
        (lambda: OBRS(expeced=4), "obrs: unknown setting 'expeced'; did you mean 'expected'?"),
        (lambda: Direct(zzz=1), "direct: unknown setting 'zzz'; allowed: truncation, how"),
        (lambda: Refine("latent"), "refine: got 'latent' without a name"),
        (lambda: replace(OBRS(), expeced=4), "did you mean 'expected'?"),
        (lambda: replace(OBRS(), expected="4"), "obrs expected: got '4'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # no address: workers must agree
)
def test_messages_say_what_where_and_what_is_allowed(make, words):
    with pytest.raises(ConfigError) as told:
        make()
    assert words in str(told.value)


def test_numbers_of_numpy_become_pythons():
    made = Refine(
        steps=np.int32(3), step_size=np.float32(0.5), clamp=np.array([-1, 1]).tolist(), betas=[0, 0]
    )
    assert made == Refine(steps=3, step_size=0.5, clamp=(-1.0, 1.0), betas=(0.0, 0.0))
    assert [type(v) for v in (made.steps, made.step_size, *made.clamp)] == [int, *[float] * 3]
    assert json.dumps(to_config(Refine(step_size=1))) == json.dumps(
        to_config(Refine(step_size=1.0))
    )
    assert OBRS(expected=np.int64(4)) == OBRS(expected=4.0)


def test_a_sampler_stays_a_frozen_value():
    made = OBRS(proposal=Refine(steps=3))
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again == made and hash(again) == hash(made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.expected = 2.0


# -- YAML and the command line ------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("samplers.obrs.expected='4'", "obrs expected: got '4', allowed is a number of 1 or more"),
        ("samplers.obrs.expected=true", "obrs expected: got True"),
        ("samplers.obrs.expected=.nan", "obrs expected: got nan"),
        ("samplers.obrs.expeced=4", "obrs: unknown setting 'expeced'; did you mean 'expected'?"),
        ("samplers.obrs.proposal=obrs", "obrs proposal: got OBRS("),
        ("samplers.obrs.proposal={name: refine, betas: [2, 2]}", "refine betas: got (2, 2)"),
        ("samplers.obrs.proposal={name: refine, layer: 3}", "refine layer: got 3"),
    ],
)
def test_the_command_line_says_the_same(text, words):
    content, origins = apply_overrides({"task": "grid-25", "samplers": {"obrs": "obrs"}}, [text])
    with pytest.raises(ConfigError) as told:
        parse(content, "recipe.yaml", origins)
    assert words in str(told.value) and "command line" in str(told.value)


def test_the_command_line_reads_numbers_as_yaml():
    settings = ["samplers.obrs.expected=4", "samplers.obrs.proposal={name: refine, clamp: [-1, 1]}"]
    content, _ = apply_overrides({"task": "grid-25", "samplers": {"obrs": "obrs"}}, settings)
    made = from_config(parse(content, "recipe.yaml").samplers["obrs"])
    assert made == OBRS(expected=4.0, proposal=Refine(clamp=(-1.0, 1.0)))


@pytest.mark.parametrize(
    "text, words",
    [
        ("train.iterations=true", "train.iterations: given True; allowed is a valid integer"),
        ("train.iterations='5'", "train.iterations: given '5'"),
        ("train.iterations=5.0", "train.iterations: given 5.0"),
        ("train.generator_rate=.inf", "given inf; allowed is a finite number"),
        ("train.beta1=false", "train.beta1: given False"),
        ("fit_ratio.n='10'", "fit_ratio.n: given '10'"),
        ("fit_ratio.schedule=[[1, .inf]]", "given inf; allowed is a finite number"),
        ("fit_ratio.schedule=[[true, 1e-3]]", "given True; allowed is a valid integer"),
        ("seed=true", "seed: given True"),
        ("range=[0, true]", "range"),
        ("latent={kind: uniform, dim: true}", "latent.dim: given True"),
        ("latent={kind: uniform, dim: 2, low: 3}", "low must be below high"),
        ("shape.refine={layr: a}", "refine: unknown setting 'layr'; did you mean 'layer'?"),
        ("shape.refine={steps: true}", "refine steps: got True"),
        ("shape.refine={betas: [2, 2]}", "refine betas: got [2, 2]"),
    ],
)
def test_the_other_settings_of_a_recipe_are_as_strict(text, words):
    content, origins = apply_overrides({"task": "grid-25"}, [text])
    with pytest.raises(ConfigError) as told:
        parse(content, "recipe.yaml", origins)
    assert words in str(told.value) and f"command line ({text})" in str(told.value)


def test_what_yaml_can_write_is_taken():
    texts = [
        "fit_ratio.schedule=[[10, 1e-3], [5, 1]]",
        "range=[0, 255]",
        "shape.refine={stop: last, clamp: [-1, 1]}",  # completed by the task's
        "latent={kind: uniform, dim: 2, low: 0}",
    ]
    content, _ = apply_overrides({"task": "grid-25"}, texts)
    recipe = parse(content, "recipe.yaml")
    assert recipe.fit_ratio.schedule == [(10, 1e-3), (5, 1.0)] and recipe.range == (0.0, 255.0)
    assert recipe.latent.settings() == {"kind": "uniform", "dim": 2, "low": 0.0, "high": 1.0}


# -- a user's own -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Mine(Settings):
    name: ClassVar[str] = "mine"

    size: Positive
    rounds: Count = 3
    even: Annotated[int, Rule("an even number", lambda value: value % 2 == 0)] = 2
    either: int | Literal["none"] | tuple[int, str] = 1
    anything: list | None = None
    unknown: NotImported = None  # noqa: F821


@dataclass(frozen=True, kw_only=True)
class Known(Mine):
    unknown: object = None


def test_a_users_own_sampler_is_checked_alike():
    assert Known(size=np.float64(2), either=[1, "a"]).either == (1, "a")
    for wrong, words in (
        ({"rounds": 0}, "mine rounds: got 0, allowed is an integer of 1 or more"),
        ({"even": 3}, "mine even: got 3, allowed is an even number"),
        ({"either": ("a", 1)}, "allowed is an integer or 'none' or (an integer, a text)"),
        ({"anything": 3}, "allowed is a list or None"),
        ({"sise": 3}, "did you mean 'size'?"),
    ):
        with pytest.raises(ConfigError) as told:
            Known(**{"size": 1.0, **wrong})
        assert words in str(told.value)
