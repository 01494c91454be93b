"""No metric is taken of what is not finite: some would crash, the others would mislead."""

from __future__ import annotations

from torch import Tensor

from gantandem.errors import NonFiniteError

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
            f"{len(broken):,} of {len(x):,} {what} are not finite (rows {rows}), so no metric is "
            "taken of them: leave those rows out and say so, or draw them again"
        )
    return x
