"""What the networks are conditioned on: labels or tensors, one row for each id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantandem.errors import InputError

Condition = Tensor | Callable[[Tensor], Tensor]
"""A tensor of M rows (id i gets row i mod M), or a function from (N,) ids to N rows.

A label, a list or an array is read as such a tensor.
"""

SMALL = 2**16
"""Conditions of no more bytes move to another device as a whole, which waits for nothing."""
ALLOWED = "labels (M,) of integers or numbers (M, ...), as a tensor, an array or a list"


def numbers(values: Any) -> Tensor:
    """A copy of what NumPy takes for an array, of a type that torch has.

    Raises:
        TypeError: If it holds anything but numbers.
        ValueError: If it has no shape, or some values are masked.
    """
    if np.ma.is_masked(values):
        raise ValueError("some values are masked")
    array = np.array(values)
    if array.dtype.kind == "O":  # a table of numbers and booleans, say
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return torch.from_numpy(array)


def as_condition(given: Any, where: str = "condition") -> Any:
    """Read a condition: a tensor or a function as it is, a label, a list or an array as a tensor.

    Integers become int64; numbers that come without a type of their own, or as float64 of NumPy,
    become torch's default type. One label is that of every id.

    Raises:
        InputError: If it holds anything but numbers, no row, or rows of different lengths.
    """
    if given is None or (callable(given) and not isinstance(given, Tensor)):
        return given
    value = given
    try:
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor):
            value = torch.stack([torch.as_tensor(row) for row in value])
        if not isinstance(value, Tensor):
            value = numbers(value)
            if value.dtype == torch.float64:
                value = value.to(torch.get_default_dtype())
    except (TypeError, ValueError, RuntimeError) as error:
        in_dict = ". If the network takes a dict: wrap it in adapt.AsDict(G, 'key')"
        in_dict = in_dict if isinstance(given, Mapping) else ""
        raise InputError(
            f"{where}: got {type(given).__name__}, which is not an array of numbers "
            f"({str(error).partition('. ')[0]}); allowed are {ALLOWED}, or a function from ids to "
            f"rows{in_dict}"
        ) from None
    if not (value.is_floating_point() or value.is_complex()):
        value = value.long()
    value = value[None] if value.dim() == 0 else value
    if len(value) == 0:
        raise InputError(f"{where}: got shape {tuple(value.shape)}; allowed are {ALLOWED}")
    if value.is_floating_point() and not bool(value.isfinite().all()):
        raise InputError(f"{where}: some values are NaN or infinite; remove those rows")
    return value


def like(own: Tensor | None, given: Tensor | None) -> Tensor | None:
    """Conditions in the type that a GAN was made with, where only the precision differs."""
    if own is None or given is None or own.is_floating_point() != given.is_floating_point():
        return given
    return given.to(own.dtype)


def rows_for(condition: Condition, ids: Tensor) -> Tensor:
    """The condition of each id: it depends on the id alone, so that every attempt has the same.

    Raises:
        InputError: If there are no rows, or a function does not give one for each id.
    """
    if isinstance(condition, Tensor):
        # What is small moves at once; of a table of embeddings only the rows that are asked for.
        table = condition.to(ids.device) if condition.nbytes <= SMALL else condition
        return table[(ids % len(table)).to(table.device)].to(ids.device)
    rows = condition(ids)
    if not isinstance(rows, Tensor):
        rows = as_condition(rows, "condition: the function's rows")
    if not isinstance(rows, Tensor) or rows.shape[:1] != ids.shape:
        got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise InputError(
            f"condition: the function gave {got} for {len(ids)} ids; it must return one tensor "
            "with one row for each id"
        )
    return rows.to(ids.device)


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
            f"{where}: conditions were given, but this GAN has no condition; leave them out, or "
            "make the GAN with GAN(..., condition=...)"
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
            f"samples; allowed is {wanted}, as in this GAN's own condition"
        )
