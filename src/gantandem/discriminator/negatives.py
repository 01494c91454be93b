"""The refined samples that a guide is shaped against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.data.real import Real, Rows
from gantandem.discriminator.judging import Distance
from gantandem.discriminator.parts import asked_alike, draw_all, logits, take
from gantandem.engine.pool import LanePool, Tickets, default_width, lanes
from gantandem.errors import NonFiniteError
from gantandem.evaluate.metrics.finite import need_number
from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.samplers.base import tree_map
from gantandem.samplers.refine import Refine


class Negatives:
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
        self.networks = self.gan.networks
        self.held_out = parts.rows("select")
        self.batch, self.replay = batch, max(replay, batch)
        own_width = default_width(self.networks, mover)  # small where samples are large
        fits = (batch + 15) // 16 * 16 if own_width >= 64 else min(own_width, batch)
        self.width = lanes(width or fits, gan.device)
        self.drawn = 0
        self.passes = 0
        self._buffer: Rows | None = None
        self._filled = self._at = 0
        self._pick = key.fold("negatives").generator()
        self._fresh = key.fold("fresh")
        self._pool = LanePool(
            self.networks, mover, key.fold("pool"), self.width, self._tickets, lambda: self.width
        )

    def _tickets(self, count: int) -> Tickets:
        ids = torch.arange(self.drawn, self.drawn + count)
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
                f"than a batch of {self.batch}. Take a smaller step_size, or set clamp"
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
        made = take(Rows(done.x, self.gan.conditions(done.id.to(done.x.device))), sound)
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
                "step_size, or set clamp"
            )
        return Rows(x[sound], self.gan.conditions(ids[sound]))

    def _refined(self, ids: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Samples, and whose they are, as they are done."""
        cost = self.mover.cost()
        state: Any = self.mover.init(self.networks, self._fresh, ids, torch.zeros_like(ids))
        self.passes += cost.start * len(ids)
        while len(ids):
            state, moved = self.mover.step(self.networks, self._fresh, state)
            self.passes += cost.step * len(ids)
            yield moved.x[moved.done], ids[moved.done]
            going = (~moved.done).nonzero().squeeze(1)
            ids = ids[going]
            state = tree_map(lambda value, going=going: value[going], state)

    def compare(self, distance: Distance, count: int, step: int) -> dict[str, Any]:
        """Compare samples refined by the guide as it stands with held-out real data."""
        mover = replace(self.mover, defensive=0.0)
        gan = asked_alike(self.gan, self.held_out, "shape check")
        show = None if step == 0 else False  # later there is the bar of the updates
        drawn = draw_all(gan, mover, count, "shape check", width=self.width, progress=show)
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
