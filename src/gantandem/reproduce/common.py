"""What the figures share: the samplers compared, and how their rows are summed up and written."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gantandem.pipeline import write_json

SAMPLERS = ("direct", "drs", "metropolis", "refine", "collaborative")
NUMBERS = ("good", "kl", "js", "modes", "within_mode_std_main", "sliced_w1")
TITLES = ("good", "KL", "JS", "modes", "spread", "sliced W1", "passes")
_FORMATS = ("{:.4f}", "{:.4f}", "{:.4f}", "{:.0f}", "{:.3f}", "{:.3f}", "{:.0f}")


def number(value: Any) -> float:
    """A metric as one number: a list (the two main modes) by its mean."""
    return statistics.mean(value) if isinstance(value, list) else float(value)


def median(founds: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Median of every number of every sampler, over the results that have that sampler.

    Args:
        founds: Contents of ``metrics.json``, one a seed.
    """
    founds = list(founds)
    result: dict[str, dict[str, float]] = {}
    for name in {name: None for found in founds for name in found["samplers"]}:
        rows = [found["samplers"][name] for found in founds if name in found["samplers"]]
        result[name] = {
            key: statistics.median(number(row["metrics"][key]) for row in rows) for key in NUMBERS
        }
        result[name]["passes_per_sample"] = statistics.median(
            row["passes_per_sample"] for row in rows
        )
    return result


def row_values(row: Mapping[str, Any]) -> list[float]:
    """The numbers of a sampler's row, in the order of ``TITLES``."""
    return [number(row["metrics"][key]) for key in NUMBERS] + [row["passes_per_sample"]]


def line(name: str, values: Sequence[float], last: str | None = None) -> str:
    """A row of a Markdown table: a name, the numbers of ``TITLES``, and a last cell if given."""
    cells = [form.format(value) for form, value in zip(_FORMATS, values, strict=False)]
    cells += [""] * (len(_FORMATS) - len(cells)) + ([] if last is None else [last])
    return f"| {name} | " + " | ".join(cells) + " |"


def write_page(
    out: Path,
    name: str,
    result: Mapping[str, Any],
    page: Callable[[Any], str],
    picture: Callable[[Any], Any],
    alt: str,
) -> Path:
    """Write a result as NAME.json, NAME.png and NAME.md, the picture under the page's title."""
    write_json(out / f"{name}.json", result)
    picture(result).savefig(out / f"{name}.png", dpi=110)
    head, rest = page(result).split("\n\n", 1)
    path = out / f"{name}.md"
    path.write_text(f"{head}\n\n![{alt}]({name}.png)\n\n{rest}", encoding="utf-8")
    return path
