"""What a recommendation says: candidates measured in blocks, which of them to use, and why."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gantandem._version import __version__
from gantandem.display.table import COLUMNS, Column, show
from gantandem.display.text import aligned
from gantandem.errors import need
from gantandem.gan import GAN
from gantandem.samplers.base import Mover, Selector
from gantandem.settings import to_config

RANKED = ("c2st", "frechet_distance", "sliced_w1")
"""Candidates are ranked by the first of these that was measured, ..."""
GUARDED = (*RANKED, "good", "precision", "density", "coverage")
"""... and one that is worse than plain samples in any of these is not recommended."""
ALIKE = 0.02
"""Means this share apart are alike, however sure it is that they differ."""
UNSURE = 0.03
"""Half an interval that is a larger share of its mean hides differences worth having."""
DENSE = 0.95
"""Samples as dense as this are as dense as real ones."""
STUDENT = {3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36}
"""Of Student's t, by the number of blocks: 95% of it lies within."""
PLAIN = "direct"
DIRECTED = {column.key: column for column in COLUMNS}
"""Metrics by their name, with the way that is better."""


@dataclass(frozen=True, eq=False)
class Tried:
    """One candidate.

    Args:
        gan: With the guide and the ratio that the sampler needs.
        sampler: What draws.
        passes: Network passes a sample.
        setup: Passes spent on its shaping, ratio and pilots.
        blocks: Each metric, by its name, in each block.
        seconds: That drawing took.
        sizes: With which its ``shape`` and ``fit_ratio`` were made, as far as they are known.
    """

    gan: GAN
    sampler: Mover | Selector
    passes: float
    setup: int
    blocks: Mapping[str, tuple[float, ...]]
    seconds: float = 0.0
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def mean(self, key: str) -> float:
        """Mean over the blocks."""
        return statistics.fmean(self.blocks[key])


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Which sampler to use; ``print`` shows the table and the verdict.

    Attributes:
        tried: Every candidate, by name; ``"direct"`` is plain sampling.
        by: The metric that ranks, with its direction.
        name: Of the recommended one.
        failed: Why candidates are missing, by name.
        notes: What else the verdict says.
        settings: What it was asked for with.
    """

    tried: dict[str, Tried]
    by: Column
    failed: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        """Choose."""
        object.__setattr__(self, "name", self._choose())

    @property
    def gan(self) -> GAN:
        """What :func:`gantandem.sample` needs with ``sampler``."""
        return self.tried[self.name].gan

    @property
    def sampler(self) -> Mover | Selector:
        """The recommended one."""
        return self.tried[self.name].sampler

    def harms(self, name: str) -> list[Column]:
        """In which metrics a candidate is worse than plain samples, beyond chance."""
        return [one for one in self._columns(GUARDED) if self._worse(one, name, PLAIN)]

    @property
    def verdict(self) -> str:
        """In words: what to use, how much better it is, and what the others give."""
        chosen = self.tried[self.name]
        label = self.by.label
        if self.name == PLAIN:
            lines = [
                f"Use plain samples: no candidate is better by {label}, beyond chance, without "
                "being worse in another metric."
            ]
            if self._half(self.by.key, PLAIN) > UNSURE * abs(self.tried[PLAIN].mean(self.by.key)):
                lines.append(
                    f"The interval of {label} is wide ({self._said(self.by, PLAIN)}): a larger n, "
                    "with more held-out real samples, may tell more."
                )
        else:
            lines = [
                f"Use {self.name}: {label} {self._said(self.by, self.name)} against "
                f"{self._said(self.by, PLAIN)} of plain samples, at {show(chosen.passes)} passes a "
                "sample."
            ]
            best = self._best()
            if best != self.name:
                lines.append(
                    f"{best} is no better beyond chance ({self._said(self.by, best)}), at "
                    f"{show(self.tried[best].passes)} passes."
                )
        better = [name for name in self.tried if self._tempts(name)]
        for name in better:
            harm = ", ".join(
                f"{one.label} {self._said(one, name)} against {self._said(one, PLAIN)}"
                for one in self.harms(name)
            )
            lines.append(
                f"{name} has {label} {self._said(self.by, name)} at "
                f"{show(self.tried[name].passes)} passes, but is worse than plain samples in "
                f"other respects ({harm}): use it if these count less for you."
            )
        named = {self.name, self._best(), *better}
        both = [name for name in self.tried if name.startswith("collaborative")]
        if both and not named.intersection(both):
            name = min(both, key=lambda one: statistics.fmean(self._badness(self.by, one)))
            lines.append(f"{name} is not better here: {self._said(self.by, name)}.")
        return " ".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, for a JSON file."""
        rows = {
            name: {
                "sampler": to_config(one.sampler),
                "passes_per_sample": one.passes,
                "setup_passes": one.setup,
                "sizes": one.sizes,
                "metrics": {key: one.mean(key) for key in one.blocks},
                "half_interval": {key: self._half(key, name) for key in one.blocks},
                "worse_in": [column.key for column in self.harms(name)],
            }
            for name, one in self.tried.items()
        }
        found: dict[str, Any] = {
            "by": self.by.key,
            "recommended": self.name,
            "verdict": self.verdict,
        }
        failed = {"failed": self.failed} if self.failed else {}
        found["settings"] = dict(self.settings)
        return {"schema": 1, "version": __version__, **found, "candidates": rows, **failed}

    def to_pandas(self) -> Any:
        """A ``DataFrame`` with a row for each candidate.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        pandas = need("pandas", "tables")
        rows = {
            name: {**row["metrics"], "passes_per_sample": row["passes_per_sample"]}
            for name, row in self.to_dict()["candidates"].items()
        }
        return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("candidate")

    def __str__(self) -> str:
        """The table and the verdict."""
        columns = self._columns((*GUARDED, "recall"))
        lines = [["", *(column.label for column in columns), "passes", "worse than plain in"]]
        for name, one in self.tried.items():
            said = [self._said(column, name) for column in columns]
            harm = ", ".join(column.label for column in self.harms(name))
            mark = "→ " if name == self.name else "  "
            lines.append([mark + name, *said, show(one.passes), harm])
        missing = [f"{name} was not measured: {why}" for name, why in self.failed.items()]
        return "\n".join([aligned(lines), *missing, self.verdict])

    def __repr__(self) -> str:
        """Which one, of which."""
        return f"Recommendation({self.name!r} of {', '.join(self.tried)})"

    def _columns(self, keys: tuple[str, ...]) -> list[Column]:
        known = {**DIRECTED, self.by.key: self.by}
        ordered = dict.fromkeys([self.by.key, *keys])
        measured = self.tried[PLAIN].blocks
        return [known[key] for key in ordered if key in measured]

    def _tempts(self, name: str) -> bool:
        """Whether one that is worse than plain otherwise beats all others of its cost."""
        if name == PLAIN or not self.harms(name):
            return False
        cost = self.tried[name].passes
        others = [other for other in self._sound() if self.tried[other].passes <= cost]
        return all(self._worse(self.by, other, name) for other in others)

    def _choose(self) -> str:
        """The cheapest of those that are as good as the best one, none of them worse than plain."""
        best = self._best()
        if not self._worse(self.by, PLAIN, best):
            return PLAIN
        alike = [name for name in self._sound() if not self._worse(self.by, name, best)]
        return min(alike, key=lambda name: self.tried[name].passes)

    def _sound(self) -> list[str]:
        return [name for name in self.tried if name == PLAIN or not self.harms(name)]

    def _best(self) -> str:
        return min(self._sound(), key=lambda name: statistics.fmean(self._badness(self.by, name)))

    def _badness(self, column: Column, name: str) -> list[float]:
        return [badness(column, value) for value in self.tried[name].blocks[column.key]]

    def _worse(self, column: Column, name: str, than: str) -> bool:
        """Whether one is worse than another, block by block, beyond chance and beyond 2%."""
        pairs = zip(self._badness(column, name), self._badness(column, than), strict=True)
        differences = [a - b for a, b in pairs]
        scale = abs(statistics.fmean(self.tried[than].blocks[column.key]))
        return statistics.fmean(differences) > max(_half(differences), ALIKE * scale)

    def _half(self, key: str, name: str) -> float:
        return _half(self.tried[name].blocks[key])

    def _said(self, column: Column, name: str) -> str:
        return f"{self.tried[name].mean(column.key):.3f} ± {self._half(column.key, name):.3f}"


def badness(column: Column, value: float) -> float:
    """A metric turned so that less is better."""
    if column.key == "density":  # two sets of one law have 1, give or take: more is no gain
        return -min(value, DENSE)
    if column.better == "half":
        return abs(value - 0.5)
    return value if column.better == "low" else -value


def _half(values: Any) -> float:
    """Half of the 95% interval of a mean over blocks."""
    return STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
