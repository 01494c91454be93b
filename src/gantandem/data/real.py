"""Real data, split once into parts with one job each."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Real:
    """Real samples, four disjoint parts of shape (N, *x_shape), float32.

    Args:
        fit: Trains generators, guides and ratios.
        select: Chooses among guides and stops fits early.
        calibrate: Fits calibrators.
        test: Diagnoses and measures; nothing is ever fitted on it.
    """

    fit: Tensor
    select: Tensor
    calibrate: Tensor
    test: Tensor
