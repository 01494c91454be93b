"""The steps, each from a run folder to the same run folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from gantandem.discriminator import Diagnosis, calibrate, diagnose, fit_ratio, shape_discriminator
from gantandem.discriminator.latent_weights import fit_latent_reweight
from gantandem.discriminator.parts import seeded
from gantandem.discriminator.sizes import Budget, diagnosis_size, seconds
from gantandem.engine.sampling import prepare
from gantandem.gan import GAN
from gantandem.nets import build
from gantandem.ratios.doubts import doubts
from gantandem.ratios.law import Law
from gantandem.ratios.lookup import plain_law
from gantandem.ratios.ratio import Ratio
from gantandem.reporting import evidence as files
from gantandem.reporting.keep import (
    write_json,
    write_landscape,
)
from gantandem.reporting.schema import DIAGNOSES, read_json
from gantandem.rng import Key
from gantandem.runs.stepping import writes
from gantandem.runs.workspace import RECOMMENDED, Workspace, proposal_of
from gantandem.samplers import Direct, LatentReweight
from gantandem.samplers.refine import Refine

logger = logging.getLogger(__name__)

DIAGNOSED = 0.2
"""Of a budget: what the diagnosis may take beside the fit."""


@writes
def shape_run(work: Workspace, budget: Budget | None = None) -> GAN:
    """Shape the guide of a run for its refinement; keeps the landscape before and after.

    It starts from the discriminator as it was trained, so that repeated it gives the same guide.
    Ratios on laws that follow no guide stay; those of an older guide go, which is said. Sizes that
    a ``budget`` chose become settings of the run, so that it can be repeated without a clock.
    """
    refine = work.refinement()
    assert isinstance(refine, Refine)
    before = _with_task_guide(work, work.trained())
    given = {k: v for k, v in work.recipe.shape.given().items() if k != "refine"}
    settings = {**work.task.shape_defaults, **given}
    shaped = shape_discriminator(
        before,
        work.real,
        refine=refine,
        distance=work.task.distance,
        seed=work.recipe.seed,
        budget=budget,
        **settings,
    )
    if budget is not None:
        work.keep_sizes("shape", shaped.history[0]["sizes"])
    plain = plain_law(work.gan)
    kept = {k: v for k, v in work.gan.ratios.items() if k == plain or _follows_none(k)}
    gone = [r.proposal or law for law, r in work.gan.ratios.items() if law not in kept]
    if gone:
        logger.info(
            "these ratios were fitted for the older guide and are removed; fit them again: %s",
            ", ".join(gone),
        )
    shaped = shaped.replace(
        ratios={**shaped.ratios, **kept},
        reweighted=work.gan.reweighted,
        specs={**work.gan.specs, **shaped.specs},
    )
    passes = {k: v for k, v in work.passes.items() if k.removeprefix("ratio ") in (*kept, "w(z)")}
    if RECOMMENDED in work.recipe.samplers:
        logger.info(
            "the recommended sampler used the older guide and is removed; run recommend again"
        )
        left = {k: v for k, v in work.recipe.samplers.items() if k != RECOMMENDED}
        work.recipe = work.recipe.model_copy(update={"samplers": left})
    keep_shaped(work, before, shaped)
    work.save(shaped, {"shape": shaped.setup_passes, **passes})
    return work.gan


def keep_shaped(work: Workspace, before: GAN, shaped: GAN) -> None:
    """Keep how shaping went, for the report."""
    write_json(work.run / files.SHAPING_FILE, list(shaped.history))
    if work.task.x_shape == (2,):
        write_landscape(work.run, work.real.test, before, shaped)


def _follows_none(law: str) -> bool:
    """Whether a law's proposals follow no score: it was traced through prior and generator only."""
    return isinstance(law, Law) and bool(law.exact) and len(law.traces) <= 2


def _with_task_guide(work: Workspace, gan: GAN) -> GAN:
    """The GAN, following the task's own ratio network, fitted on p_G, or any where it has none."""
    own = work.task.ratio
    if gan.guide is not None and (own is None or gan.specs.get("guide") == dict(own)):
        return gan
    return fit_ratio(gan, work.real, proposal=Direct(), as_guide=True, **fit_settings(work))


def fit_settings(work: Workspace) -> dict[str, Any]:
    """Settings of fit_ratio: the task's under the recipe's, with the task's network if any."""
    seed = work.recipe.seed
    given = {"distance": work.task.distance, "seed": seed}
    settings = {**work.task.fit_defaults, **work.recipe.fit_ratio.given(), **given}
    if work.task.ratio is not None and "backbone" not in settings:
        with seeded(Key(seed).fold("ratio network"), work.gan.device):
            settings["network"] = build(work.task.ratio).to(work.gan.device)
        settings["spec"] = dict(work.task.ratio)
    return settings


