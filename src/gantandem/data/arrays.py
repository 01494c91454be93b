"""Arrays of any kind as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


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
