"""What a ratio says of samples: numbers by sample, and whether to trust them."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gantandem.discriminator.diagnostics import Diagnosis
from gantandem.discriminator.verdict import WIDTH
from gantandem.display.table import show, show_percent
from gantandem.display.text import aligned
from gantandem.errors import InputError, need
from gantandem.files import write_bytes
from gantandem.ratios.doubts import doubts, verdict

SHOWN = 5
"""Samples that ``print`` names."""


@dataclass(frozen=True, repr=False, eq=False)
class Scores:
    """The scores of N samples by a ratio, in their order; ``print`` says whether to trust it.

    Args:
        log_ratio: (N,) float64 log p_data / p_law, calibrated; NaN if the network gave NaN.
        logit: (N,) float64 output of the ratio's network, before its calibration.
        names: The files of the samples, or () if they came from no files.
        condition: (N, ...) the condition of each sample, or None.
        proposal: The sampler whose proposals the ratio was fitted on, in words.
        law: The name of that law.
        strength: t, where acceptance uses r^t.
        diagnosis: The diagnosis of the ratio on held-out data, or None.
        seen: Share of the samples that the ratio was fitted on.
        files: The picture that each sample is, or None; () where they came in no files.
        inside: The path of each file within the folder that was given.
    """

    log_ratio: np.ndarray
    logit: np.ndarray
    names: tuple[str, ...] = ()
    condition: np.ndarray | None = None
    proposal: str = ""
    law: str = ""
    strength: float = 1.0
    diagnosis: Diagnosis | None = None
    seen: float = 0.0
    files: tuple[Path | None, ...] = ()
    inside: tuple[Path, ...] = ()

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.log_ratio)

    @property
    def probability(self) -> np.ndarray:
        """(N,) calibrated probability of real, were there as many real as generated samples."""
        return 0.5 * (1 + np.tanh(self.log_ratio / 2))

    @property
    def order(self) -> np.ndarray:
        """(N,) places of the samples, the most real one first.

        Where calibration made values equal, the network's own decide, and then the place.
        """
        keys = [np.where(np.isnan(v), -np.inf, v) for v in (self.logit, self.log_ratio)]
        return np.lexsort([np.arange(len(self)), *(-key for key in keys)])

    @property
    def rank(self) -> np.ndarray:
        """(N,) int64 rank of each sample: 1 for the most real one."""
        rank = np.empty(len(self), np.int64)
        rank[self.order] = np.arange(1, len(self) + 1)
        return rank

    @property
    def accept_log_ratio(self) -> np.ndarray:
        """(N,) t log r, which acceptance uses; what is NaN or +inf is never accepted: -inf."""
        with np.errstate(invalid="ignore"):
            weighed = np.where(
                np.isinf(self.log_ratio), self.log_ratio, self.strength * self.log_ratio
            )
        return np.where(np.isnan(weighed) | (weighed == np.inf), -np.inf, weighed)

    def name(self, place: int) -> str:
        """The name of a sample, or its place."""
        return self.names[place] if self.names else str(place)

    def __repr__(self) -> str:
        """How many, by which ratio, and how they lie."""
        low, middle, high = _quantiles(self.log_ratio)
        of = f"{self.proposal}, " if self.proposal else ""
        return f"Scores({of}n={len(self):,}, log_ratio={middle:.3g} [{low:.3g}, {high:.3g}])"

    def __str__(self) -> str:
        """Whether to trust the ratio, how the scores lie, and the first and last of the ranking."""
        of = f"samples of {self.proposal}" if self.proposal else "its proposals"
        low, middle, high = (show(value) for value in _quantiles(self.log_ratio))
        lines = [
            f"{show(len(self))} samples, scored by the ratio that judges {of}: log r has the "
            f"median {middle}, and 90% lie in [{low}, {high}].",
            self.trust,
        ]
        if self.seen:
            lines.append(
                f"{show_percent(self.seen)} of them are among the real samples that it was fitted "
                "on, so their scores are too high."
            )
        order = self.order
        ends = [*order[:SHOWN], *order[max(SHOWN, len(order) - SHOWN) :]]
        text = "\n".join(textwrap.fill(line, WIDTH) for line in lines)
        return f"{text}\n\n{self.table(ends)}"

    @property
    def trust(self) -> str:
        """What the diagnosis of the ratio said."""
        if self.diagnosis is None:
            return "The ratio was never diagnosed: run diagnose to know whether to trust it."
        against = doubts(self.diagnosis)
        told = f" Faults: {'; '.join(against)}." if against else ""
        auc = f"AUC {self.diagnosis.auc:.3f} on held-out data"
        return f"{verdict(self.diagnosis)} ({auc}.){told}"

    def table(self, places: Any) -> str:
        """Rank, name, log ratio and probability of some samples, as text."""
        rank, prob = self.rank, self.probability
        rows = [("rank", "sample", "log r", "P(real)")]
        rows += [
            (show(int(rank[i])), self.name(i), f"{self.log_ratio[i]:.3f}", f"{prob[i]:.3f}")
            for i in places
        ]
        return aligned(rows, "rlrr", indent=2)

    def rows(self, places: Any = None) -> list[dict[str, Any]]:
        """A dictionary for each sample, the most real one first; or for those at some places."""
        rank, prob = self.rank, self.probability
        named = "name" if self.names else "place"
        found = []
        for i in map(int, self.order if places is None else places):
            row: dict[str, Any] = {"rank": int(rank[i]), named: self.names[i] if self.names else i}
            row |= {"log_ratio": _finite(self.log_ratio[i]), "probability": _finite(prob[i])}
            row["logit"] = _finite(self.logit[i])
            if self.condition is not None and self.condition.ndim == 1:
                row["condition"] = self.condition[i].item()
            found.append(row)
        return found

    def to_dict(self, places: Any = None) -> dict[str, Any]:
        """JSON-ready values: what the ratio is, its diagnosis, and :meth:`rows`."""
        diagnosis = None if self.diagnosis is None else self.diagnosis.to_dict()
        known = {"proposal": self.proposal, "law": str(self.law), "strength": self.strength}
        known |= {"seen": self.seen, "trust": self.trust, "diagnosis": diagnosis}
        return {"n": len(self), **known, "samples": self.rows(places)}

    def to_pandas(self) -> Any:
        """A ``DataFrame`` with a row for each sample, in their order, indexed by name or place.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        pandas = need("pandas", "tables")
        columns = {"log_ratio": self.log_ratio, "probability": self.probability}
        columns |= {"rank": self.rank, "logit": self.logit}
        if self.condition is not None and self.condition.ndim == 1:
            columns["condition"] = self.condition
        index = pandas.Index(self.names, name="name") if self.names else None
        return pandas.DataFrame(columns, index=index)

    def save(self, path: str | Path, places: Any = None) -> Path:
        """Write the ranking, the most real sample first; whole or not at all.

        Args:
            path: ``.csv`` for a row a sample, ``.json`` for :meth:`to_dict`.
            places: Write these samples alone.

        Raises:
            InputError: If the ending is another one.
            OutputError: If it cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() == ".json":
            write_bytes(path, json.dumps(self.to_dict(places), indent=1).encode())
        elif path.suffix.lower() == ".csv":
            write_bytes(path, self.to_csv(places))
        else:
            raise InputError(f"{path}: scores are written as .csv or .json")
        return path

    def to_csv(self, places: Any = None) -> bytes:
        """:meth:`rows` as a ``.csv`` file."""
        return _csv(self.rows(places))


def _quantiles(values: np.ndarray) -> list[float]:
    known = values[np.isfinite(values)]
    return [float(v) for v in np.quantile(known, (0.05, 0.5, 0.95))] if len(known) else [np.nan] * 3


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["rank"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
