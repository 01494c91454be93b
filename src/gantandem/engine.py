"""Runs a sampler over the lane pool: proposals in, judged in attempt order, samples out by id."""

from __future__ import annotations

import dataclasses
import logging
import platform
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gantandem._version import __version__
from gantandem.errors import BudgetError, InputError, NonFiniteError
from gantandem.gan import GAN
from gantandem.pool import Finished, LanePool, Tickets, check_width
from gantandem.progress import track
from gantandem.rng import RNG_VERSION, Key
from gantandem.samplers.base import Chain, Mover, Proposal, Selector, to_config
from gantandem.samples import Samples
from gantandem.score import Ratio, weights_hash

logger = logging.getLogger(__name__)

LOOK_AHEAD = 8
"""The pool works at most this many widths of ids ahead of the oldest unfinished one."""
AHEAD = 32
"""At most this many attempts of an id are in flight at once."""
EXHAUSTED_SHARE = 0.001


def _cat(parts: list[Finished]) -> Finished:
    return Finished(*(torch.cat(column) for column in zip(*parts, strict=True)))


def default_width(gan: GAN) -> int:
    """Lanes by default: 1024 for points, 256 for small images, 64 beyond (memory)."""
    with gan.frozen():
        z, cond = gan._examples()
        size = gan.decode(z, cond)[0].numel()
    return 1024 if size <= 64 else 256 if size <= 4096 else 64


def prepare(
    gan: GAN, sampler: Mover | Selector, *, width: int | None = None, strict: bool = True
) -> tuple[Any, int]:
    """Resolve every ``auto`` and fix every constant of a sampler on pilot samples.

    The pilot has ids and keys of its own, the same for every seed: constants never depend on what
    is sampled later.

    Returns:
        The frozen sampler, and the passes spent.
    """
    mover = sampler.proposal if isinstance(sampler, Selector) else sampler
    with gan.frozen():
        mover = mover.prepare(gan, Key(0).fold("prepare"))
    if not isinstance(sampler, Selector):
        return mover, 0
    spent = 0

    def pilot(n: int) -> Tensor:
        nonlocal spent
        ratio = gan.ratio(mover, strict=strict)
        run = Run(gan, mover, n, Key(0).fold("pilot"), width=width, ratio=ratio)
        log_ratio = torch.cat([block.log_ratio for block in run.blocks()])
        spent += run.passes
        return log_ratio

    return dataclasses.replace(sampler, proposal=mover).prepare(pilot), spent  # type: ignore


