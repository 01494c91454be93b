"""Fit log p_data / p_law by logistic regression of real against proposals of a frozen law."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

from torch import nn

from gantandem.data.real import RealData
from gantandem.discriminator.candidates import Candidate, candidates, learners
from gantandem.discriminator.checks import check_discriminator
from gantandem.discriminator.features import backbone_ratio, seen_evidence
from gantandem.discriminator.fitting import Evidence, Options, fit_network
from gantandem.discriminator.held_out import remember
from gantandem.discriminator.judging import (
    DISTANCE,
    LEAST,
    STRENGTHS,
    Distance,
    Judged,
    best,
    chance,
    judge,
    say,
)
from gantandem.discriminator.parts import asked_alike, draw_all, frozen_copy, parts_for, trainable
from gantandem.discriminator.sizes import Budget, fitting_sizes
from gantandem.engine.sampling import prepare
from gantandem.errors import InputError, NonFiniteError, renamed
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.gan import GAN
from gantandem.nets.features import DEFAULT, FeatureRatio
from gantandem.nets.hashing import hashed_once
from gantandem.networks.score import Score
from gantandem.samplers.named import SamplerLike, as_proposal, sampler_label
from gantandem.settings import (
    Count,
    NotNegative,
    Schedule,
    Share,
    at_least,
    check,
    check_function,
)

logger = logging.getLogger(__name__)

HELD_OUT = 0.1
THROUGH_BACKBONE = 10_000
"""Proposals by default where each goes through a large backbone."""


@renamed(pool="n")
@hashed_once()
def fit_ratio(
    gan: GAN,
    real: RealData,
    *,
    proposal: SamplerLike | None = None,
    network: nn.Module | None = None,
    spec: dict[str, Any] | None = None,
    backbone: str | nn.Module | None = None,
    backbone_weights: str | Path | None = None,
    n: int | None = None,
    schedule: Sequence[tuple[int, float]] | None = None,
    batch: int | None = None,
    weight_decay: float = 0.0,
    strength: float | None = None,
    distance: Distance = sliced_wasserstein,
    as_guide: bool = False,
    width: int | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> GAN:
    """Fit the ratio r = p_data / p_law by which selectors judge the proposals of a law.

    Start with this function if the generator came without a discriminator. Goodfellow et al.
    2014, Proposition 1: the minimiser of the logistic loss is log p_data / p_law. A tenth of the
    proposals and the ``select`` part of the real data are held out. Several candidates are fitted:
    the shipped discriminator as it is, the same trained further or a new network, and for
    samples of up to 256 numbers a regularised linear model and boosted trees. Each is calibrated
    on the held-out samples (Platt 1999; its largest ratios are limited to values that these
    samples support). The candidate whose *accepted* samples are nearest to held-out real data is
    kept; among candidates of about the same distance, the one with the lowest loss.

    If the generator misses much of the data, acceptance by r can lead away from the data, even if
    r is right. Acceptance then uses r^t, where t is the largest ``strength`` that the held-out
    distance allows, and a warning says so. If no candidate tells real from generated samples,
    t = 0. ``diagnose`` measures r.

    For a conditional GAN the ratio is that of x given its condition, log p_data(x | c) /
    p_law(x | c): the proposals have the conditions of the real samples, shuffled.

    Args:
        gan: Networks and latent.
        real: (N, *x_shape) real samples, the pair of these and their conditions, or a ``Real``
            split in parts.
        proposal: The sampler whose law it is (if it is a selector, that of its proposal), or its
            name; None takes the mover that the GAN was shaped for, or ``Direct()``.
        network: The only candidate, left unchanged (a copy is trained); weights that are frozen
            in it stay.
        spec: How to rebuild ``network`` from a file: ``{"net": name, **arguments}``.
        backbone: Look at images through this frozen network, in place of ``network``: a module that
            gives features of images as the generator makes them, ``"module:Class"`` of one, or the
            name of a shipped one, ``"efficientnet-lite0"``, ``"timm:resnet18"``, ... A small head
            is fitted on its features (``gantandem.nets.features.FeatureRatio``).
        backbone_weights: A weight file of a backbone of your own, ``.safetensors`` or ``.pth``.
        n: Proposals drawn from the law: 100,000, and fewer (5,000 at least) where drawing them
            would take much more than some minutes on a CPU, counted in operations; at most 20 for
            each real sample to fit on; 10,000 through a ``backbone``.
        schedule: (updates, learning rate) of AdamW, one after the other, for networks: 1,000 at
            1e-3, then 500 at 1e-4; of large networks fewer, in the same way.
        batch: Real, and as many generated, samples of an update: 1,000, and likewise; no
            more than there are real ones (128 at least).
        weight_decay: Of AdamW.
        strength: t, from 0 to 1, of the candidate with the lowest loss, whatever the distance;
            None chooses both on held-out samples. 1 is the acceptance of the papers.
        distance: From (N, *x_shape) accepted and real samples to a number, by which candidates
            and strengths are chosen; sliced Wasserstein-1 unless given.
        as_guide: Also follow the fitted network's gradient (of trees that of the network that
            they stand on).
        width: Lanes.
        budget: How long it may take, about: seconds, or a text such as "10m". The sizes that are
            not given then follow this machine's speed; they are logged.
        seed: The seed of the proposals, of initial weights and of the order of the data.
        progress: Show a progress bar.

    Returns:
        A new GAN that holds the ratio under the law's name; ``ratio.chosen`` tells how.

    Raises:
        InputError: If a setting is not allowed, the conditions do not fit the GAN, or the
            learning rate ruins the network at once.
        DataError: If the real samples are too few or not finite.
        NonFiniteError: If no candidate gives finite scores.
    """
    check("fit_ratio gan", GAN, gan)
    n = check("fit_ratio n", Optional[Annotated[int, at_least(2)]], n)  # noqa: UP045 (Annotated)
    batch = check("fit_ratio batch", Count | None, batch)
    schedule = check("fit_ratio schedule", Schedule | None, schedule)
    weight_decay = check("fit_ratio weight_decay", NotNegative, weight_decay)
    if network is not None and backbone is not None:
        raise InputError("fit_ratio: got network and backbone; give one of them")
    if network is not None:
        gan.check(network)
    strength = check("fit_ratio strength", Share | None, strength)
    check_function("fit_ratio distance", distance, 2, DISTANCE)
    parts = parts_for(gan, real, "fit_ratio real")
    if backbone is not None:  # before anything is drawn
        network, spec = backbone_ratio(gan, parts, backbone, backbone_weights)
        gan.check(network)
    check_discriminator(gan, parts, fitting=True)
    if gan.spread is None:
        gan = gan.observe(*parts.rows("fit"))
    mover = prepare(gan, as_proposal(gan, proposal)).sampler
    law = gan.law(mover)
    updates = None if schedule is None else sum(count for count, _ in schedule)
    if backbone not in (None, DEFAULT):
        n = n or THROUGH_BACKBONE
    which, sizes = fitting_sizes(
        gan.networks, mover, learners(gan, parts, network), len(parts.fit),
        {"n": n, "updates": updates, "batch": batch}, budget,
    )  # fmt: skip
    n, updates, batch = sizes.values()
    schedule = schedule or (((2 * updates + 2) // 3, 1e-3), (updates // 3, 1e-4))
    asked = asked_alike(gan, parts.rows("fit"), "fit ratio")
    drawn = draw_all(asked, mover, n, "fit ratio", width=width, progress=progress)
    held = max(1, int(HELD_OUT * len(drawn.x)))
    shown = Evidence(
        parts.rows("fit"),
        drawn.rows.map(lambda value: value[held:]),
        next(parts.rows("select").split(max(held, 1))).to(gan.device),
        drawn.rows.map(lambda value: value[:held]),
    )
    out_real, out_made = len(shown.out_real.x), len(shown.out_made.x)
    if min(out_real, out_made) < LEAST:
        logger.warning(
            "fit_ratio: only %d real and %d generated samples are held out. With fewer than %d "
            "the choice among candidates is chance. Give more real samples, or a larger n",
            *(out_real, out_made, LEAST),
        )
    options = Options(schedule, batch, weight_decay, seed, progress)
    if network is None:
        offered = list(candidates(gan, parts, shown, options, anew=which > 0))
    else:
        offered = [_given(network, spec or {}, shown, options)]
    strengths = STRENGTHS if strength is None else (strength, 1.0)
    noise = chance(shown.out_real.x, distance)
    with gan.networks.frozen():
        found = [judge(one, shown, distance, strengths, noise) for one in offered]
    judged = [one for one in found if one is not None]
    if not judged:
        raise NonFiniteError(
            "fit_ratio: no candidate gives finite scores on held-out samples. Check the scale of "
            "the data, and the weights of the discriminator"
        )
    if strength is None:  # a difference of two distances, each of which is off by chance
        chosen = best(judged, 2 * noise)
        used = chosen.strength if chosen.tells else 0.0
    else:  # r itself is asked for
        chosen, used = min(judged, key=lambda one: one.loss), strength
    say(chosen, judged, used, strength is not None)
    rows = {"name": chosen.candidate.name, "candidates": [one.row() for one in judged]}
    rows["sizes"] = sizes
    words = {"proposal": sampler_label(mover), "chosen": rows}
    ratio = dataclasses.replace(chosen.ratio, strength=used, **words)
    ratio = remember(ratio, "fit", parts.fit, parts.select)
    new = gan.with_ratio(law, ratio).replace(setup_passes=gan.setup_passes + drawn.passes)
    if as_guide:
        guide, described = _guide(judged, chosen)
        shipped = new.specs.get("discriminator") or new.specs.get("guide", {})
        specs = {**new.specs, "discriminator": shipped, "guide": described}
        new = new.replace(guide=guide, specs=specs)
        new = new.observe(*parts.rows("fit"))
    return new


def _given(
    network: nn.Module, spec: dict[str, Any], shown: Evidence, options: Options
) -> Candidate:
    """The user's own network, trained."""
    own = trainable(network)
    if isinstance(own, FeatureRatio):
        # Its backbone does not learn: images go through it once, and the head is fitted alone.
        seen = seen_evidence(own, shown, options.progress)
        own.head.load_state_dict(fit_network(own.head, seen, options, "fit ratio").state_dict())
        return Candidate("network", Score(frozen_copy(own)), dict(spec))
    return Candidate("network", Score(fit_network(own, shown, options, "fit ratio")), dict(spec))


def _guide(judged: Sequence[Judged], chosen: Judged) -> tuple[Score, dict[str, Any]]:
    """The chosen candidate as a guide; a smooth one where it has no gradient worth following."""
    smooth = [one for one in judged if one.candidate.name not in ("trees", "linear")]
    one = min(smooth, key=lambda one: one.loss) if smooth and chosen not in smooth else chosen
    return one.candidate.score, dict(one.candidate.spec)
