"""Accept among samples that exist already, by the rules of the selectors."""

from __future__ import annotations

import functools
import io
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantandem.condition import is_labels
from gantandem.data.incoming import read
from gantandem.data.named import Paths
from gantandem.data.ranges import Range
from gantandem.data.real import RealData, Rows
from gantandem.display.table import show, show_percent
from gantandem.engine.window import empty_chain
from gantandem.errors import InputError
from gantandem.files import write_bytes
from gantandem.files.locking import locked
from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.samplers import Accepts, Chain, Proposal, Selector, from_config
from gantandem.samplers.constants import by_condition
from gantandem.samplers.named import SamplerLike, as_sampler, sampler_label
from gantandem.samplers.obrs import effective_share, heavy_tail
from gantandem.scoring.scores import Scores
from gantandem.scoring.scoring import BATCH, score_rows
from gantandem.settings import check, to_config

logger = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False, eq=False)
class Selection:
    """Which samples were accepted.

    Args:
        places: (K,) int64 of the accepted samples, ascending.
        scores: What the ratio says of all N.
        sampler: The selector, its constants fixed.
        seed: Of the coins.
        x: (K, *x_shape) the accepted samples; None where they were not given.
    """

    places: np.ndarray
    scores: Scores
    sampler: Selector
    seed: int
    x: Tensor | None = None

    def __len__(self) -> int:
        """Number of accepted samples."""
        return len(self.places)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the accepted samples, where they have names."""
        return tuple(self.scores.names[place] for place in self.places if self.scores.names)

    def __repr__(self) -> str:
        """How many of how many were kept, and by what."""
        share = show_percent(len(self) / len(self.scores))
        label = sampler_label(self.sampler)
        return f"Selection({len(self):,} of {len(self.scores):,} ({share}), {label})"

    def __str__(self) -> str:
        """How many of how many were kept, by what, and how much the weights are worth."""
        n, weights = len(self.scores), torch.from_numpy(self.scores.accept_log_ratio)
        worth = show_percent(effective_share(weights))
        return (
            f"{show(len(self))} of {show(n)} samples accepted ({show_percent(len(self) / n)}) by "
            f"{self.sampler.name}, seed {self.seed}; effective share of the weights: {worth}"
        )

    @property
    def best_first(self) -> np.ndarray:
        """(K,) the accepted places, the most real sample first."""
        order = self.scores.order
        return order[np.isin(order, self.places)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values: what accepted, how many, and which, the most real first."""
        rows = self.scores.to_dict(self.best_first)
        known = {"sampler": to_config(self.sampler), "seed": self.seed, "kept": len(self)}
        return {**known, **rows}

    def save(self, folder: str | Path) -> Path:
        """Write what was accepted into a folder; nothing that is there is overwritten.

        Pictures are copied under the names that they had in the folder they came from; rows of
        arrays become ``samples.npy``. ``selected.csv`` lists them, the most real first, and
        ``selected.json`` tells what accepted them. What a killed call left is completed.

        Raises:
            InputError: If a file of one of these names is there and holds something else, or two
                have the same name.
            OutputError: If it cannot be written.
            LockedError: If another command writes there.
        """
        folder, own = Path(folder), self.scores
        files: list[tuple[Path, Callable[[], bytes]]] = []
        for place in self.places.tolist():
            file = own.files[place] if own.files else None
            if file is not None:
                files.append((folder / own.inside[place], file.read_bytes))
        if self.x is not None and not files:
            files.append((folder / "samples.npy", functools.partial(_npy, self.x)))
        files.append((folder / "selected.csv", lambda: own.to_csv(self.best_first)))
        told = json.dumps(self.to_dict(), indent=1).encode()
        files.append((folder / "selected.json", lambda: told))
        times = Counter(target for target, _ in files)
        twice = next((target for target, count in times.items() if count > 1), None)
        if twice is not None:
            raise InputError(
                f"{twice}: two accepted samples have this name; select from one folder at a time"
            )
        with locked(folder, "select"):
            there = {target for target, _ in files if target.exists()}
            for target, content in files:
                if target in there and not (target.is_file() and target.read_bytes() == content()):
                    raise InputError(
                        f"{target} exists and has other content, and nothing is overwritten: give "
                        "another folder"
                    )
            for target, content in files:
                if target not in there:
                    write_bytes(target, content())
        return folder