class Run:
    """One run of a prepared sampler over the ids ``start`` to ``start + n - 1``.

    Args:
        gan: The networks.
        sampler: A prepared mover, or a prepared selector over one.
        n: Number of samples.
        key: Random numbers.
        start: First id.
        width: Lanes; None for the default.
        ratio: What proposals are judged by; None leaves a mover's own logit.
    """

    def __init__(
        self,
        gan: GAN,
        sampler: Any,
        n: int,
        key: Key,
        *,
        start: int = 0,
        width: int | None = None,
        ratio: Ratio | None = None,
    ) -> None:
        self.gan, self.key, self.ratio = gan, key, ratio
        self.selector: Selector | None = sampler if isinstance(sampler, Selector) else None
        mover: Any = self.selector.proposal if self.selector else sampler
        self.mover: Mover = mover
        self.name = type(sampler).__name__
        self.width = check_width(default_width(gan) if width is None else width)
        self.base, self.stop = start, start + n
        self.window = LOOK_AHEAD * self.width
        self.events = {"nonfinite": 0, "excess": 0, "exhausted": 0, "stuck": 0}
        self.passes = 0
        self.proposals = 0
        self.discarded = 0
        self._cost = self.mover.cost()
        self._buffer: list[Finished] = []
        self._buffered = 0
        self._early: list[Finished] = []
        self._pool = LanePool(gan, self.mover, key, self.width, self._tickets, self._waiting)
        self._chain: Chain = self._empty_chain(self.window)
        self._held: dict[str, Tensor] = {}
        # Attempts of the id in each slot: begun, and judged.
        self._begun = torch.zeros(self.window, dtype=torch.int64, device=gan.device)
        self._judged = torch.zeros_like(self._begun)

    @property
    def waste(self) -> float:
        """Share of lane steps that were idle or went into attempts nobody needed."""
        useful = self._pool.lane_steps - self._pool.idle_steps - self.discarded
        return 1 - useful / max(1, self._pool.lane_steps)

    # -- tickets --------------------------------------------------------------------------------

    def _ids(self) -> Tensor:
        """The ids the run may work on now, oldest first."""
        stop = min(self.stop, self.base + self.window)
        return torch.arange(self.base, stop, device=self.gan.device)

    def _waiting(self) -> int:
        slot = self._ids() % self.window
        return int((~self._chain.done[slot] & (self._begun == self._judged)[slot]).sum())

    def _tickets(self, count: int) -> Tickets:
        """The next attempts of the oldest ids, so that the window moves on.

        When fewer ids wait than lanes, lanes that would idle run further attempts of unfinished
        ids ahead of their turn. Attempts are judged in order whenever they were made, so this
        changes no sample; those nobody needs are waste, and not counted as passes.
        """
        ids = self._ids()
        slot = ids % self.window
        open_ = ids[~self._chain.done[slot]]
        waiting = open_[(self._begun == self._judged)[open_ % self.window]][:count]
        attempts = self._begun[waiting % self.window]
        self._begun[waiting % self.window] += 1
        missing = count - len(waiting)
        if missing and self.selector is not None and len(open_):
            ahead = min(-(-missing // len(open_)), AHEAD)
            further = open_.repeat_interleave(ahead)[:missing]
            depth = torch.arange(ahead, device=ids.device).repeat(len(open_))[:missing]
            tries = self._begun[further % self.window] + depth
            near = tries - self._judged[further % self.window] < AHEAD
            near &= tries < self.selector.budget
            further, tries = further[near], tries[near]
            self._begun.index_add_(0, further % self.window, torch.ones_like(further))
            waiting, attempts = torch.cat([waiting, further]), torch.cat([attempts, tries])
        return Tickets(waiting, attempts)

    # -- the loop -------------------------------------------------------------------------------

    def blocks(self) -> Iterator[Samples]:
        """Samples in id order, at least a width of them at a time until the last."""
        while self.base < self.stop:
            with self.gan.frozen():
                block = None
                while block is None:
                    block = self._turn()
            yield block

    def _turn(self) -> Samples | None:
        pool = self._pool
        if pool.idle == self.width:
            pool.fill(force=True)
        finished = pool.advance()
        if finished is not None:
            self._buffer.append(finished)
            self._buffered += finished.size
        starved = pool.idle >= self.width // 4
        if self._buffered < self.width and not starved:
            return None
        if self._buffered >= (self.width // 8 if pool.idle < self.width else 1):
            self._settle()
        if starved:
            pool.fill(force=True)
        return self._emit()

    def _settle(self) -> None:
        """Score up to a width of finished proposals, padded to the width, and judge them."""
        everything = _cat(self._buffer)
        count = min(everything.size, self.width)
        rest = Finished(*(value[count:] for value in everything))
        self._buffer, self._buffered = ([rest] if rest.size else []), rest.size
        rows = Finished(*(self._pad(value[:count]) for value in everything))
        log_ratio = self._score(rows)
        finite = rows.x.flatten(1).isfinite().all(1)
        if self.ratio is not None or self._cost.scores:
            finite &= log_ratio.isfinite()
        if not bool(finite.all()):
            self._refuse_broken(rows, ~finite, count)
        scored = rows._replace(logit=torch.where(finite, log_ratio, -torch.inf))
        new = Finished(*(value[:count] for value in scored))
        self._early.append(new)
        while self._early:
            early = _cat(self._early)
            slot = early.id % self.window
            live = (early.id >= self.base) & ~self._chain.done[slot]
            turn = live & (early.attempt == self._judged[slot])
            self.discarded += int(early.age[~live].sum())
            later = Finished(*(value[live & ~turn] for value in early))
            self._early = [later] if later.size else []
            if not bool(turn.any()):
                break
            for part in zip(*(value[turn].split(self.width) for value in early), strict=True):
                self._judge(Finished(*part))

    def _pad(self, value: Tensor) -> Tensor:
        missing = self.width - len(value)
        return torch.cat([value, value[:1].expand(missing, *value.shape[1:])]) if missing else value

    def _score(self, rows: Finished) -> Tensor:
        if self.ratio is None or self._shared():
            logit = rows.logit.double()
            return logit if self.ratio is None else self.ratio.from_logit(logit)
        return self.ratio.log_ratio(rows.x, self.gan.conditions(rows.id))

    def _shared(self) -> bool:
        """The guide's logit is the ratio's: no further pass."""
        return self._cost.scores and self.ratio is not None and self.ratio.score is self.gan.guide

    def _refuse_broken(self, rows: Finished, bad: Tensor, count: int) -> None:
        """A move may leave the finite numbers; a fresh sample of the generator must not."""
        cond = self.gan.conditions(rows.id)
        x = self.gan.decode(rows.z, cond)
        broken = ~x.flatten(1).isfinite().all(1)
        for score in (self.ratio and self.ratio.score, self._cost.scores and self.gan.guide):
            if score:
                broken |= ~score(x, cond).isfinite()
        broken = (broken & bad)[:count]
        if bool(broken.any()):
            ids = rows.id[:count][broken].sort().values.tolist()
            named = ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")
            raise NonFiniteError(
                f"{self.name}, step 0: {len(ids)} fresh samples of the generator have a score or "
                f"value that is NaN or infinite (ids {named}). Check the weights and the input "
                "range of both networks"
            )

    def _judge(self, turn: Finished) -> None:
        """Judge at most one attempt of each id.

        The rows are padded, so that no value depends on how many are judged together.
        """
        count = turn.size
        rows = Finished(*(self._pad(value) for value in turn))
        slot = rows.id % self.window
        chain = Chain(*(column[slot] for column in self._chain))
        new = Proposal(rows.id, rows.attempt, rows.logit)
        broken = rows.logit == -torch.inf
        if self.selector is None:
            every = torch.ones_like(broken)
            chain = chain.where(every, new)._replace(accepted=~broken, done=every)
        else:
            chain = self.selector.judge(self.key.fold("judge"), chain, new)
        excess = getattr(self.selector, "excess", None)
        if excess is not None:
            self.events["excess"] += int(excess(new)[:count].sum())
        chain, slot = Chain(*(column[:count] for column in chain)), slot[:count]
        self._hold(turn, slot, chain.keep)
        self._judged[slot] = turn.attempt + 1
        self._begun[slot] = torch.maximum(self._begun[slot], self._judged[slot])
        # Last, with ``done`` the last column: after Ctrl-C anywhere, what is done is complete.
        for table, column in zip(self._chain, chain, strict=True):
            table[slot] = column
        self._account(turn, chain)

    def _account(self, turn: Finished, chain: Chain) -> None:
        count = turn.size
        self.proposals += count
        self.passes += count * self._cost.start + int(turn.age.sum()) * self._cost.step
        if self.ratio is not None and self._cost.scores and not self._shared():
            self.passes += count
        self.events["nonfinite"] += int((turn.logit == -torch.inf).sum())
        if self.selector is not None:
            self.events["exhausted"] += int((chain.done & ~chain.accepted).sum())
        if self.selector is not None and self.selector.name == "metropolis":
            self.events["stuck"] += int((chain.done & (chain.moves == 0)).sum())

    def _hold(self, rows: Finished, slot: Tensor, keep: Tensor) -> None:
        values = {"x": rows.x, "z": rows.z, "steps": rows.steps}
        if not self._held:
            self._held = {
                name: value.new_zeros(self.window, *value.shape[1:])
                for name, value in values.items()
            }
        for name, value in values.items():
            self._held[name][slot[keep]] = value[keep]

    # -- emission -------------------------------------------------------------------------------

    def _emit(self, *, everything: bool = False) -> Samples | None:
        order = self._ids()
        slots = order % self.window
        done = self._chain.done[slots]
        ready = len(done) if bool(done.all()) else int((~done).nonzero()[0])
        if ready == 0 or (ready < self.width and self.base + ready < self.stop and not everything):
            return None
        slots = slots[:ready]
        block = Samples(
            x=self._held["x"][slots],
            z=self._held["z"][slots],
            log_ratio=self._chain.log_ratio[slots],
            steps=self._held["steps"][slots],
            attempts=self._judged[slots],
            accepted=self._chain.accepted[slots],
            ids=order[:ready],
            manifest={},
        )
        for table, value in zip(self._chain, self._empty_chain(ready), strict=True):
            table[slots] = value
        self._begun[slots] = self._judged[slots] = 0
        self.base += ready
        return block

    def rescue(self) -> Samples | None:
        """The contiguous prefix that is finished but was not yielded yet."""
        return self._emit(everything=True) if self._held else None

    def _empty_chain(self, rows: int) -> Chain:
        device = self.gan.device
        low = torch.full((rows,), -torch.inf, dtype=torch.float64, device=device)
        no = torch.zeros(rows, dtype=torch.bool, device=device)
        zero = torch.zeros(rows, dtype=torch.int64, device=device)
        return Chain(low, low.clone(), ~no, no, zero, no.clone(), no.clone())

    def check_budget(self, n: int) -> None:
        """Raise when more than 0.1% of the ids ended without an acceptance.

        Raises:
            BudgetError: Then.
        """
        spent = self.events["exhausted"]
        if spent > EXHAUSTED_SHARE * n:
            raise BudgetError(
                f"{self.name}: {spent} of {n} ids used up their attempts without an acceptance "
                f"(allowed: 0.1%). The ratio's tail is too heavy for this budget: raise the "
                "budget, refine the proposals, or use OBRS with a smaller K"
            )


def _begin(
    gan: GAN, sampler: Any, n: int, seed: int, width: int | None, start: int, strict: bool
) -> tuple[Run, dict[str, Any]]:
    if isinstance(sampler, type) or not isinstance(sampler, (Mover, Selector)):
        raise InputError(
            f"sampler: got {sampler!r}; allowed are movers (Direct, Refine, ...) and selectors "
            "(OBRS, Metropolis, ...); names become samplers by from_config(name)"
        )
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"n: got {n!r}, allowed is an integer of 1 or more")
    if not isinstance(start, int) or start < 0 or start + n > 2**32:
        raise InputError(f"start: got {start!r}, allowed is 0 or more, start + n below 2^32")
    key = Key(seed)
    width = check_width(default_width(gan) if width is None else width)
    frozen, setup = prepare(gan, sampler, width=width, strict=strict)
    mover = frozen.proposal if isinstance(frozen, Selector) else frozen
    ratio = gan.ratio(mover, strict=strict) if isinstance(frozen, Selector) else None
    run = Run(gan, frozen, n, key, start=start, width=width, ratio=ratio)
    manifest = {
        "n": n,
        "seed": seed,
        "start": start,
        "width": width,
        "rng_version": RNG_VERSION,
        "versions": {
            "gantandem": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "sampler": to_config(frozen),
        "law": gan.law(mover),
        "weights": {
            "generator": weights_hash(gan.generator),
            "guide": None if gan.guide is None else weights_hash(gan.guide.network),
            "ratio": None if ratio is None else weights_hash(ratio.score.network),
        },
        "setup_passes": setup,
    }
    return run, manifest


def sample_iter(
    gan: GAN,
    sampler: Mover | Selector,
    n: int,
    *,
    seed: int = 0,
    width: int | None = None,
    start: int = 0,
    progress: bool | None = None,
    strict: bool = True,
) -> Iterator[Samples]:
    """Stream samples in id order; memory does not depend on n.

    Arguments and errors as :func:`sample`. Each block's manifest holds the totals so far.

    Yields:
        Blocks of at least a width of samples (the last may be shorter).
    """
    run, manifest = _begin(gan, sampler, n, seed, width, start, strict)
    begin, count = time.perf_counter(), 0
    with track(n, run.name.lower(), progress) as update:
        try:
            for block in run.blocks():
                count += len(block)
                update(len(block))
                yield dataclasses.replace(block, manifest=_totals(manifest, run, count, begin))
        except KeyboardInterrupt:
            block = run.rescue()
            count += 0 if block is None else len(block)
            logger.warning("interrupted: the first %d of %d samples are kept", count, n)
            if block is not None:
                totals = _totals(manifest, run, count, begin)
                yield dataclasses.replace(block, manifest={**totals, "interrupted": True})
            raise
    run.check_budget(n)


def _totals(manifest: dict[str, Any], run: Run, count: int, begin: float) -> dict[str, Any]:
    return {
        **manifest,
        "returned": count,
        "proposals": run.proposals,
        "passes": run.passes,
        "waste": round(run.waste, 4),
        "events": dict(run.events),
        "seconds": time.perf_counter() - begin,
        "interrupted": False,
    }


def sample(
    gan: GAN,
    sampler: Mover | Selector,
    n: int,
    *,
    seed: int = 0,
    width: int | None = None,
    start: int = 0,
    progress: bool | None = None,
    strict: bool = True,
) -> Samples:
    """Draw n samples.

    At one width the same seed gives the same bits on one machine for any n, in one call or in
    ten (``start``), in one process or in two. Ctrl-C returns the contiguous prefix, with
    ``manifest["interrupted"]`` set.

    Args:
        gan: Networks, latent and ratios.
        sampler: A mover (``Refine(...)``) or a selector over one (``OBRS(proposal=...)``).
        n: Number of samples.
        seed: From 0 to 2^64 - 1.
        width: Lanes, a multiple of 16; None for 1024 (points), 256 (small images) or 64.
        start: First id.
        progress: True or False to force the progress bar; None shows it on a terminal.
        strict: False turns a law mismatch into a warning.

    Returns:
        The samples in id order, with their manifest.

    Raises:
        InputError: If an argument is not allowed.
        LawMismatchError: If no ratio was fitted on the law of the sampler's proposals.
        NotARatioError: If acceptance is asked of a raw critic.
        NonFiniteError: If a fresh sample of the generator has no finite score.
        BudgetError: If more than 0.1% of the ids used up their attempts.
    """
    blocks: list[Samples] = []
    options = {"width": width, "start": start, "progress": progress, "strict": strict}
    try:
        for block in sample_iter(gan, sampler, n, seed=seed, **options):
            blocks.append(block)
    except KeyboardInterrupt:
        if not blocks:
            raise
        return Samples.join(blocks, {**blocks[-1].manifest, "interrupted": True})
    return Samples.join(blocks, blocks[-1].manifest)
