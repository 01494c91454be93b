"""Faults in randomness, in the engine, and in the formulas of samplers."""

from __future__ import annotations

import math
import sys

import torch

from awkward import Remembers
from gantandem import DRS, GAN, Key, Metropolis, Refine, settings
from gantandem.engine import pool
from gantandem.engine.pool import LanePool
from gantandem.engine.run import Run
from gantandem.networks import doors, held
from gantandem.ratios import law
from gantandem.ratios.ratio import Ratio
from gantandem.samplers import optimisers
from gantandem.samplers import refine as refining
from mutating import Mutation, Patch, edit, edited, put


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


def keeps_what_it_emitted(patch: Patch) -> None:
    whole, kept = Run._emit, []

    def emit(self, **options):
        block = whole(self, **options)
        kept.append(block)
        return block

    patch.setattr(Run, "_emit", emit)


def flags_stay(patch: Patch) -> None:
    edited(patch, held, "untouched", "module.training = flag", "pass")
    patch.setattr(held.Structure, "restore", lambda self: None)


ENGINE: dict[str, Mutation] = {
    "a pool has as many lanes as asked for, on a CPU too": Mutation(
        edit(pool, "lanes", "return -(-width // block) * block", "return width"),
        "test_invariance",
        "test_networks_only_ever_see_the_full_width",
    ),
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
        put(sys.modules["gantandem.engine.run"], "LOOK_AHEAD", 64),
        "test_invariance",
        "test_order_and_look_ahead",
        {"selector": None},
    ),
    "a sample is stored after its id is done": Mutation(
        edit(Run, "_judge", "self._hold(", "self._chain.done[slot] = chain.done; self._hold("),
        "test_invariance",
        "test_ctrl_c_inside_the_engine_emits_nothing_unfinished",
        {"method": "_hold"},
    ),
    "what was emitted is kept": Mutation(
        keeps_what_it_emitted, "test_invariance", "test_memory_of_streaming_does_not_grow"
    ),
    "training flags are not restored": Mutation(
        flags_stay,
        "test_gan",
        "test_flags_are_restored_even_after_an_error",
    ),
    "what a forward writes stays": Mutation(
        put(held.Structure, "restore", lambda self: None),
        "test_untouched",
        "test_every_call_leaves_the_networks_as_they_were",
        {"kind": Remembers},
    ),
    "an exchanged layer is not seen": Mutation(
        put(GAN, "_forget_exchanged", lambda self, parts: None),
        "test_exchanged",
        "test_a_layer_of_the_tail_that_was_replaced_is_seen",
    ),
    "a law does not name what networks compute": Mutation(
        put(law, "_computed", lambda gan, scores, z, cond: [z]),
        "test_law_names",
        "test_activations_count_in_generator_and_guide",
    ),
    "a ratio is never stale": Mutation(
        put(Ratio, "stale_with", lambda self, weights: False),
        "test_law_names",
        "test_a_fitted_ratio_changed_in_place_is_refused",
    ),
    "rows of guides given later are not checked": Mutation(
        put(doors, "check_rows", lambda *arguments: None),
        "test_doors",
        "test_a_network_is_checked_by_whichever_door_it_comes",
        {"door": "with_guide", "fault": "mixes"},
    ),
    "broken samples of the generator pass": Mutation(
        put(Run, "_refuse_fresh", lambda self, rows, bad, count: None),
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
        put(DRS, "_logit", lambda self, d, log_max: (d - log_max).clamp(max=0)),
        "test_exact",
        "test_drs_law",
        {"percentile": 60.0},
    ),
    "Adam is not corrected for its start": Mutation(
        put(
            optimisers,
            "_shares",
            lambda beta, last, *rest: torch.full((last + 1,), 1 - beta),
        ),
        "test_reference",
        "test_update_rules",
        {"stop": "last", "update": "adam"},
    ),
    "the authors' Adam weighs by logits": Mutation(
        edit(Refine, "_update", "torch.sigmoid(logit.to(loss.dtype))", "logit.to(loss.dtype)"),
        "test_reference",
        "test_update_rules",
        {"stop": "last", "update": "scaled-adam"},
    ),
    "a refined latent leaves its prior": Mutation(
        put(refining, "keep_inside", lambda latent, z, before: z),
        "test_borders",
        "test_moved_latents_stay_in_the_prior",
        {"prior": "uniform", "mover": "refine"},
    ),
    "settings are not checked": Mutation(
        put(settings, "check", lambda where, kind, value: value),
        "test_kinds_of_settings",
        "test_numbers_of_numpy_become_pythons",
    ),
    "the best sample is the last": Mutation(
        edit(Refine, "step", "better = logit > best.logit", "better = logit > -torch.inf"),
        "test_reference",
        "test_stop_rules",
        {"stop": "best"},
    ),
}