def select(
    judged: GAN | Scores,
    x: RealData | Paths | None = None,
    sampler: SamplerLike = "obrs",
    *,
    condition: Any = None,
    range: Range | None = None,
    seed: int = 0,
    batch: int = BATCH,
    strict: bool = True,
) -> Selection:
    """Accept some of the samples that exist already, by a selector; no new sample is drawn.

    The samples must be independent and follow the law of the selector's ``proposal``, by default
    that of the generator's plain samples; else nothing is known of the law of the accepted ones.
    The samples also serve as the pilot: M of ``rejection``, the scale of ``obrs`` and the
    percentile of ``drs`` are found on them, for each condition, unless the sampler has these
    constants as settings.

    ``rejection``, ``drs`` and ``obrs`` accept each sample by a random number that depends on its
    place and the seed. A decision depends on the other samples only through the constants.
    ``sir``, ``metropolis`` and ``isir`` choose one of M: the seed shuffles the samples into groups
    of M of one condition, so no sample is chosen twice, and up to M - 1 of a condition are unused.

    Args:
        judged: The GAN, or what ``score`` said of the samples.
        x: As for ``score``. Beside scores it may be left out, or be the samples themselves.
        sampler: A selector, or its name.
        condition: As for ``score``.
        range: As for ``score``.
        seed: Of the coins.
        batch: Samples scored at a time.
        strict: False judges by another law's ratio, with a warning.

    Returns:
        The places of the accepted samples and the samples themselves.

    Raises:
        InputError: If the sampler accepts nothing by itself (a mover), or there are fewer samples
            than it takes for one.
        NonFiniteError: If every ratio is 0, or not finite.
        DataError, LawMismatchError, NotARatioError: As ``score``.
    """
    check("select gan", GAN | Scores, judged)
    key, rows = Key(seed).fold("select"), None
    if isinstance(judged, Scores):
        scores = judged
        selector = _selector(from_config(sampler) if isinstance(sampler, str) else sampler)
        rows = None if x is None else Rows(read(x, "select").x)  # type: ignore[arg-type]
        if rows is not None and len(rows.x) != len(scores):
            raise InputError(f"select: got {len(rows.x)} samples, and scores of {len(scores)}")
    else:
        if x is None:
            raise InputError("select: the samples are missing; call select(gan, x)")
        selector = _selector(as_sampler(judged, sampler))
        options: Any = {"condition": condition, "range": range, "batch": batch, "strict": strict}
        options["where"] = "select"
        scores, rows = score_rows(judged, x, proposal=selector.proposal, **options)
    frozen, places = _accepted(selector, scores, key)
    if not len(places):
        logger.warning(
            "select: %s accepted none of %d samples. Use OBRS, which accepts one in K of them, "
            "or run diagnose()",
            selector.name,
            len(scores),
        )
    kept = None if rows is None else rows.x[places.to(rows.x.device)]
    return Selection(places.numpy(), scores, frozen, seed, kept)


def _npy(x: Tensor) -> bytes:
    """Rows as a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, (x.float() if x.dtype is torch.bfloat16 else x).numpy(force=True))
    return buffer.getvalue()


def _selector(sampler: Any) -> Selector:
    if isinstance(sampler, Selector):
        return sampler
    raise InputError(
        f"select: {sampler_label(sampler)} makes samples and does not accept them. Use a "
        "selector: rejection, drs, obrs, sir, metropolis, isir"
    )


def _accepted(selector: Selector, scores: Scores, key: Key) -> tuple[Selector, Tensor]:
    """The selector as it judged, and the places of what it accepted, ascending."""
    log_ratio = torch.from_numpy(scores.accept_log_ratio)
    cond = None if scores.condition is None else torch.from_numpy(scores.condition)
    ids = torch.arange(len(log_ratio))
    everything = Proposal(ids, torch.zeros_like(ids), log_ratio, cond)
    frozen = selector.prepare(lambda n: everything)
    if tail := heavy_tail(by_condition(frozen.name, everything, quiet=True)):
        logger.warning("%s: %s", frozen.name, tail)
    if isinstance(frozen, Accepts):
        chain = frozen.judge(key, empty_chain(len(ids)), everything)
        return frozen, (chain.accepted & (log_ratio > -torch.inf)).nonzero().flatten()
    order = key.fold("order").log_uniform(ids).argsort(stable=True)
    return frozen, _chosen(frozen, everything, order, key)


def _chosen(selector: Selector, everything: Proposal, order: Tensor, key: Key) -> Tensor:
    """Of each group of as many as the selector takes, the one that it holds in the end."""
    size = selector.budget
    groups = torch.cat([one[: len(one) // size * size] for one in _by_condition(everything, order)])
    groups = groups.view(-1, size)
    if not len(groups):
        raise InputError(
            f"select: {selector.name} chooses one of {size}, and there are {len(order)} samples; "
            "take a smaller number, or use rejection or obrs, which judge each sample by itself"
        )
    held, chain = groups[:, 0], empty_chain(len(groups))
    number = torch.arange(len(groups))
    for attempt, rows in enumerate(groups.T):
        new = Proposal(*(None if v is None else v[rows] for v in everything))  # type: ignore[arg-type]
        new = new._replace(id=number, attempt=torch.full_like(number, attempt))
        after = _judged(selector, key, chain, new)
        held = torch.where(after.keep & ~chain.done, rows, held)
        chain = Chain(*(torch.where(chain.done, a, b) for a, b in zip(chain, after, strict=True)))
    return held[~chain.empty].sort().values


def _judged(selector: Selector, key: Key, chain: Chain, new: Proposal) -> Chain:
    """As the engine judges: what cannot be accepted is never held."""
    return chain.without(new.log_ratio == -torch.inf, selector.judge(key, chain, new))


def _by_condition(everything: Proposal, order: Tensor) -> list[Tensor]:
    """The places in their order, those of each condition by themselves."""
    cond = everything.condition
    if cond is None:
        return [order]
    rows = cond if is_labels(cond) else cond.flatten(1)
    _, kind = rows.unique(dim=0, return_inverse=True)
    return [order[kind[order] == one] for one in range(int(kind.max()) + 1)]
