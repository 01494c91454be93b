"""Pareto fronts: which points no other point beats in every respect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch

from gantandem.errors import InputError


@dataclass(frozen=True)
class Axis:
    """A number that points are compared by, and which way is better.

    Args:
        key: Its name: in a point's ``metrics``, else in the point itself.
        better: ``"high"``, ``"low"`` or ``"one"`` (nearest to 1).
        label: For people; the key if empty.

    Raises:
        InputError: If ``better`` is none of these.
    """

    key: str
    better: Literal["high", "low", "one"]
    label: str = ""

    def __post_init__(self) -> None:
        """Check the direction."""
        if self.better not in ("high", "low", "one"):
            raise InputError(
                f"axis {self.key!r} better: got {self.better!r}, allowed are 'high', 'low', 'one'"
            )

    @property
    def title(self) -> str:
        """What to call it."""
        return self.label or self.key

    def value(self, point: Mapping[str, Any]) -> float:
        """The point's number; NaN where it is missing or None."""
        value = point.get("metrics", {}).get(self.key, point.get(self.key))
        return float("nan") if value is None else float(value)

    def badness(self, point: Mapping[str, Any]) -> float:
        """The number turned so that less is better."""
        value = self.value(point)
        return {"high": -value, "low": value, "one": abs(value - 1)}[self.better]


class Pareto(NamedTuple):
    """What a task's samples are weighed by: each apart, and a distance that sees both."""

    quality: Axis
    diversity: Axis
    distance: Axis


PASSES = Axis("passes_per_sample", "low", "network passes per sample")


def sweep_axes(sweep: Mapping[str, Any]) -> dict[str, Axis]:
    """The axes of a sweep by their role: quality, diversity, distance."""
    return {role: Axis(**axis) for role, axis in sweep["pareto"].items()}


def pareto_front(points: Sequence[Mapping[str, Any]], quality: Axis, diversity: Axis) -> list[bool]:
    """Tell which points are on the Pareto front of two axes.

    A point is on the front unless another is at least as good on both axes and better on one.
    Points that are equal on both stand or fall together. A point with a NaN or a missing number
    is never on the front and beats nobody; infinities compare as numbers.

    Args:
        points: Rows as ``sweep`` returns them, or plain mappings from names to numbers.
        quality: One axis.
        diversity: The other; any two axes will do, for example a metric and ``PASSES``.

    Returns:
        For each point whether it is on the front.
    """
    bad = torch.tensor(
        [[axis.badness(point) for axis in (quality, diversity)] for point in points],
        dtype=torch.float64,
    )
    bad = bad.reshape(-1, 2)
    known = ~bad.isnan().any(1)
    no_worse = (bad[:, None] <= bad[None]).all(2)  # [i, j]: i is at least as good as j on both
    better = (bad[:, None] < bad[None]).any(2)
    return (known & ~(no_worse & better).any(0)).tolist()
