"""Faults that a careless change could bring in, each with a test that must notice it.

A mutation names a test and patches one thing; ``test_mutations.py`` shows that the test passes
without it and fails with it. Where a line of source is changed, the line is quoted: if it reads
otherwise one day, the mutation says so and wants adapting.
"""

from __future__ import annotations

import inspect
import math
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
import torch

from gantandem import (
    DOT,
    DRS,
    GAN,
    ISIR,
    DGFlow,
    Direct,
    Key,
    LatentOpt,
    Metropolis,
    Refine,
    ReweightedLatent,
    drop_in,
    sweeping,
)
from gantandem.discriminator import calibration, parts, shaping
from gantandem.engine import Run
from gantandem.metrics import manifold, pareto
from gantandem.pool import LanePool
from gantandem.samplers import Ex2MCMC, WangLandau, langevin, latent_chain, reservoir
from gantandem.samplers import direct as directly
from gantandem.samplers import refine as refining
from gantandem.score import Ratio

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutation:
    """What is broken, and the test (module, function, arguments) that notices."""

    mutate: Callable[[Patch], None]
    module: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)


def edited(patch: Patch, owner: Any, name: str, old: str, new: str) -> None:
    """Change one line of a function or method, wherever it was imported to."""
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


def edit(owner: Any, name: str, old: str, new: str) -> Callable[[Patch], None]:
    return lambda patch: edited(patch, owner, name, old, new)


