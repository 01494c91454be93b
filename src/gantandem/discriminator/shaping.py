"""Discriminator shaping: fit the guide against its own refined samples.

Liu, Kothari and Alahi, AAAI 2020, Algorithm 2. The published loop refines a fresh batch for all K
steps before each update of D. Here a persistent lane pool moves by one step per update, and
negatives are drawn from the last few thousand finished proposals: an update costs one refinement
step instead of K.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gantandem.data.real import Real, RealData, Rows
from gantandem.discriminator.checks import check_discriminator
from gantandem.discriminator.held_out import remember
from gantandem.discriminator.judging import DISTANCE, Distance
from gantandem.discriminator.parts import (
    asked_alike,
    batches,
    contrast,
    draw_all,
    frozen_copy,
    logits,
    parts_for,
    seeded,
    take,
    trainable,
)
from gantandem.discriminator.step_size import choose_step
from gantandem.engine.pool import LanePool, Tickets, lanes
from gantandem.errors import InputError, NonFiniteError
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.finite import need_number
from gantandem.gan import GAN
from gantandem.networks.score import Score
from gantandem.progress import track
from gantandem.rng import Key
from gantandem.samplers.base import tree_map
from gantandem.samplers.refine import Refine
from gantandem.settings import Count, NotNegative, Positive, check, check_function

logger = logging.getLogger(__name__)


def shape(
    gan: GAN,
    real: RealData,
    *,
    refine: Refine | None = None,
    defensive: float = 0.5,
    updates: int = 3000,
    learning_rate: float = 1e-3,
    batch: int = 512,
    width: int | None = None,
    replay: int = 4096,
    check_every: int = 500,
    check_samples: int = 2000,
    distance: Distance = sliced_wasserstein,
    tie: float = 0.1,
    recipe: Literal["pool", "paper"] = "pool",
    seed: int = 0,
    progress: bool | None = None,
) -> GAN:
    """Make a guide that leads refined samples to the data.

    A refinement whose ``step_size`` is "auto" is shaped at .02 of the activation's standard
    deviation, and gets the share of that (1, 1/2, 1/4 or 1/10) whose samples are nearest to
    held-out data in the end. A warning says if plain samples are nearer still.

    Every ``check_every`` updates, samples refined by the guide as it stands are compared with
    held-out real data; the nearest guide is kept (not the one of lowest Brier score: as refined
    samples approach the data the best discriminator's Brier score rises). The unshaped guide
    takes part, so shaping never returns something that measured worse.

    Args:
        gan: With a discriminator to start from.
        real: (N, *x_shape) real samples, the pair of these and their conditions, or a ``Real``
            split in parts. Samples are refined under the conditions of real ones.
        refine: The refinement to shape for; None for the one the GAN was shaped for, or
            ``Refine(defensive=defensive)``.
        defensive: Share of widened starts in that default; 0 switches them off. They let
            acceptance bring back modes that the generator has lost.
        updates: Discriminator updates.
        learning_rate: Of Adam (recipe "pool"), which lowers it to a tenth over the last quarter,
            or of SGD (recipe "paper", which used 8e-3) on the sum of the losses on real and on
            refined samples, as the authors write it: "pool" takes their mean.
        batch: Real, and as many refined, samples of an update.
        width: Lanes of the pool.
        replay: How many of the last finished proposals negatives are drawn from.
        check_every: Updates between two comparisons.
        check_samples: Refined samples of a comparison.
        distance: From (N, *x_shape) refined and real samples to a number; sliced Wasserstein-1
            unless given. It does not see conditions.
        tie: A later guide is kept if it is at most this share farther than the nearest so far:
            such differences are noise of the comparison, and a later guide has learnt more.
            The unshaped guide must be beaten outright.
        recipe: ``"paper"`` refines a fresh batch for each update, as published, and keeps the
            last guide. Published too: ``refine=Refine(steps=50, step_size=0.1)``, which stops at
            random while shaping, and samples that take ``stop="best"``.
        seed: Of the data order and the pool.
        progress: Show a progress bar.

    Returns:
        A new GAN with the shaped guide, ``proposal`` (the resolved refinement) and ``history``
        (one entry a comparison; that of the guide returned has ``kept``).

    Raises:
        InputError: If there is no discriminator, or a setting is not allowed.
        DataError: If the real samples are too few or not finite.
        NonFiniteError: If refinement ends at hardly any finite sample or ``distance`` gives NaN,
            before the first update; later the guides until then are what there is to choose from.
    """
    check("shape gan", GAN, gan)
    check_function("shape distance", distance, 2, DISTANCE)
    counts = {"updates": updates, "batch": batch, "replay": replay}
    counts |= {"check_every": check_every, "check_samples": check_samples}
    updates, batch, replay, check_every, check_samples = (
        check(f"shape {name}", Count, value) for name, value in counts.items()
    )
    learning_rate = check("shape learning_rate", Positive, learning_rate)
    tie = check("shape tie", NotNegative, tie)
    if recipe not in ("pool", "paper"):
        raise InputError(f"shape recipe: got {recipe!r}, allowed are 'pool' and 'paper'")
    guide = gan.need_guide("shape")
    parts = parts_for(gan, real, "shape real")
    check_discriminator(gan, parts)
    gan = gan.observe(*parts.rows("fit")).replace(shaped=True)
    asked = refine or gan.proposal or Refine(defensive=defensive)
    if not isinstance(asked, Refine):
        raise InputError(f"shape refine: got {type(asked).__name__}, allowed is Refine(...)")
    key, pilot = Key(seed).fold("shape"), Key(0).fold("prepare")
    with gan.frozen():
        mover = asked.prepare(gan, pilot)
    own = trainable(guide.network)
    score, scored = Score(own, guide.output), guide.as_logits(own, "shape")
    working = gan.replace(guide=score)
    shaper = _Shaper(working, scored, mover, parts, key, width, batch, replay)
    best, history, kept = (float("inf"), guide.network), [], 0
    begin = time.perf_counter()
    every = batches(parts.rows("fit"), batch, key.fold("real").generator())
    if recipe == "paper":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(own.parameters(), lr=learning_rate)
    else:
        optimizer = torch.optim.Adam(own.parameters(), lr=learning_rate)
    # Held once for all updates, and not at each: that took as long as a step of the pool.
    held = shaper.gan.frozen(free=own)
    with seeded(key, gan.device), track(updates, "shape", progress) as update, held:
        for step in range(updates + 1):
            if step % check_every == 0 or step == updates:
                try:
                    entry = shaper.check(distance, check_samples, step)
                except NonFiniteError as error:
                    if not history:
                        raise
                    logger.warning("shape stops after %d updates: %s", step, error)
                    break
                entry["seconds"] = round(time.perf_counter() - begin, 3)
                history.append(entry)
                slack = tie * abs(best[0]) if tie else 0.0  # none of infinity is no number
                nearest = min(best[0] + slack, history[0]["distance"])
                if entry["distance"] <= nearest or recipe == "paper":
                    best = min(best[0], entry["distance"]), frozen_copy(own)
                    kept = len(history) - 1
                logger.info("shape %d: %s", step, entry)
            if step == updates:
                break
            if recipe == "pool":
                rate = learning_rate * (0.1 if step >= 0.75 * updates else 1.0)
                for group in optimizer.param_groups:
                    group["lr"] = rate
            made = shaper.fresh() if recipe == "paper" else shaper.pooled()
            with torch.enable_grad():
                loss = contrast(scored, next(every).to(made.x.device), made)
                if recipe == "paper":
                    loss = 2 * loss  # the sum of what contrast takes the mean of
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            update(1)
    history[kept]["kept"] = True
    if history[0]["distance"] <= min(entry["distance"] for entry in history):
        logger.warning(
            "shape: no guide brought refined samples nearer to held-out data than the one it "
            "started from; try a smaller step_size, another layer or more updates"
        )
    guide = remember(Score(best[1], score.output), "shape", parts.fit, parts.select)
    shaped = gan.replace(guide=guide, history=tuple(history))
    shaped = shaped.observe(*parts.rows("fit"))
    shaped.setup_passes += shaper.passes
    # What is read off the guide's scores of real data belongs to the guide that is kept.
    mover = replace(mover, threshold=asked.threshold, reference=asked.reference)
    chosen = choose_step(
        shaped, mover.prepare(shaped, pilot), shaper.held_out, distance,
        auto=asked.step_size == "auto", count=check_samples, tie=tie, width=shaper.width,
    )  # fmt: skip
    shaped.setup_passes += chosen.passes
    return shaped.replace(proposal=chosen.mover)


class _Shaper:
    """Draws negatives for one guide that is being changed."""

    def __init__(
        self,
        gan: GAN,
        own: nn.Module,
        mover: Refine,
        parts: Real,
        key: Key,
        width: int | None,
        batch: int,
        replay: int,
    ) -> None:
        self.own, self.mover, self.key = own, mover, key
        self.gan = asked_alike(gan, parts.rows("fit"), "shape")
        self.held_out = parts.rows("select")
        self.batch, self.replay = batch, max(replay, batch)
        self.width = lanes(width or (batch + 15) // 16 * 16, gan.device)
        self.drawn = 0
        self.passes = 0
        self._buffer: Rows | None = None
        self._filled = self._at = 0
        self._pick = key.fold("negatives").generator()
        self._fresh = key.fold("fresh")
        self._pool = LanePool(
            self.gan, mover, key.fold("pool"), self.width, self._tickets, lambda: self.width
        )

    def _tickets(self, count: int) -> Tickets:
        ids = torch.arange(self.drawn, self.drawn + count, device=self.gan.device)
        self.drawn += count
        return Tickets(ids, torch.zeros_like(ids))

    def pooled(self) -> Rows:
        """Move the pool by one step; a batch of recently finished proposals."""
        self._advance()
        # A lane is done within steps + 1 moves; four times what a batch of them takes is patience.
        patience = 4 * (self.mover.steps + 1) * -(-self.batch // self.width)
        for _ in range(patience):
            if self._filled >= self.batch:
                break
            self._advance()
        if self._buffer is None or self._filled < self.batch:
            raise NonFiniteError(
                f"shape: {patience} steps of the pool gave {self._filled} finite samples, fewer "
                f"than a batch of {self.batch}. Take a smaller step_size, or clamp"
            )
        index = torch.randint(self._filled, (self.batch,), generator=self._pick)
        return take(self._buffer, index)

    @contextlib.contextmanager
    def _sampling(self) -> Iterator[None]:
        """Have the guide in eval mode; the other networks are held for all of shaping."""
        training = [module for module in self.own.modules() if module.training]
        for module in training:
            module.training = False
        try:
            with torch.no_grad():
                yield
        finally:
            for module in training:
                module.training = True

    def _advance(self) -> None:
        with self._sampling():
            self._pool.fill()
            done = self._pool.advance()
        self.passes += self.mover.cost().step * self.width
        if done is None:
            return
        sound = done.x.flatten(1).isfinite().all(1).nonzero().squeeze(1)[: self.replay]
        made = take(Rows(done.x, self.gan.conditions(done.id)), sound)
        if self._buffer is None:
            self._buffer = made.map(lambda value: value.new_zeros(self.replay, *value.shape[1:]))
        count = len(sound)
        places = (torch.arange(count, device=sound.device) + self._at) % self.replay
        for kept, new in zip(self._buffer, made, strict=True):
            if kept is not None and new is not None:
                kept[places] = new
        self._at = (self._at + count) % self.replay
        self._filled = min(self._filled + count, self.replay)

    def fresh(self) -> Rows:
        """A fresh batch, every sample refined to its own end: what the published loop does.

        No lane is filled anew, so there is no pool: those that are done are left out.
        """
        start, self.drawn = self.drawn, self.drawn + self.batch
        done: list[tuple[Tensor, Tensor]] = []
        with self._sampling():
            for ids in torch.arange(start, self.drawn, device=self.gan.device).split(self.width):
                done += self._refined(ids)
        x, ids = (torch.cat(column) for column in zip(*done, strict=True))
        sound = x.flatten(1).isfinite().all(1)
        if not bool(sound.any()):
            raise NonFiniteError(
                f"shape: none of {self.batch:,} refined samples is finite. Take a smaller "
                "step_size, or clamp"
            )
        return Rows(x[sound], self.gan.conditions(ids[sound]))

    def _refined(self, ids: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Samples, and whose they are, as they are done."""
        cost = self.mover.cost()
        state: Any = self.mover.init(self.gan, self._fresh, ids, torch.zeros_like(ids))
        self.passes += cost.start * len(ids)
        while len(ids):
            state, moved = self.mover.step(self.gan, self._fresh, state)
            self.passes += cost.step * len(ids)
            yield moved.x[moved.done], ids[moved.done]
            going = (~moved.done).nonzero().squeeze(1)
            ids = ids[going]
            state = tree_map(lambda value, going=going: value[going], state)

    def check(self, distance: Distance, count: int, step: int) -> dict[str, Any]:
        """Compare samples refined by the guide as it stands with held-out real data."""
        mover = replace(self.mover, defensive=0.0)
        gan = asked_alike(self.gan, self.held_out, "shape check")
        drawn = draw_all(gan, mover, count, "shape check", width=self.width)
        self.passes += drawn.passes
        real = next(self.held_out.split(count)).to(drawn.x.device)
        on_real, on_made = logits(self.own, real), logits(self.own, drawn.rows)
        brier = 0.5 * (on_real.sigmoid().sub(1).square().mean() + on_made.sigmoid().square().mean())
        return {
            "update": step,
            "distance": need_number(distance(drawn.x, real.x), f"shape distance, update {step}"),
            "brier": float(brier),
            "logit_real": float(on_real.mean()),
            "logit_refined": float(on_made.mean()),
        }
