"""Rows of samplers as numbers, medians over seeds, and tables of a Markdown page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SAMPLERS = ("direct", "drs", "metropolis", "refine", "collaborative")
COLOURS = {
    "direct": "#7d8590",
    "drs": "#8a5fb8",
    "metropolis": "#2a9d8f",
    "refine": "#d9822b",
    "collaborative": "#2f6fde",
}
PASSES = "passes_per_sample"
COLUMNS = {
    "good": ("good", "{:.4f}"),
    "kl": ("KL", "{:.4f}"),
    "js": ("JS", "{:.4f}"),
    "modes": ("modes", "{:.0f}"),
    "within_mode_std_main": ("spread", "{:.3f}"),
    "sliced_w1": ("sliced W1", "{:.3f}"),
    PASSES: ("passes", "{:.0f}"),
}
"""Numbers of a sampler on a mixture: title and format of each."""
TWO_SAMPLE = {"c2st": ("C2ST", "{:.3f}")}
"""AUC of boosted trees, generated against real; rows of earlier versions lack it."""
TITLES = [title for title, _ in COLUMNS.values()]
_TEXTS = {
    "", "sampler", "metric", "diagnostic", "change in", "start", "law", "GAN", "ratio", "warned",
    "farther",
}  # fmt: skip
"""Heads of columns that hold text."""


def number(value: Any) -> float:
    """A metric as one number: a list (the two main modes) by its mean; undefined is NaN."""
    if isinstance(value, list):
        return statistics.fmean(number(one) for one in value)
    return math.nan if value is None else float(value)


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a sampler's row, and its passes."""
    metrics = {**row["metrics"], PASSES: row[PASSES]}
    return {key: number(metrics[key]) for key in {**COLUMNS, **TWO_SAMPLE} if key in metrics}


def median(founds: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Median of every number of every sampler, over the results that have that sampler.

    A number that some row lacks is left out; one that is undefined has no place in an order.

    Args:
        founds: Contents of ``metrics.json``, one a seed.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    for found in founds:
        for name, row in found["samplers"].items():
            rows.setdefault(name, []).append(numbers(row))
    return {
        name: {
            key: statistics.median(
                [row[key] for row in some if not math.isnan(row[key])] or [math.nan]
            )
            for key in some[0]
            if all(key in row for row in some)
        }
        for name, some in rows.items()
    }


def over(seeds: Iterable[str]) -> str:
    """Over which seeds a number is: "seed 0" or "median over seeds 0, 1"."""
    names = list(seeds)
    return f"seed {names[0]}" if len(names) == 1 else f"median over seeds {', '.join(names)}"


def over_stages(seeds: Mapping[str, Mapping[str, Any]]) -> str:
    """Over which seeds the numbers of every stage are, where stages differ in that.

    Args:
        seeds: What there is of each, by stage.
    """
    having = {
        stage: [seed for seed, of_seed in seeds.items() if str(stage) in of_seed]
        for stage in sorted({int(stage) for of_seed in seeds.values() for stage in of_seed})
    }
    if len({tuple(some) for some in having.values()}) == 1:
        return over(seeds)
    every = "; ".join(f"{stage:,}: {', '.join(some)}" for stage, some in having.items())
    return f"median over the seeds of each stage ({every})"


def cells(values: Mapping[str, Any], columns: Mapping[str, tuple[str, str]] = COLUMNS) -> list[str]:
    """Numbers as the cells of a row; what is unknown or undefined is blank.

    Args:
        values: By the keys of ``columns``.
        columns: Title and format of each.
    """
    found = {key: number(values.get(key)) for key in columns}
    return [
        "" if math.isnan(found[key]) else form.format(found[key])
        for key, (_, form) in columns.items()
    ]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; columns of numbers are set to the right."""
    rules = ["---" if head in _TEXTS else "---:" for head in heads]
    return ["| " + " | ".join(row) + " |" for row in (heads, rules, *rows)]


def spent_note(founds: Iterable[Mapping[str, Any]]) -> str:
    """What shaping and fitting took, as a sentence; the time by its median over results."""
    founds = list(founds)
    every = [found["setup"]["shape and fit"] for found in founds]
    seconds = statistics.median(one["seconds"] for one in every)
    judged = f"`collaborative` is OBRS with K = {budgets(founds)}."
    if not all("updates" in one for one in every):  # rows of an earlier version
        return f"Shaping and both ratio fits took {seconds:.0f} s (median); {judged}"
    updates, threads = (
        ", ".join(f"{value:,}" for value in sorted({one[key] for one in every}))
        for key in ("updates", "threads")
    )
    return (
        f"Default recipe: {updates} shaping updates on the pool of lanes, then both ratio fits, on "
        f"{threads} thread; together {seconds:.0f} s (median) on a shared machine; {judged}"
    )


def budgets(founds: Iterable[Mapping[str, Any]]) -> str:
    """The K of ``collaborative``, of results that may differ in it."""
    every = {found["samplers"]["collaborative"]["sampler"]["expected"] for found in founds}
    return " or ".join(f"{value:g}" for value in sorted(every))
