"""The table of a comparison: which metrics there are, which way is better, who is best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gantandem.display.text import aligned

T = TypeVar("T")


@dataclass(frozen=True)
class Column:
    """One metric of the table.

    Args:
        key: Its name in ``metrics.json``.
        label: Short heading.
        better: ``"high"``, ``"low"``, ``"one"`` (nearest to 1), ``"half"`` (nearest to .5) or None
            (not judged).
        help: What it measures, in a sentence.
        digits: Decimals shown; None takes three significant digits.
        brief: Also shown where there is little room.
    """

    key: str
    label: str
    better: Literal["high", "low", "one", "half"] | None
    help: str
    digits: int | None = None
    brief: bool = True

    def show(self, value: Any) -> str:
        """A value of this column for people."""
        if isinstance(value, list):
            return " / ".join(self.show(one) for one in value)
        number = finite(value)
        if number is None or self.digits is None or abs(number) >= 1000:
            return show(value)
        return f"{number:.{self.digits}f}"


COLUMNS = (
    Column("good", "good", "high", "share of samples within 4 standard deviations of a mode", 4),
    Column("kl", "KL", "low", "KL(model || truth) over the modes, in nats, good samples only", 4),
    Column("js", "JS", "low", "Jensen-Shannon divergence over the modes and 'outside', in nats", 4),
    Column("modes", "modes", "high", "modes or classes that hold at least 0.1% of the samples", 0),
    Column(
        "within_mode_std",
        "spread",
        "one",
        "standard deviation within a mode over the true one, mean over the modes: below 1 the "
        "modes have collapsed",
        3,
    ),
    Column(
        "within_mode_std_main",
        "main modes",
        "one",
        "the same for each of the two heaviest modes",
        2,
        brief=False,
    ),
    Column("sliced_w1", "sliced W1", "low", "sliced Wasserstein-1 distance to fresh real data", 3),
    Column(
        "c2st",
        "C2ST",
        "half",
        "two-sample test: AUC by which boosted trees tell samples from fresh real data, "
        "cross-fitted; .5 when they cannot",
        3,
    ),
    Column("mean_distance", "distance", None, "mean distance to the nearest mode", 3, brief=False),
    Column("frechet_distance", "Fréchet", "low", "Fréchet distance between classifier features", 2),
    Column(
        "kid", "KID", "low", "kernel distance of features: unbiased, 0 for two sets of one law", 4
    ),
    Column(
        "intra_class_distance",
        "within class",
        "low",
        "Fréchet distance between features within a class, mean over the classes",
        2,
    ),
    Column("vendi", "Vendi", None, "how many different samples there are, in effect", 1),
    Column("confidence", "confidence", None, "mean largest class probability", 3, brief=False),
    Column("classifier_score", "CS", "high", "classifier score: confident and diverse classes", 2),
    Column("precision", "precision", "high", "share of the samples among the real ones", 3),
    Column("recall", "recall", "high", "share of the real samples among the generated ones", 3),
    Column("density", "density", None, "how many real neighbourhoods hold a sample, over k", 3),
    Column("coverage", "coverage", "high", "share of the real samples with one of ours near", 3),
)

COST_COLUMNS = (
    Column(
        "passes_per_sample",
        "passes",
        None,
        "network passes per returned sample: a forward of G's tail and D counts 1, with its "
        "gradient 3; all proposals are counted",
    ),
    Column("seconds", "seconds", None, "wall time of the sampling", 1),
    Column(
        "acceptance",
        "returned",
        None,
        "samples returned over proposals made; a chain returns one sample of many proposals, and a "
        "chain's own moves are counted apart",
        brief=False,
    ),
)

SCORES = (
    Column(
        "brier", "Brier score", "low", "mean squared error of the probability; .25 is a coin", 4
    ),
    Column("reliability", "– reliability", "low", "its part that calibration could remove", 4),
    Column("resolution", "– resolution", "high", "its part gained by telling samples apart", 4),
    Column(
        "z",
        "Z",
        None,
        "Dawid's statistic: within ±2 when calibrated on the whole",
        2,
    ),
    Column("log_loss", "log loss", "low", "in nats; log 2 = .6931 for a ratio of 1 everywhere", 4),
    Column("mean_ratio", "mean ratio", "one", "mean of r over the proposals: 1 for the true r", 3),
    Column(
        "effective_share",
        "effective share",
        "high",
        "(mean r)² / mean r²: share of the proposals that count under r",
        3,
    ),
    Column("strength", "strength", None, "t, where acceptance uses r^t"),
    Column("ece", "ECE", "low", "expected calibration error, mean over the bins", 4),
    Column("mce", "MCE", "low", "the largest calibration error of a bin", 4),
    Column("auc", "AUC", None, ".5 when it does not tell real from generated samples", 4),
)


def metric_columns(metrics: Mapping[str, Any]) -> list[Column]:
    """The metrics that at least one sampler has: known ones first, then other numbers."""
    known = {column.key: column for column in COLUMNS}
    present: dict[str, None] = {}
    for row in metrics["samplers"].values():
        for key, value in row.get("metrics", {}).items():
            if finite(value) is not None or key in known:
                present[key] = None
    first = [column for column in COLUMNS if column.key in present]
    return first + [Column(key, key, None, "") for key in present if key not in known]


def best(metrics: Mapping[str, Any], column: Column) -> set[str]:
    """The samplers that are best in a metric by the value shown; none when all are alike."""
    if column.better is None:
        return set()
    shown: dict[str, str] = {}
    badness: dict[str, float] = {}
    for name, row in metrics["samplers"].items():
        value = row.get("metrics", {}).get(column.key)
        numbers = [finite(one) for one in (value if isinstance(value, list) else [value])]
        if numbers and None not in numbers:
            shown[name] = column.show(value)
            badness[name] = max(_badness(column, one) for one in numbers if one is not None)
    if len(set(shown.values())) < 2:
        return set()
    winner = min(badness, key=badness.__getitem__)
    return {name for name in shown if shown[name] == shown[winner]}


def _badness(column: Column, value: float) -> float:
    if column.better in ("one", "half"):
        return abs(value - (1 if column.better == "one" else 0.5))
    return value if column.better == "low" else -value


def brief_rows(metrics: Mapping[str, Any], mark: Callable[[str], T]) -> list[list[str | T]]:
    """The brief columns, in lines: headings, real data where they were measured, every sampler.

    Args:
        metrics: The content of ``metrics.json``.
        mark: What to make of the best of a column.
    """
    columns = [column for column in metric_columns(metrics) if column.brief]
    costs = [column for column in COST_COLUMNS if column.brief]
    winners = {column.key: best(metrics, column) for column in columns}
    lines: list[list[str | T]] = [["", *(column.label for column in (*columns, *costs))]]
    if floor := metrics.get("floor"):
        shown = [column.show(floor.get(column.key)) for column in columns]
        lines.append(["real data", *shown, *("" for _ in costs)])
    for name, row in metrics["samplers"].items():
        line: list[str | T] = [name]
        for column in columns:
            text = column.show(row.get("metrics", {}).get(column.key))
            line.append(mark(text) if name in winners[column.key] else text)
        lines.append([*line, *(column.show(row.get(column.key)) for column in costs)])
    return lines


def markdown_table(metrics: Mapping[str, Any]) -> str:
    """The brief columns as a Markdown table, the best of each in bold."""
    lines = brief_rows(metrics, lambda text: f"**{text}**")
    if metrics.get("floor"):
        lines[1][0] = "*real data*"
    lines.insert(1, ["---", *("---:" for _ in lines[0][1:])])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def text_table(metrics: Mapping[str, Any]) -> str:
    """The brief columns as aligned text; a star is beside the best of each."""
    lines = [
        [cell if cell.endswith("*") or not place else f"{cell} " for place, cell in enumerate(line)]
        for line in brief_rows(metrics, lambda text: f"{text}*")
    ]
    return aligned(lines)


def finite(value: Any) -> float | None:
    """The value as a float, or None when it is not a finite number."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None


def show(value: Any) -> str:
    """A number for people: whole numbers whole, others with three significant digits."""
    number = finite(value)
    if number is None:
        return "–"
    if number == 0:
        return "0"
    if abs(number) >= 1e12:
        return f"{number:.2e}"
    if float(number).is_integer():
        return f"{int(number):,}"
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    if 0.9 < abs(number) < 1.1:
        return f"{number:.4f}"
    if abs(number) < 5e-5:
        return f"{number:.0e}"
    digits = 3 if abs(number) >= 0.1 else 2
    text = f"{number:.{digits}g}"
    return f"{number:.{6}f}".rstrip("0") if "e" in text else text


def show_percent(value: Any) -> str:
    """A share as a percentage."""
    number = finite(value)
    if number is None:
        return "–"
    if abs(number) >= 10:
        return f"{100 * number:,.0f}%"
    text = f"{100 * number:.3g}%"
    if text == "100%" and number < 1:
        return ">99.9%"
    return "<0.001%" if 0 < number < 1e-5 else text
