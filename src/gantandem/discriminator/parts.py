"""What shaping, fitting and calibration share: real parts, batches, draws from a law."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.adapt.base import unwrapped
from gantandem.condition import is_labels
from gantandem.data.incoming import read
from gantandem.data.matching import check_finite, probe, take_in
from gantandem.data.real import PARTS, Real, RealData, Rows, Stored
from gantandem.discriminator.held_out import repeats, rows_hash, split_places
from gantandem.engine.run import Run
from gantandem.errors import DataError, InputError
from gantandem.gan import GAN
from gantandem.nets.copying import copy_network
from gantandem.networks.held import random_state
from gantandem.networks.score import call
from gantandem.networks.statistics import kept_statistics, unfilled
from gantandem.progress import track
from gantandem.ratios.lookup import networks_for
from gantandem.rng import Key
from gantandem.samplers.base import Mover

logger = logging.getLogger(__name__)

MIN_REAL = 40
ASKED = 4096
"""Ids whose labels are looked at, where they come from a function."""
MIN_PART = 4
T = TypeVar("T", Tensor, Rows)


def parts_for(gan: GAN, real: RealData, where: str) -> Real:
    """Read and split real samples, and see that they suit this GAN in every part.

    Raises:
        DataError: If they cannot be read, there are too few, some are not finite, or they have
            another shape than the generator's.
        InputError: If conditions are missing, superfluous or of another kind.
    """
    made = probe(gan.networks)
    if not isinstance(real, Real):
        rows = take_in(gan.networks, real, where, made=made, least=MIN_REAL)
        _say_missing(gan, rows.cond, where)
        return _split(rows.x, rows.cond, repeats(made))
    rows = [
        take_in(gan.networks, real.rows(part), f"{where} part {part!r}", made=made, least=MIN_PART)
        for part in PARTS
    ]
    cond = [part.cond for part in rows if part.cond is not None]
    _say_missing(gan, torch.cat(cond) if cond else None, where)
    return Real(*(part.x for part in rows), conditions=Real(*cond) if cond else None)


def _say_missing(gan: GAN, cond: Tensor | None, where: str) -> None:
    """Warn of labels that a GAN is asked for, and of which there is no real sample."""
    if cond is None or not is_labels(cond):
        return
    asked = gan.condition
    if not isinstance(asked, Tensor):
        asked = gan.conditions(torch.arange(ASKED, device=gan.device))
    assert asked is not None  # there are real conditions
    missing = sorted(set(asked.tolist()) - set(cond.tolist()))
    if missing:
        named = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
        gan.networks.say(
            f"missing {named}",
            f"{where}: the data have no sample of {len(missing)} of the {len(asked.unique())} "
            f"labels in this GAN's condition ({named}), so fits and measurements leave them out. "
            "Give samples of these labels, or remove them from the condition: gan = "
            "gan.with_condition(labels)",
        )


def asked_alike(gan: GAN, part: Rows, purpose: str) -> GAN:
    """The GAN asked for the conditions of real samples, shuffled; itself if it has none.

    Real and generated samples then have one law of conditions, and what tells them apart is the
    ratio of x given its condition: exact for whatever conditions are asked for later.
    """
    if part.cond is None:
        return gan
    order = torch.randperm(len(part.cond), generator=Key(0).fold(purpose).generator())
    return gan.with_condition(part.cond[order].to(gan.device))


def split_real(real: RealData, *, apart: bool = False) -> Real:
    """Split real samples once: 70% to fit, 10% each to select, calibrate and test.

    A ``Real`` is already split and comes back as it is; conditions are split as their samples.
    The content of each sample decides where it goes, so that every call sees the same parts.
    Equal samples stay together.

    Args:
        real: What :data:`RealData` names.
        apart: Let equal samples land in different parts: for a discrete law.

    Raises:
        DataError: If they cannot be read, there are too few samples, some are not finite, or there
            are not as many conditions.
    """
    if isinstance(real, Real):
        return real
    x, cond, _ = read(real)
    if len(x.shape) < 2 or len(x) < MIN_REAL:
        raise DataError(
            f"real: got shape {tuple(x.shape)}; at least {MIN_REAL} samples (N, *x_shape) are "
            "needed to fit, select, calibrate and test on separate parts"
        )
    check_finite(x, "real")
    return _split(x, cond, apart)


def _split(x: Tensor | Stored, cond: Tensor | None, apart: bool) -> Real:
    keys = rows_hash(x)
    distinct = len(keys.unique())
    if distinct < MIN_REAL and not apart:
        apart = True
        logger.warning(
            "real: %d samples are %d distinct ones, fewer than the %d that separate parts need. "
            "The parts share samples, so no number measured on held-out samples can be trusted. "
            "Give more distinct samples",
            len(x),
            distinct,
            MIN_REAL,
        )
    places = split_places(keys, apart=apart)
    parts: Any = [x.part(i) if isinstance(x, Stored) else take(x, i) for i in places]
    conditions = None if cond is None else Real(*(take(cond, index) for index in places))
    return Real(*parts, conditions=conditions)


def batches(rows: T, size: int, generator: torch.Generator) -> Iterator[T]:
    """Endless shuffled batches; a set smaller than a batch is drawn from with replacement."""
    count = len(rows if isinstance(rows, Tensor) else rows.x)
    if count < size:
        while True:
            yield take(rows, torch.randint(count, (size,), generator=generator))
    while True:
        order = torch.randperm(count, generator=generator)
        yield from (take(rows, index) for index in order[: count - count % size].split(size))


def take(rows: T, index: Tensor) -> T:
    """The samples at some places, with their conditions."""
    if isinstance(rows, Tensor):
        return rows[index.to(rows.device)]
    return rows.map(lambda value: value[index.to(value.device)])


def draw(
    gan: GAN, mover: Mover, n: int, purpose: str, *, width: int | None = None, seed: int = 0
) -> Run:
    """Prepare a run of n proposals of a prepared mover, with ids of their own purpose."""
    return Run(networks_for(gan, mover), mover, n, Key(seed).fold(purpose), width=width)


@dataclass
class Drawn:
    """Proposals of a law: x (N, *x_shape), their conditions, ids, and the passes spent."""

    x: Tensor
    cond: Tensor | None
    ids: Tensor
    passes: int

    @property
    def rows(self) -> Rows:
        """The samples with their conditions."""
        return Rows(self.x, self.cond)


def draw_all(
    gan: GAN,
    mover: Mover,
    n: int,
    purpose: str,
    *,
    width: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Drawn:
    """Draw n proposals of a prepared mover.

    Raises:
        NonFiniteError: If too many are not finite.
    """
    run, blocks = draw(gan, mover, n, purpose, width=width, seed=seed), []
    with track(n, f"{purpose}: proposals", progress) as advance:
        for block in run.blocks():
            blocks.append(block)
            advance(len(block))
    x, ids = (torch.cat([getattr(b, f) for b in blocks]) for f in ("x", "ids"))
    return Drawn(x, gan.conditions(ids), ids, run.passes)


def logits(score: nn.Module, rows: Tensor | Rows, batch: int = 1000) -> Tensor:
    """Score a set in eval mode, (N,); every module gets its own mode back."""
    rows = Rows(rows) if isinstance(rows, Tensor) else rows
    training = [module for module in score.modules() if module.training]
    score.eval()
    with torch.no_grad():
        out = torch.cat([_column(score, part) for part in rows.split(batch)])
    for module in training:  # not score.train(): that would wake the normalisation layers
        module.training = True
    return out


@contextlib.contextmanager
def seeded(key: Key, device: torch.device) -> Iterator[None]:
    """Draw initial weights and dropout from a key; the global random state is given back."""
    with random_state(device):
        torch.manual_seed(key.seed % 2**63)
        yield


def _column(network: nn.Module, rows: Rows) -> Tensor:
    raw = call(network, rows.x, rows.cond)
    return raw.flatten(1).mean(1) if raw.dim() > 1 else raw


def contrast(network: nn.Module, real: Rows, made: Rows) -> Tensor:
    """Logistic loss of real against generated, in nats: its minimum is at log p_real / p_made."""
    on_real, on_made = _column(network, real), _column(network, made)
    return 0.5 * (F.softplus(-on_real).mean() + F.softplus(on_made).mean())


def trainable(network: nn.Module) -> nn.Module:
    """A copy to fine-tune, with statistics of normalisation layers held as they are.

    Weights that the user froze stay. A network that is frozen throughout was only made ready for
    use: then all of its weights learn, or those that did before it was frozen here.

    Raises:
        InputError: If it has no weights.
    """
    free = _free(network)
    if not free:
        raise InputError(f"{type(network).__name__} has no weights that could be trained")
    own = copy_network(network).train()
    for _, layer in unfilled(own):  # weights are now fitted to the statistics as they are
        if isinstance(counted := getattr(layer, "num_batches_tracked", None), Tensor):
            counted.fill_(1)
    for _, layer, _ in kept_statistics(own):
        layer.training = False
    for name, parameter in own.named_parameters():
        parameter.requires_grad_(name in free)
    return own


def frozen_copy(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights stay; it remembers which of them may learn."""
    own = copy_network(network).eval()
    for parameter in own.parameters():
        parameter.requires_grad_(False)
    own._free = _free(network)  # type: ignore[assignment]
    return own


def _free(network: nn.Module) -> frozenset[str]:
    """Names of the weights that may learn."""
    named = dict(unwrapped(network).named_parameters())
    free = frozenset(name for name, weight in named.items() if weight.requires_grad)
    return free or getattr(network, "_free", None) or frozenset(named)
