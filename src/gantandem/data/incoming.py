"""The one place where data come in: tensors, arrays, datasets, loaders, iterables, pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gantandem.condition import as_condition, numbers
from gantandem.data.real import Stored
from gantandem.errors import DataError

logger = logging.getLogger(__name__)

SAMPLES = ("x", "image", "images", "img", "pixel_values", "data", "samples")
LABELS = ("condition", "label", "labels", "y", "target", "class")
ALLOWED = (
    "a tensor or array (N, *x_shape), a list of samples, a Dataset, a DataLoader, an iterable of "
    "batches, a pair (samples, conditions), or a Real"
)


LARGE = 2**30
"""Bytes of a tensor above which its parts are read from it piece by piece."""


class Incoming(NamedTuple):
    """Samples (N, *x_shape); conditions (N, ...) or None, and whether they were asked for.

    The labels of a dataset come along whether or not the GAN has conditions; those of a pair are
    meant.
    """

    x: Tensor | Stored
    cond: Tensor | None = None
    meant: bool = False


def read(data: Any, where: str = "real", shape: tuple[int, ...] | None = None) -> Incoming:
    """Read samples, and their conditions if they bring some, whatever holds them.

    An array that is mapped from a file stays there, see :class:`Stored`, and so does a tensor of
    more than 1 GiB. Everything else is in memory afterwards; a dataset or an iterable is read from
    its start to its end in each call.

    Args:
        data: What :data:`RealData` names, except a ``Real``.
        where: For messages.
        shape: ``x_shape`` where it is known; it tells a list of samples from one of batches.

    Raises:
        DataError: If it is nothing of that, is empty, or samples differ in shape.
        InputError: If conditions are neither numbers nor tensors.
    """
    if isinstance(data, tuple) and len(data) == 1:
        data = data[0]
    if isinstance(data, tuple) and len(data) == 2:
        if data[1] is None:
            return read(data[0], where, shape)
        x, _, _ = read(data[0], where, shape)
        cond = as_condition(data[1], f"{where} conditions")
        if not isinstance(cond, Tensor):
            raise DataError(
                f"{where}: the conditions are a function; pass an array with one row for each "
                "sample"
            )
        if len(x) != len(cond):
            raise DataError(
                f"{where}: {len(x)} samples came with {len(cond)} conditions; every sample needs "
                "one condition, in the same order"
            )
        return Incoming(x, cond, True)
    if isinstance(data, Mapping):
        x, cond = _columns(data, where)
        return read(x if cond is None else (x, cond), where, shape)._replace(meant=False)
    array = hasattr(data, "__array__") and not _is_set(data)
    if isinstance(data, (Tensor, Stored)) or array:
        return Incoming(_array(data, where))
    if isinstance(data, (str, bytes, Path)):
        raise DataError(
            f"{where}: got the path {str(data)!r}; open it first, for example "
            "np.load(path, mmap_mode='r') for an .npy file"
        )
    if _is_numbers(data):
        return Incoming(_array(data, where))
    if _is_set(data):
        _check_steady(data, where)
        return _join(map(data.__getitem__, range(len(data))), where, single=True)
    if not isinstance(data, Iterable):
        raise DataError(f"{where}: got {type(data).__name__}; allowed are {ALLOWED}")
    behind = getattr(data, "dataset", None)
    if _is_set(behind):
        _check_steady(behind, where)
    return _join(iter(data), where, single=isinstance(data, (list, tuple)), shape=shape)


def _is_large(x: Tensor) -> bool:
    """Whether no second copy should be made of it: it may lie in a file, and fill the memory."""
    return x.device.type == "cpu" and x.dim() > 1 and x.numel() * x.element_size() > LARGE


def _is_set(data: Any) -> bool:
    """Whether it is a dataset of samples, by place: torch's, or one of the datasets library."""
    return (
        hasattr(data, "__getitem__")
        and hasattr(data, "__len__")
        and not isinstance(data, (list, tuple, type, Tensor, np.ndarray))
        and not hasattr(data, "dtypes")  # a table of pandas is an array
    )


