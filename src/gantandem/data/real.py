"""Real data, split once into parts with one job each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gantandem.errors import DataError

Part = Literal["fit", "select", "calibrate", "test"]
PARTS: tuple[Part, ...] = ("fit", "select", "calibrate", "test")


class Rows(NamedTuple):
    """Samples (N, *x_shape), and the condition of each, (N, ...), if there are conditions."""

    x: Tensor
    cond: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Rows:
        """Apply a function to both columns."""
        return Rows(function(self.x), None if self.cond is None else function(self.cond))

    def to(self, device: torch.device) -> Rows:
        """Move both columns."""
        return self.map(lambda value: value.to(device))

    def split(self, size: int) -> Iterator[Rows]:
        """Consecutive pieces of at most ``size`` samples."""
        for start in range(0, len(self.x), size):
            yield self.map(lambda value, start=start: value[start : start + size])


@dataclass(frozen=True)
class Real:
    """Real samples, four disjoint parts of shape (N, *x_shape), float32.

    Args:
        fit: Trains generators, guides and ratios.
        select: Chooses among guides and stops fits early.
        calibrate: Fits calibrators.
        test: Diagnoses and measures; nothing is ever fitted on it.
        conditions: For a conditional GAN the condition of each sample, in the same four parts:
            labels (N,) int64, or tensors (N, ...).

    Raises:
        DataError: If a part has not as many conditions as samples.
    """

    fit: Tensor
    select: Tensor
    calibrate: Tensor
    test: Tensor
    conditions: Real | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check that every sample has its condition."""
        if self.conditions is None:
            return
        for part in PARTS:
            samples, conditions = len(getattr(self, part)), len(getattr(self.conditions, part))
            if samples != conditions:
                raise DataError(
                    f"real: part {part!r} has {samples} samples and {conditions} conditions; "
                    "every sample needs one condition, in the same order"
                )

    def rows(self, part: Part) -> Rows:
        """The samples of a part with their conditions."""
        conditions = None if self.conditions is None else getattr(self.conditions, part)
        return Rows(getattr(self, part), conditions)


RealData = Real | Tensor | tuple[Tensor, Tensor]
"""What ``real=`` takes: split data, (N, *x_shape) samples, or samples with their conditions."""
