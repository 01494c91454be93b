"""The tests can fail: fifteen faults that a careless change could bring in, each noticed by a test.

They are of what nobody sees in a sample: exactness, reproducibility, and which law a ratio is of.
A mutation names a test and breaks one thing. Where it changes a line of source, the line is
quoted: if it reads otherwise one day, the mutation says so and wants adapting.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from awkward import Remembers
from gantandem import GAN, Key, Metropolis, Refine
from gantandem.discriminator import parts
from gantandem.engine.pool import LanePool
from gantandem.engine.run import Run
from gantandem.engine.window import Window
from gantandem.networks import held
from gantandem.ratios import calibrators, law
from gantandem.ratios.ratio import Ratio
from gantandem.samplers import sir
from gantandem.samplers.langevin import Langevin

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutation:
    """What is broken, and the test (module, function, arguments) that notices."""

    mutate: Callable[[Patch], None]
    module: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)


def edit(owner: Any, name: str, old: str, new: str) -> Callable[[Patch], None]:
    """Change one line of a function or method, wherever it was imported to."""

    def mutate(patch: Patch) -> None:
        function = getattr(owner, name)
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
        where = f"{owner.__name__}.{name}"
        assert source.count(old) == 1, f"{where} does not say {old!r} once: adapt this mutation"
        scope: dict[str, Any] = {}
        code = "from __future__ import annotations\n" + source.replace(old, new)
        exec(compile(code, where, "exec"), inspect.unwrap(function).__globals__, scope)
        patch.setattr(owner, name, scope[name])
        if isinstance(owner, ModuleType):
            for module in list(sys.modules.values()):
                if getattr(module, "__dict__", {}).get(name) is function:
                    patch.setattr(module, name, scope[name])

    return mutate


def put(owner: Any, name: str, value: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def ignores_attempts(patch: Patch) -> None:
    whole = Key.bits
    patch.setattr(Key, "bits", lambda self, ids, attempts=0, *a, **k: whole(self, ids, 0, *a, **k))


def forgetful_judge(self, key, chain, new):
    accept = key.log_uniform(new.id, new.attempt) < new.log_ratio
    return chain.where(accept, new).done_if(new.attempt + 1 >= self.proposals)


def keeps_the_condition_of_a_lane(patch: Patch) -> None:
    whole = LanePool._refill

    def refill(self, lanes, places):
        before = None if self._state is None else self._state.cond.clone()
        whole(self, lanes, places)
        if before is not None:
            self._state.cond.copy_(before)

    patch.setattr(LanePool, "_refill", refill)


MUTATIONS: dict[str, Mutation] = {
    # -- randomness --
    "attempts share their random numbers": Mutation(
        ignores_attempts,
        "test_rng",
        "test_every_part_of_the_key_gives_independent_numbers",
        {"change": {"attempt": 1}},
    ),
    "purposes share their random numbers": Mutation(
        put(Key, "fold", lambda self, *purpose: self),
        "test_rng",
        "test_every_part_of_the_key_gives_independent_numbers",
        {"change": {"purpose": "b"}},
    ),
    # -- engine --
    "the padding of what is scored is dropped": Mutation(
        put(Run, "_pad", lambda self, value: value),
        "test_invariance",
        "test_networks_only_ever_see_the_full_width",
    ),
    "attempts are judged as they finish": Mutation(
        edit(Window, "due", "live & (rows.attempt == self.judged[slot])", "live"),
        "test_acceptance",
        "test_rejection",
    ),
    "a refilled lane keeps the condition it had": Mutation(
        keeps_the_condition_of_a_lane,
        "test_conditional",
        "test_chains_never_mix_conditions",
        {"name": "metropolis of refine"},
    ),
    "what a forward writes stays": Mutation(
        put(held.Structure, "restore", lambda self: None),
        "test_untouched",
        "test_every_call_leaves_the_networks_as_they_were",
        {"kind": Remembers},
    ),
    # -- laws --
    "the law check is dropped": Mutation(
        put(GAN, "ratio", lambda self, mover, **options: next(iter(self.ratios.values()))),
        "test_laws",
        "test_law_mismatch_names_the_call_that_mends_it",
    ),
    "a law does not name what networks compute": Mutation(
        put(law, "_computed", lambda gan, scores, z, cond: [z]),
        "test_law_names",
        "test_activations_count_in_generator_and_guide",
    ),
    "a ratio is never stale": Mutation(
        put(Ratio, "stale_with", lambda self, weights: False),
        "test_stale",
        "test_a_fitted_ratio_changed_in_place_is_refused",
    ),
    "calibration forgets the two counts": Mutation(
        edit(calibrators.Isotonic, "__call__", " - self.correction", ""),
        "test_calibration",
        "test_isotonic_recovers_the_log_ratio",
        {"distortion": "none", "counts": (30_000, 10_000)},
    ),
    "the split follows the place of a sample": Mutation(
        edit(parts, "_split", "rows_hash(x)", "torch.arange(len(x))"),
        "test_held_out",
        "test_the_split_is_of_content",
    ),
    # -- formulas --
    "metropolis ignores the state it would leave": Mutation(
        put(Metropolis, "judge", forgetful_judge),
        "test_exact",
        "test_judge_has_the_transition_matrix",
    ),
    "a reservoir weighs against the one it holds instead of all": Mutation(
        edit(sir, "choose", "< log_weight - log_total", "< log_weight - chain.log_ratio"),
        "test_reservoir",
        "test_law_of_sir",
        {"m": 3},
    ),
    "a Langevin move forgets the way back": Mutation(
        edit(Langevin, "log_hastings", "0.5 * (forth", "0.0 * (forth"),
        "test_langevin",
        "test_exact_chains_follow_the_data",
        {"name": "gaussian", "kind": "mala"},
    ),
    "the gradient's sign is flipped": Mutation(
        edit(Refine, "step", "slope = gradient.to(", "slope = -gradient.to("),
        "test_reference",
        "test_refinement_raises_the_guide",
    ),
}


def run(mutation: Mutation, patch: Patch) -> None:
    test = getattr(importlib.import_module(mutation.module), mutation.function)
    wanted = inspect.signature(test).parameters
    extra = {"monkeypatch": patch} if "monkeypatch" in wanted else {}
    test(**mutation.arguments, **extra)


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.slow
def test_mutations_are_noticed(name):
    mutation = MUTATIONS[name]
    with pytest.MonkeyPatch.context() as patch:
        run(mutation, patch)  # it passes on the code as it is
    with pytest.MonkeyPatch.context() as patch:
        mutation.mutate(patch)
        # What the code as it is prepared must not stand in for what is broken now.
        patch.setattr("gantandem.engine.preparing.keep", lambda gan, sampler, options, make: make())
        with pytest.raises((AssertionError, RuntimeError, pytest.fail.Exception)) as noticed:
            run(mutation, patch)
    assert "adapt this mutation" not in str(noticed.value)