def _is_numbers(data: Any) -> bool:
    """Whether it is a list of numbers, however deep."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (int, float, np.number, np.bool_))


def _check_steady(data: Any, where: str) -> None:
    """Warn of a dataset that changes its samples: they cannot be held out."""
    for place in range(min(4, len(data))):
        first, again = (_parted(data[place], where)[0] for _ in range(2))
        if first.shape != again.shape or not torch.equal(first.nan_to_num(), again.nan_to_num()):
            logger.warning(
                "%s: the dataset gives another sample %d each time (is there a random "
                "transform?), so no sample can be held out from later calls. Remove the "
                "transform, or read the dataset once for all calls: real = split_real(dataset)",
                where,
                place,
            )
            return


def _array(data: Any, where: str) -> Tensor | Stored:
    try:
        if isinstance(data, (Stored, np.memmap)) or (isinstance(data, Tensor) and _is_large(data)):
            return data if isinstance(data, Stored) else Stored(data)
        x = data.detach() if isinstance(data, Tensor) else numbers(data)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{where}: {type(data).__name__} is not an array of numbers of one shape "
            f"({str(error).partition('. ')[0]}); allowed are {ALLOWED}"
        ) from None
    odd = x.is_nested or x.is_complex() or x.is_quantized or x.is_meta
    if odd or x.layout != torch.strided:
        raise DataError(
            f"{where}: got a tensor of {x.dtype}, {x.layout}; allowed are dense tensors of real "
            "numbers"
        )
    if x.dim() == 0:
        raise DataError(f"{where}: got one number; allowed are {ALLOWED}")
    return x


def _columns(row: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    """Samples and conditions among named columns."""
    x = [name for name in SAMPLES if name in row]
    cond = [name for name in LABELS if name in row]
    if len(x) != 1 or len(cond) > 1:
        raise DataError(
            f"{where}: got the columns {sorted(map(str, row))}; give the samples as one of "
            f"{', '.join(SAMPLES)} and the conditions, if any, as one of {', '.join(LABELS)}, or "
            "a pair (samples, conditions)"
        )
    return row[x[0]], row[cond[0]] if cond else None


def _parted(item: Any, where: str) -> tuple[Tensor, Tensor | None]:
    """A sample or a batch, and what it is conditioned on."""
    if isinstance(item, Mapping):
        x, cond = _columns(item, where)
    elif isinstance(item, (tuple, list)) and not _is_numbers(item):
        if len(item) not in (1, 2):
            raise DataError(
                f"{where}: got items of {len(item)} parts; allowed are samples, or pairs of a "
                "sample and its condition"
            )
        x, cond = item[0], item[1] if len(item) == 2 else None
    else:
        x, cond = item, None
    if cond is not None and not isinstance(cond, Tensor):
        scalar = np.ndim(cond) == 0
        cond = as_condition(cond, f"{where} conditions")
        cond = cond[0] if scalar and isinstance(cond, Tensor) else cond
    return torch.as_tensor(_array(x, where)[:]), cond if isinstance(cond, Tensor) else None


def _join(
    items: Iterator[Any], where: str, *, single: bool, shape: tuple[int, ...] | None = None
) -> Incoming:
    """Join items to one tensor; they are samples (``single``, or of that shape) or batches."""
    xs: list[Tensor] = []
    conds: list[Tensor | None] = []
    for place, item in enumerate(items):
        x, cond = _parted(item, where)
        if place == 0 and shape is not None:
            single = x.dim() == len(shape) or (single and x.dim() <= len(shape))
        elif place == 0:
            single = single or (cond is not None and cond.dim() == 0)
        if single:
            x, cond = x[None], None if cond is None else cond[None]
        if xs and x.shape[1:] != xs[0].shape[1:]:
            raise DataError(
                f"{where}: item {place} holds samples of shape {tuple(x.shape[1:])}, and the "
                f"first one {tuple(xs[0].shape[1:])}; all samples must have one shape. Pass a "
                "pair of samples and conditions as a tuple"
            )
        if x.dim() == 0 or (cond is not None and len(cond) != len(x)):
            got = "no rows" if x.dim() == 0 else f"{len(x)} samples and {len(cond)} conditions"  # type: ignore
            raise DataError(
                f"{where}: item {place} holds {got}; a batch needs one row for each sample"
            )
        xs.append(x)
        conds.append(cond)
    if not xs:
        raise DataError(
            f"{where}: there are no samples. An iterator is empty after it was read once; pass a "
            "list, a Dataset or a DataLoader, which can be read again"
        )
    given = [cond for cond in conds if cond is not None]
    if given and len(given) < len(xs):
        raise DataError(
            f"{where}: some items have a condition and some have none; give all or none"
        )
    return Incoming(torch.cat(xs), torch.cat(given) if given else None)
