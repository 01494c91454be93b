"""No metric is taken of what is not finite: some would crash, the others would mislead."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from gantandem.errors import InputError, NonFiniteError

NAMED = 5
"""Rows a message names."""


def need_finite(x: Tensor, what: str) -> Tensor:
    """Return (N, ...) values as they are.

    Args:
        x: What a metric is to be taken of.
        what: What they are, for the message: ``"samples"``.

    Raises:
        NonFiniteError: If a row is not finite; the first are named.
    """
    broken = (~x.flatten(1).isfinite()).any(1).nonzero().flatten().tolist()
    if broken:
        rows = ", ".join(map(str, broken[:NAMED])) + (", ..." if len(broken) > NAMED else "")
        raise NonFiniteError(
            f"{len(broken):,} of {len(x):,} {what} are not finite (rows {rows}), so no metric can "
            "be computed: leave those rows out and report it, or draw them again"
        )
    return x


def need_number(value: Any, what: str) -> float:
    """Return what a distance of the user's own gave as a float.

    Args:
        value: A number, or a tensor or array of one; infinity is the farthest.
        what: Whose it is, for the message.

    Raises:
        InputError: If it is no number.
        NonFiniteError: If it is NaN, which is neither nearer nor farther than anything.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{what}: returned {value!r}; it must return one number") from None
    if math.isnan(number):
        raise NonFiniteError(f"{what}: returned NaN, which cannot be compared")
    return number
