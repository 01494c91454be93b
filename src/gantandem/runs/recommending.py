"""Which sampler to use on a run: tried, measured, and kept under one name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from gantandem.discriminator.sizes import Budget
from gantandem.engine.sampling import prepare
from gantandem.evaluate.comparing import Metrics
from gantandem.evaluate.recommendation import Recommendation
from gantandem.evaluate.recommending import recommend
from gantandem.reporting import evidence as files
from gantandem.reporting.keep import now, write_json
from gantandem.reporting.schema import RECOMMENDED as RECOMMENDED_FILE
from gantandem.reporting.schema import read_json
from gantandem.reporting.stale import made_by
from gantandem.runs.stepping import writes
from gantandem.runs.steps import fit_settings, keep_shaped
from gantandem.runs.workspace import RECOMMENDED, Workspace, proposal_of
from gantandem.settings import to_config
from gantandem.tasks.images import DigitsTask


def verdict_of(run: Path) -> str | None:
    """What was recommended for a run, in words."""
    found = read_json(run / files.RECOMMENDATION_FILE, RECOMMENDED_FILE)
    return None if found is None else found["verdict"]


@writes
def recommend_run(
    work: Workspace,
    samplers: Sequence[str] | None = None,
    n: int = 8_000,
    *,
    by: str | None = None,
    layers: Sequence[str] | None = None,
    budget: Budget | None = None,
    backbone: str | None = None,
    backbone_weights: str | Path | None = None,
    seed: int | None = None,
) -> Recommendation:
    """Find the sampler to use, see :func:`gantandem.recommend`, and keep it as ``recommended``.

    The run then holds the guide and the ratio that it needs; what was tried is in
    ``evidence/recommendation.json``. Where other samplers are asked for, on the run as it is,
    nothing else changes.
    """
    task = work.task
    metrics: Callable[[int], Metrics] | None = None
    if isinstance(task, DigitsTask) and backbone is None:  # by the features of its classifier
        metrics = lambda block: partial(task.metrics, seed=block)  # noqa: E731
    given = {key: value for key, value in work.recipe.shape.given().items() if key != "refine"}
    named = None if samplers is None else {name: work.sampler(name) for name in samplers}
    found = recommend(
        work.gan,
        work.real,
        named,
        n=n,
        by=by,
        layers=layers,
        budget=budget,
        metrics=metrics,
        backbone=backbone,
        backbone_weights=backbone_weights,
        fit_options=fit_settings(work),
        shape_options={"distance": task.distance, **task.shape_defaults, **given},
        seed=work.recipe.seed if seed is None else seed,
    )
    before, gan, passes = work.gan, found.gan, work.passes
    config = to_config(found.sampler)
    law = gan.law(prepare(gan, proposal_of(found.sampler)).sampler)
    noted = {"weights": made_by(gan, {"law": law, "sampler": config}), "date": now()}
    write_json(work.run / files.RECOMMENDATION_FILE, {**found.to_dict(), **noted})
    work.recipe = work.recipe.model_copy(
        update={"samplers": {**work.recipe.samplers, RECOMMENDED: config}}
    )
    passes["recommend"] = passes.get("recommend", 0) + gan.setup_passes - before.setup_passes
    if gan.history and gan.history is not before.history:
        keep_shaped(work, before, gan)
    work.save(gan, passes)
    return found
