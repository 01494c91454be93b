"""What the networks are conditioned on: labels or tensors, one row for each id."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from gantandem.errors import InputError

Condition = Tensor | Callable[[Tensor], Tensor]
"""A tensor of M rows (id i gets row i mod M), or a function from (N,) ids to N rows."""


def rows_for(condition: Condition, ids: Tensor) -> Tensor:
    """The condition of each id: it depends on the id alone, so that every attempt has the same.

    Raises:
        InputError: If there are no rows, or a function does not give one for each id.
    """
    if isinstance(condition, Tensor):
        if condition.dim() == 0 or len(condition) == 0:
            raise InputError(
                f"condition: got shape {tuple(condition.shape)}; allowed are labels (M,) int64 or "
                "tensors (M, ...), with M of 1 or more"
            )
        return condition.to(ids.device)[ids % len(condition)]
    rows = condition(ids)
    if not isinstance(rows, Tensor) or rows.shape[:1] != ids.shape:
        got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise InputError(
            f"condition: the function gave {got} for {len(ids)} ids; it must return one tensor "
            "with a row for each id"
        )
    return rows


def is_labels(condition: Tensor | None) -> bool:
    """Whether conditions are class labels: (N,) integers."""
    return condition is not None and condition.dim() == 1 and not condition.is_floating_point()


def check_condition(own: Tensor | None, given: Tensor | None, count: int, where: str) -> None:
    """Refuse conditions that do not fit ``count`` samples, or the kind a GAN was made with.

    Args:
        own: Some conditions of the GAN, or None.
        given: What came with the samples.
        count: Number of samples.
        where: For the message.

    Raises:
        InputError: If conditions are missing, superfluous, or of another number, type or shape.
    """
    if own is None and given is None:
        return
    if own is None:
        raise InputError(
            f"{where}: conditions were given, but this GAN has none; leave them out, or make it "
            "with GAN(..., condition=...)"
        )
    wanted = f"({count}{''.join(f', {n}' for n in own.shape[1:])},) of {own.dtype}"
    if given is None:
        raise InputError(
            f"{where}: this GAN is conditional, so real samples must bring their conditions: "
            f"pass the pair (x, condition), condition of shape {wanted}, or "
            "Real(..., conditions=Real(...))"
        )
    if len(given) != count or given.dtype != own.dtype or given.shape[1:] != own.shape[1:]:
        raise InputError(
            f"{where}: got conditions of shape {tuple(given.shape)} of {given.dtype} for {count} "
            f"samples; allowed is {wanted}, the kind this GAN was made with"
        )
