"""Faults in chains in the latent, flows, reservoirs, reweighted latents and drop-in generators."""

from __future__ import annotations

import math

from gantandem import DOT, ISIR, DGFlow, LatentOpt, ReweightedLatent
from gantandem.adapt import drop_in
from gantandem.samplers import Ex2MCMC, WangLandau, langevin, latent_chain, reservoir
from gantandem.samplers import direct as directly
from mutating import Mutation, edit

SAMPLERS: dict[str, Mutation] = {
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
        "test_langevin_moves",
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
}