@writes
def fit_run(
    work: Workspace,
    samplers: Sequence[str] = ("direct", "collaborative"),
    budget: Budget | None = None,
) -> dict[str, Diagnosis]:
    """Fit a ratio on the law of each sampler's proposals and diagnose it on test data.

    A ``budget`` is shared by them in equal parts; a diagnosis takes a fifth more at most.
    ``chosen["sizes"]`` of a ratio tells what it was fitted with.

    ``latent_reweight`` has its w(z) fitted first, to the ratio of the plain generator as it is.
    """
    found = {}
    each = None if budget is None else seconds(budget, "fit-ratio") / len(samplers)
    for name in samplers:
        proposal = proposal_of(work.sampler(name))
        gan, passes = work.gan, work.passes
        if isinstance(proposal, LatentReweight):
            given = work.recipe.fit_ratio.given()
            for key in ("strength", "backbone", "backbone_weights"):
                given.pop(key, None)  # of a ratio, which this is not
            gan = fit_latent_reweight(gan, seed=work.recipe.seed, **given)
            passes["w(z)"] = gan.setup_passes - work.gan.setup_passes
        settings = {**fit_settings(work), "budget": each}
        fitted = fit_ratio(gan, work.real, proposal=proposal, **settings)
        mover, more = prepare(fitted, proposal).sampler, None if each is None else DIAGNOSED * each
        n = diagnosis_size(fitted.networks, mover, len(work.real.test), more)
        found[name] = diagnose(fitted, work.real, proposal=proposal, n=n)
        law = found[name].law
        passes[f"ratio {law}"] = fitted.setup_passes - gan.setup_passes
        _keep_diagnoses(work, {f"{name}, refitted": found[name]})
        work.save(fitted.with_diagnosis(found[name]), passes)
        if left := [one for one in samplers if one not in found]:
            ready, others = ", ".join(found), ",".join(left)
            work.kept = f"fitted and kept in {work.run}: {ready}; --samplers {others} fits the rest"
        _say_chosen(name, work.gan.ratios[law])
    return found


def _say_chosen(name: str, ratio: Ratio) -> None:
    """Say which candidate became the ratio, beside the others."""
    if not ratio.chosen:
        return
    losses = ", ".join(f"{row['name']} {row['log_loss']:.4f}" for row in ratio.chosen["candidates"])
    used = "" if ratio.strength == 1 else f"; acceptance uses r^{ratio.strength:g}"
    logger.info(
        "%s: the ratio is %r (held-out losses: %s%s)", name, ratio.chosen["name"], losses, used
    )


@writes
def calibrate_run(work: Workspace, sampler: str, method: str = "auto") -> dict[str, Diagnosis]:
    """Calibrate the ratio on a sampler's law; the diagnoses before and after, on test data."""
    proposal = proposal_of(work.sampler(sampler))
    options: dict[str, Any] = {"proposal": proposal}
    before = diagnose(work.gan, work.real, **options)
    gan = calibrate(work.gan, work.real, method=method, **options)  # type: ignore[arg-type]
    after = diagnose(gan, work.real, **options)
    found = {sampler: before, f"{sampler}, {method}": after}
    if work.gan.ratios[before.law].calibrator == gan.ratios[after.law].calibrator:
        logger.info("%s: already calibrated in this way", sampler)
        found.pop(sampler)
    _keep_diagnoses(work, found)
    passes = work.passes
    passes[f"calibration {after.law}"] = gan.setup_passes - work.gan.setup_passes
    work.save(gan.with_diagnosis(after), passes)
    return found


@writes
def diagnose_run(work: Workspace, sampler: str, label: str | None = None) -> Diagnosis:
    """Diagnose the ratio on the law of a sampler's proposals; kept for the report."""
    found = diagnose(work.gan, work.real, proposal=proposal_of(work.sampler(sampler)))
    _keep_diagnoses(work, {label or sampler: found})
    work.save(work.gan.with_diagnosis(found), settings=False)
    return found


def _keep_diagnoses(work: Workspace, found: Mapping[str, Diagnosis]) -> None:
    path = work.run / files.DIAGNOSIS_FILE
    kept = read_json(path, DIAGNOSES) or {}
    for label, one in found.items():
        kept.pop(label, None)  # or it would stay before what is older
        kept[label] = {**one.to_dict(), "warnings": doubts(one)}
    write_json(path, kept)