def put(owner: Any, name: str, value: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def forgetful_judge(self, key, chain, new):
    accept = key.log_uniform(new.id, new.attempt) < new.log_ratio
    return chain.where(accept, new).done_if(new.attempt + 1 >= self.proposals)


def ignores_attempts(patch: Patch) -> None:
    whole = Key.bits
    patch.setattr(Key, "bits", lambda self, ids, attempts=0, *a, **k: whole(self, ids, 0, *a, **k))


def accepts_by_id_alone(patch: Patch) -> None:
    whole = Key.log_uniform
    patch.setattr(Key, "log_uniform", lambda self, ids, attempts=0, step=0: whole(self, ids))


def half(self, ids, attempts=0, step=0):
    return torch.full(ids.shape, math.log(0.5), dtype=torch.float64)


def stores_after_it_is_done(patch: Patch) -> None:
    account, hold = Run._account, Run._hold
    edited(patch, Run, "_judge", "self._hold(turn, slot, chain.keep)", "pass")
    patch.setattr(Run, "_hold", hold)

    def late(self, turn, chain):
        self._hold(turn, turn.id % self.window, chain.keep)
        account(self, turn, chain)

    patch.setattr(Run, "_account", late)


def keeps_what_it_emitted(patch: Patch) -> None:
    whole, kept = Run._emit, []

    def emit(self, **options):
        block = whole(self, **options)
        kept.append(block)
        return block

    patch.setattr(Run, "_emit", emit)


def keeps_the_condition_of_a_lane(patch: Patch) -> None:
    whole = LanePool._refill

    def refill(self, lanes, count):
        before = None if self._state is None else self._state.cond.clone()
        whole(self, lanes, count)
        if before is not None:
            self._state.cond.copy_(before)

    patch.setattr(LanePool, "_refill", refill)


LAST_SGD = {"stop": "last", "update": "sgd"}

MUTATIONS: dict[str, Mutation] = {
    # -- style.md, point 11 --
    "the gradient's sign is flipped": Mutation(
        edit(Refine, "step", "slope = gradient.to(", "slope = -gradient.to("),
        "test_reference",
        "test_refinement_raises_the_guide",
    ),
    "the padding of what is scored is dropped": Mutation(
        put(Run, "_pad", lambda self, value: value),
        "test_invariance",
        "test_networks_only_ever_see_the_full_width",
    ),
    "the padding of the pool is dropped": Mutation(
        edit(LanePool, "_restock", "padding = self.width - self._stock_size", "padding = 0"),
        "test_invariance",
        "test_networks_only_ever_see_the_full_width",
    ),
    "the law check is dropped": Mutation(
        put(GAN, "ratio", lambda self, mover, **options: next(iter(self.ratios.values()))),
        "test_laws",
        "test_law_mismatch_names_the_call_that_mends_it",
    ),
    "metropolis ignores the state it would leave": Mutation(
        put(Metropolis, "judge", forgetful_judge),
        "test_exact",
        "test_judge_has_the_transition_matrix",
    ),
    # -- randomness --
    "attempts share their random numbers": Mutation(
        ignores_attempts,
        "test_rng",
        "test_every_part_of_the_key_gives_independent_numbers",
        {"change": {"attempt": 1}},
    ),
    "the uniform of an acceptance is a constant": Mutation(
        put(Key, "log_uniform", half), "test_exact", "test_judge_has_the_transition_matrix"
    ),
    "the uniform of an acceptance depends on the id alone": Mutation(
        accepts_by_id_alone,
        "test_exact",
        "test_law_after_k_proposals_from_a_proposal",
        {"proposals": 5},
    ),
    "normals have the wrong scale": Mutation(
        edit(Key, "normal", "-2 * torch.log(a)", "-2.04 * torch.log(a)"),
        "test_rng",
        "test_normal_law",
    ),
    "the coin of widened starts is tossed by id": Mutation(
        edit(Refine, "_widen", "uniform(ids, attempts, shape=(2,))", "uniform(ids, 0, shape=(2,))"),
        "test_reference",
        "test_metropolis_on_refined_proposals",
    ),
    # -- engine --
    "attempts are judged as they finish": Mutation(
        edit(Run, "_settle", "live & (early.attempt == self._judged[slot])", "live"),
        "test_reference",
        "test_rejection",
    ),
    "the pool looks further ahead": Mutation(
        put(sys.modules["gantandem.engine"], "LOOK_AHEAD", 64),
        "test_invariance",
        "test_order_and_look_ahead",
        {"selector": None},
    ),
    "a sample is stored after its id is done": Mutation(
        stores_after_it_is_done,
        "test_invariance",
        "test_ctrl_c_inside_the_engine_emits_nothing_unfinished",
        {"method": "_hold"},
    ),
    "what was emitted is kept": Mutation(
        keeps_what_it_emitted, "test_invariance", "test_memory_of_streaming_does_not_grow"
    ),
    "training flags are not restored": Mutation(
        edit(GAN, "frozen", "module.training = True", "pass"),
        "test_gan",
        "test_flags_are_restored_even_after_an_error",
    ),
    "broken samples of the generator pass": Mutation(
        put(Run, "_refuse_broken", lambda self, rows, bad, count: None),
        "test_gan",
        "test_a_generator_that_is_nan",
    ),
    # -- formulas --
    "log ratios have the wrong sign": Mutation(
        put(Ratio, "from_logit", lambda self, logit, cond=None: -logit.double()),
        "test_exact",
        "test_samples_follow_the_data",
        {"name": "skewed", "kind": "metropolis"},
    ),
    "DRS leaves out its logarithm": Mutation(
        put(DRS, "_logit", lambda self, d: (d - self.log_max).clamp(max=0) - self.gamma),
        "test_exact",
        "test_drs_law",
        {"percentile": 60.0},
    ),
    "Adam is not corrected for its start": Mutation(
        put(
            refining,
            "_adam_weights",
            lambda beta, last, *rest: torch.full((last + 1,), 1 - beta),
        ),
        "test_reference",
        "test_update_rules",
        {"stop": "last", "update": "adam"},
    ),
    "the best sample is the last": Mutation(
        edit(Refine, "step", "better = logit > best.logit", "better = logit > -torch.inf"),
        "test_reference",
        "test_stop_rules",
        {"stop": "best"},
    ),
    # -- chains in the latent --
    "a Langevin move forgets the way back": Mutation(
        edit(latent_chain, "log_accept", "0.5 * (forth - back) / variance", "0.0 * tau"),
        "test_langevin",
        "test_exact_chains_follow_the_data",
        {"name": "gaussian", "kind": "mala"},
    ),
    "the gradient of the ratio has the wrong sign": Mutation(
        edit(latent_chain, "_point", "slope + pull", "pull - slope"),
        "test_langevin",
        "test_ula_has_its_known_biased_law",
        {"steps": 3, "output": "logit"},
    ),
    "moves over the border are made": Mutation(
        edit(langevin.ULA, "step", "there.log_prior > -torch.inf", "there.log_prior < torch.inf"),
        "test_langevin",
        "test_nothing_leaves_the_support",
        {"mover": langevin.ULA(steps=30, step_size=0.5)},
    ),
    "moves that are not finite go uncounted": Mutation(
        edit(latent_chain, "proceed", "[accept, ~finite]", "[accept, accept & ~finite]"),
        "test_langevin",
        "test_moves_that_are_not_finite_are_rejected_and_counted",
        {"mover": langevin.ULA(steps=30, step_size=3.0)},
    ),
    "fresh points of a chain are all the same": Mutation(
        edit(Ex2MCMC, "_isir", 'key.fold("fresh"), s.id, draw)', 'key.fold("fresh"), s.id, 0)'),
        "test_langevin",
        "test_exact_chains_follow_the_data",
        {"name": "discrete", "kind": "ex2mcmc"},
    ),
    "the reservoir forgets the current point": Mutation(
        edit(Ex2MCMC, "_isir", "s.here.z, s.here.log_ratio", "s.here.z, s.here.log_ratio - 99"),
        "test_langevin",
        "test_one_exploring_move_is_enumerated",
        {"points": 2},
    ),
    "the gradient flow climbs down": Mutation(
        edit(DGFlow, "step", "s.h + self.step_size * drift", "s.h - self.step_size * drift"),
        "test_flows",
        "test_dgflow_descends_its_divergence_as_a_gradient_flow",
        {"divergence": "kl"},
    ),
    "the flow of JS has the weight of log D": Mutation(
        edit(DGFlow, "_weight", "return torch.sigmoid(d)", "return torch.sigmoid(-d)"),
        "test_flows",
        "test_dgflow_descends_its_divergence_as_a_gradient_flow",
        {"divergence": "js"},
    ),
    "the noise of the gradient flow misses its factor 2": Mutation(
        edit(DGFlow, "step", "math.sqrt(2 * self", "math.sqrt(self"),
        "test_flows",
        "test_dgflow_on_a_linear_logit_drifts_and_diffuses_by_the_closed_form",
    ),
    "latent optimisation divides by the norm": Mutation(
        edit(LatentOpt, "step", "g.square().flatten(1).sum(1)", "g.flatten(1).norm(dim=1)"),
        "test_flows",
        "test_latent_opt_is_its_formula",
    ),
    "transport flees the data": Mutation(
        edit(DOT, "step", "- gradient.to(away)", "+ gradient.to(away)"),
        "test_transport",
        "test_mass_goes_to_a_single_point_by_the_closed_form",
    ),
    "transport projects as the published code": Mutation(
        edit(DOT, "step", "/ _dot(z, z), z)", "/ _dot(z, z).sqrt(), z)"),
        "test_transport",
        "test_a_normal_latent_turns_about_the_origin",
    ),
    "the Lipschitz constant is a mean": Mutation(
        edit(DOT, "_steepest", "cat(slopes).max()", "cat(slopes).mean()"),
        "test_transport",
        "test_the_constant_is_the_largest_slope_over_pairs",
        {"layer": "data", "pairs": 10},
    ),
    "a truncated normal keeps its tails": Mutation(
        edit(directly, "truncated_normal", "math.erf(psi / math.sqrt(2))", "1.0"),
        "test_truncation",
        "test_resampling_gives_the_truncated_normal",
        {"psi": 1.0},
    ),
    # -- discriminator --
    "calibration forgets the two counts": Mutation(
        edit(calibration.Isotonic, "__call__", " - self.correction", ""),
        "test_calibration",
        "test_isotonic_recovers_the_log_ratio",
        {"distortion": "none", "counts": (30_000, 10_000)},
    ),
    "isotonic calibration has open ends": Mutation(
        edit(
            calibration,
            "fit_isotonic",
            "np.concatenate([logit, ends]), np.concatenate([label, [1.0, 0.0]])",
            "logit, label",
        ),
        "test_calibration",
        "test_the_best_few_real_samples_do_not_get_a_huge_ratio",
        {"seed": 1},
    ),
    "shaping keeps the last guide": Mutation(
        edit(shaping, "shape", 'entry["distance"] <= nearest or', "True or"),
        "test_discriminator",
        "test_the_guide_kept_is_the_nearest_of_the_history",
        {"tie": 0},
    ),
    "normalisation layers wake up": Mutation(
        edit(parts, "logits", "module.training = True", "score.train()"),
        "test_discriminator",
        "test_statistics_of_normalisation_layers_are_held",
        {"recipe": "pool"},
    ),
    # -- conditions --
    "a proposal takes the condition of its attempt": Mutation(
        edit(Direct, "init", "gan.conditions(ids)", "gan.conditions(attempts)"),
        "test_conditional",
        "test_chains_never_mix_conditions",
        {"name": "metropolis"},
    ),
    "a proposal is judged under its neighbour's condition": Mutation(
        edit(
            Run,
            "_score",
            "self.ratio.log_ratio(rows.x, self.gan.conditions(rows.id))",
            "self.ratio.log_ratio(rows.x, self.gan.conditions(rows.id + 1))",
        ),
        "test_conditional",
        "test_chains_never_mix_conditions",
        {"name": "metropolis"},
    ),
    "a shared guide's logit is calibrated without its label": Mutation(
        edit(
            Run,
            "_score",
            "self.ratio.from_logit(logit, self.gan.conditions(rows.id))",
            "self.ratio.from_logit(logit, 0 * rows.id)",
        ),
        "test_conditional",
        "test_a_shared_guide_is_calibrated_by_class",
    ),
    "a refilled lane keeps the condition it had": Mutation(
        keeps_the_condition_of_a_lane,
        "test_conditional",
        "test_chains_never_mix_conditions",
        {"name": "metropolis of refine"},
    ),
    "a fit sees one condition for all": Mutation(
        edit(parts, "_column", "network(rows.x, rows.cond)", "network(rows.x, 0 * rows.cond)"),
        "test_conditional",
        "test_fit_ratio_recovers_the_ratio_given_the_label",
    ),
    "a fit takes the shares of labels for the ratio": Mutation(
        edit(parts, "asked_alike", "part.cond is None", "True"),
        "test_conditional",
        "test_fit_ratio_recovers_the_ratio_given_the_label",
    ),
    "conditions are split apart from their samples": Mutation(
        edit(parts, "split_real", "_cut(cond, seed)", "_cut(cond, seed + 1)"),
        "test_conditional",
        "test_pairs_are_split_together",
    ),
    "calibration per class uses the pooled map": Mutation(
        edit(calibration.PerClass, "__call__", "single(logit)", "self.pooled(logit)"),
        "test_conditional",
        "test_calibration_per_class",
        {"method": "platt"},
    ),
    # -- reservoirs, reweighted latents, drop-in generators --
    "a reservoir weighs against the one it holds instead of all": Mutation(
        edit(reservoir, "_choose", "< log_weight - log_total", "< log_weight - chain.log_ratio"),
        "test_reservoir",
        "test_law_of_sir",
        {"m": 3},
    ),
    "a round of i-SIR goes on with the total of the last": Mutation(
        edit(
            ISIR,
            "judge",
            "torch.where(begins, chain.log_ratio, chain.log_total)",
            "chain.log_total",
        ),
        "test_reservoir",
        "test_law_after_some_rounds",
        {"points": 3, "rounds": 2},
    ),
    "an infinite ratio fills a reservoir": Mutation(
        edit(
            reservoir,
            "_choose",
            "torch.where(new.log_ratio.isfinite(), new.log_ratio, -torch.inf)",
            "new.log_ratio",
        ),
        "test_reservoir",
        "test_what_is_not_finite_is_never_chosen",
        {"sampler": reservoir.SIR(proposals=3), "bad": math.inf},
    ),
    "candidates of a latent share their coin": Mutation(
        edit(ReweightedLatent, "draw", "log_uniform(ids, tries)", "log_uniform(ids, 0 * tries)"),
        "test_reweighting",
        "test_known_weights_give_their_law",
    ),
    "the density of a reweighted latent is not normalised": Mutation(
        edit(ReweightedLatent, "log_prob", "(1 - last) / self._rate", "(1 - last)"),
        "test_reweighting",
        "test_the_density_is_that_of_what_is_drawn_missed_budgets_included",
        {"budget": 64},
    ),
    "every attempt starts from the given latent": Mutation(
        edit(drop_in, "_start_from", "+ attempts) == 0", "+ attempts) >= 0"),
        "test_drop_in",
        "test_the_given_latents_are_the_first_attempts",
    ),
    "batches share their noise": Mutation(
        edit(
            drop_in.SampledGenerator,
            "_noise",
            "self._key.fold(hashlib.blake2b(raw).hexdigest())",
            "self._key",
        ),
        "test_drop_in",
        "test_batches_are_independent",
    ),
    "a drop-in generator samples in inference mode": Mutation(
        edit(drop_in.SampledGenerator, "forward", "torch.inference_mode(False)", "torch.no_grad()"),
        "test_drop_in",
        "test_modes_gradients_and_inference",
    ),
    "a flattened chain's reservoir forgets its weights": Mutation(
        edit(WangLandau, "_keep", "_at(theta, self.bin(here)), -", "0 * here.log_ratio, -"),
        "test_wanglandau",
        "test_any_weights_are_undone",
    ),
    "the tilt has the wrong sign": Mutation(
        edit(
            WangLandau,
            "_move",
            "_at(theta, self.bin(chain.here)) - _at(theta, self.bin(there))",
            "_at(theta, self.bin(there)) - _at(theta, self.bin(chain.here))",
        ),
        "test_wanglandau",
        "test_any_weights_are_undone",
    ),
    "the test of a tilted move takes another step size": Mutation(
        edit(
            WangLandau,
            "_move",
            "log_accept(chain.here, there, tau",
            "log_accept(chain.here, there, 0.6 * tau",
        ),
        "test_wanglandau",
        "test_any_weights_are_undone",
    ),
    "a lane's step size is subtracted from": Mutation(
        edit(WangLandau, "_adapt", "own.tau / GROW", "own.tau - 4e3"),
        "test_wanglandau",
        "test_an_adapted_step_size_stays_positive",
    ),
    "a point is its own nearest neighbour": Mutation(
        edit(manifold, "_radii", "own] = torch.inf", "own] += 0"),
        "test_manifold",
        "test_the_metrics_are_their_definitions",
        {"dim": 2, "k": 1, "sizes": (45, 70)},
    ),
    "a NaN stands on the front": Mutation(
        edit(pareto, "pareto_front", "known & ~", "~"),
        "test_manifold",
        "test_nan_and_missing_numbers_are_never_on_the_front_and_beat_nobody",
    ),
    "a sweep fits no ratio where another law has one": Mutation(
        edit(
            sweeping,
            "_fitted",
            "if law not in gan.ratios:\n        if fit is None",
            "if not gan.ratios:\n        if fit is None",
        ),
        "test_sweep",
        "test_a_missing_ratio_is_fitted_once_and_its_passes_are_told_of_every_point_that_needs_it",
    ),
}
