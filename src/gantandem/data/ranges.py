"""The range of image values: which value is black and which is white."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantandem.errors import InputError

Range = tuple[float, float]
_USUAL = (
    # A bright image of a tanh has few values below 0, and must not be taken for a sigmoid's.
    ((0.0, 1.0), 0.1, 0.0),
    ((-1.0, 1.0), 0.2, 0.01),
    ((0.0, 255.0), 5.0, 0.01),
)
"""What a sigmoid, a tanh and bytes make: how far values may lie beyond, and the share farther."""
_BRIGHT = 10.0
"""Values up to here are no bytes, unless they are integers."""


def check_range(value: Sequence[float | str] | str, where: str = "range") -> Range:
    """Return a range, ``(0, 1)`` or ``"0,1"``, as two floats.

    Raises:
        InputError: If it is not two finite numbers (or texts of them), the lower first.
    """
    try:
        low, high = (float(one) for one in (value.split(",") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(
            f"{where}: got {value!r}; allowed are two numbers, the value of black and the value "
            "of white, for example (-1, 1), (0, 1) or (0, 255)"
        )
    return low, high


def shown_range(images: Sequence[NDArray[Any]]) -> Range:
    """Return the range to show images in: the first that is found, else all values there are."""
    found = next((one for x in images if (one := find_range(x)) is not None), None)
    if found is not None:
        return found
    values = np.concatenate([x[np.isfinite(x)] for x in images])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    return (low, high) if low < high else (low - 1, high + 1)


def find_range(x: NDArray[Any]) -> Range | None:
    """Find the range that images are of by their values.

    Bytes are [0, 255]. Of [0, 1], [-1, 1] and [0, 255] it is the first that holds the values, but
    for 1% of them and a margin of a tenth, since refined pixels overshoot.

    Args:
        x: Images of any shape.

    Returns:
        None if it is none of these (standardised images, say), or no value is finite.
    """
    if x.dtype == np.uint8:
        return 0.0, 255.0
    values = np.asarray(x, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    for (low, high), margin, allowed in _USUAL:
        beyond = (values < low - margin) | (values > high + margin)
        if beyond.mean() <= allowed and (high <= 1 or values.max() > _BRIGHT):
            return low, high
    return None


def to_levels(x: NDArray[Any], bounds: Range) -> NDArray[np.uint8]:
    """Map values to bytes, black at the lower bound and white at the upper.

    Values outside are clipped: :func:`count_clipped` says how many.

    Raises:
        InputError: If a value is not finite: it has no colour.
    """
    levels = _levels(x, bounds)
    if not np.isfinite(levels).all():
        raise InputError("images: some values are NaN or infinite; leave these images out")
    return np.clip(levels, 0, 255).round().astype(np.uint8)


def count_clipped(x: NDArray[Any], bounds: Range) -> int:
    """Count the values that lie outside a range by more than half a level of its bytes."""
    levels = _levels(x, bounds)
    return int(((levels < -0.5) | (levels > 255.5)).sum())


def say_range(bounds: Range) -> str:
    """A range for people: ``[-1, 1]``."""
    return f"[{bounds[0]:g}, {bounds[1]:g}]"


def _levels(x: NDArray[Any], bounds: Range) -> NDArray[np.float64]:
    low, high = bounds
    return (np.asarray(x, dtype=np.float64) - low) * (255 / (high - low))
