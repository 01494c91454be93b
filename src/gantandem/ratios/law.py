"""The name of a law of proposals, made of everything that the law depends on.

Two things make the name. Weights and settings count exactly. What the networks compute counts as
they compute it: eight fixed latents go through prior, generator and whatever scores, and each
result is noted as one number for each latent. So an activation, an attribute, a buffer that no
file holds, a function inside a forward or a prior that does not tell its parameters count as well.

Numbers differ in their last digits from machine to machine, so they are rounded to 1/512 of their
spread for the name; and a law whose exact part agrees and whose numbers are near is known again
under the name that it got first (see :meth:`Law.among`), whatever side of a rounding they fall on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gantandem.nets.hashing import state_hash
from gantandem.networks.score import Score
from gantandem.ratios.ratio import Ratio

if TYPE_CHECKING:
    from gantandem.gan import GAN

Trace = tuple[float, ...]
GRID = 512
"""A trace is rounded to this share of its spread, as a power of two."""
NEAR = 2.0
"""Traces that differ by this many units are of one law."""


class Law(str):
    """The name of a law, and what it was made of.

    Args:
        name: 16 hexadecimal digits.
        exact: Hash of weights and settings; empty where only the name is known.
        traces: What prior and networks computed, one number for each of eight fixed latents.
    """

    exact: str
    traces: tuple[Trace, ...]

    def __new__(cls, name: str, exact: str = "", traces: Iterable[Iterable[float]] = ()) -> Law:
        """Make a name that remembers."""
        law = super().__new__(cls, name)
        law.exact, law.traces = exact, tuple(tuple(trace) for trace in traces)
        return law

    def among(self, known: Iterable[str]) -> Law | None:
        """This law among others, under the name it has there."""
        names = list(known)
        if self in names:
            return self
        alike = (other for other in names if isinstance(other, Law) and self._is(other))
        return next(alike, None)

    def _is(self, other: Law) -> bool:
        alike = bool(self.exact) and self.exact == other.exact
        pairs = zip(self.traces, other.traces, strict=False)
        return alike and len(self.traces) == len(other.traces) and all(near(*p) for p in pairs)


def name_law(gan: GAN, settings: dict[str, Any], guide: Score | None, pulled: Ratio | None) -> Law:
    """Name the law of a prepared mover's proposals.

    Args:
        gan: Its networks are run on eight latents.
        settings: Of the mover, without those that change nothing.
        guide: What it follows, if anything.
        pulled: The ratio it walks on, if it is a chain in latent space.
    """
    scores = [score for score in (guide, pulled and pulled.score) if score is not None]
    z, cond = gan.networks.examples()
    with gan.networks.frozen():
        traces = [trace(value) for value in _computed(gan, scores, z, cond)]
    parts = {
        "generator": gan.networks.weights_hash(gan.generator),
        "latent": gan.latent.config(),
        # Their kind counts and not their values: one ratio judges every choice of labels.
        "condition": None if cond is None else [str(cond.dtype), list(cond.shape[1:])],
        "mover": settings,
        "scores": [[gan.networks.weights_hash(s.network), s.output] for s in scores],
        "ratio": pulled and _weighing(pulled),
    }
    exact = _hash(_plain(parts))
    return Law(_hash([exact, [_rounded(values) for values in traces]]), exact, traces)


def _computed(gan: GAN, scores: list[Score], z: Tensor, cond: Tensor | None) -> list[Tensor]:
    """Latents, samples and scores, under one condition whatever conditions are asked for."""
    if cond is not None:
        cond = torch.ones_like(cond) if cond.is_floating_point() else torch.zeros_like(cond)
    try:
        x = gan.decode(z, cond)
        return [z, x, *(score(x, cond) for score in scores)]
    except (RuntimeError, ValueError, IndexError, KeyError):
        if cond is None:
            raise
        return [z]  # a network that knows no label 0


def _weighing(ratio: Ratio) -> list[Any]:
    """What makes a log ratio of a logit; a strength of 1 changes no name."""
    calibrator = None if ratio.calibrator is None else ratio.calibrator.config()
    return [ratio.correction, calibrator, *([ratio.strength] if ratio.strength != 1 else [])]


def _plain(value: Any) -> Any:
    """Values as JSON writes them, 1 and 1.0 alike."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    return float(value) if isinstance(value, (int, float)) else str(value)


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def trace(value: Tensor) -> Trace:
    """One number for each row: its projection on a fixed direction, every coordinate in it."""
    rows = value.detach().reshape(len(value), -1).cpu().double()
    weights = 0.5 + torch.frac(0.6180339887498949 * torch.arange(1, rows.shape[1] + 1).double())
    return tuple((rows @ (weights / weights.norm())).tolist())


def _unit(values: Trace) -> float:
    """A power of two near 1/512 of the spread of the finite values."""
    finite = [v for v in values if math.isfinite(v)]
    middle = sum(finite) / max(len(finite), 1)
    spread = math.sqrt(sum((v - middle) ** 2 for v in finite) / max(len(finite), 1))
    # Equal values have no spread but that of their rounding.
    size = max(spread, 1e-3 * max(map(abs, finite), default=0.0))
    return 2.0 ** math.floor(math.log2(size)) / GRID if size else 1.0


def _rounded(values: Trace) -> list[int | str]:
    unit = _unit(values)
    return [round(v / unit) if math.isfinite(v) else str(v) for v in values]


def near(a: Trace, b: Trace) -> bool:
    """Say whether two traces are the same but for what machines differ by."""
    within = NEAR * _unit(b)
    return all(abs(x - y) <= within or str(x) == str(y) for x, y in zip(a, b, strict=True))


def first_name(
    gan: GAN, settings: dict[str, Any], guide: Score | None, pulled: Ratio | None
) -> str:
    """The name that version 0.1 gave a law, under which run folders hold their ratios."""
    cond = gan.networks.example_conditions()
    parts: dict[str, Any] = {
        "generator": state_hash(gan.generator),
        "latent": gan.latent.config(),
        "condition": None if cond is None else [str(cond.dtype), list(cond.shape[1:])],
        "mover": settings,
        "guide": None if guide is None else [state_hash(guide.network), guide.output],
    }
    if pulled is not None:
        network = state_hash(pulled.score.network)
        parts["ratio"] = [network, pulled.score.output, *_weighing(pulled)]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
