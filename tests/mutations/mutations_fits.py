"""Faults in fits, in what follows conditions, and in what is measured."""

from __future__ import annotations

import math

from gantandem import Direct
from gantandem.data import matching
from gantandem.discriminator import calibration, held_out, parts, shaping
from gantandem.engine.pool import LanePool
from gantandem.engine.run import Run
from gantandem.evaluate import sweeping
from gantandem.evaluate.metrics import manifold, pareto
from mutating import Mutation, Patch, edit


def keeps_the_condition_of_a_lane(patch: Patch) -> None:
    whole = LanePool._refill

    def refill(self, lanes, count):
        before = None if self._state is None else self._state.cond.clone()
        whole(self, lanes, count)
        if before is not None:
            self._state.cond.copy_(before)

    patch.setattr(LanePool, "_refill", refill)


FITS: dict[str, Mutation] = {
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
    "a fit takes the shares of labels for the ratio": Mutation(
        edit(parts, "asked_alike", "part.cond is None", "True"),
        "test_conditional_fits",
        "test_fit_ratio_recovers_the_ratio_given_the_label",
    ),
    "conditions are split apart from their samples": Mutation(
        edit(parts, "_split", "take(cond, index)", "take(cond, index.flip(0))"),
        "test_conditional",
        "test_pairs_are_split_together",
    ),
    "equal samples land in different parts": Mutation(
        edit(held_out, "split_places", "if apart:", "if True:"),
        "test_held_out",
        "test_the_split_is_of_content",
    ),
    "the split follows the place of a sample": Mutation(
        edit(parts, "_split", "rows_hash(x)", "torch.arange(len(x))"),
        "test_held_out",
        "test_the_split_is_of_content",
    ),
    "a part of real data is not looked at for NaN": Mutation(
        edit(matching, "take_in", "check_finite(x, where)", "0"),
        "test_matching",
        "test_a_sample_that_is_not_finite_is_refused_in_every_part",
        {"call": "fit_ratio", "part": "select", "bad": math.nan},
    ),
    "calibration per class uses the pooled map": Mutation(
        edit(calibration.PerClass, "__call__", "single(logit)", "self.pooled(logit)"),
        "test_conditional_fits",
        "test_calibration_per_class",
        {"method": "platt"},
    ),
    # -- metrics and sweeps --
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
