"""Real data, split once into parts with one job each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gantandem.condition import numbers
from gantandem.errors import DataError

Part = Literal["fit", "select", "calibrate", "test"]
PARTS: tuple[Part, ...] = ("fit", "select", "calibrate", "test")


class Stored:
    """Samples that stay in what holds them, a file say: only those that are asked for are read.

    Args:
        source: (M, *x_shape), for example ``np.load(path, mmap_mode="r")`` or a tensor.
        places: (N,) which of them these are; None for all.
        dtype: What they are read as; None for what they are.
    """

    device = torch.device("cpu")
    _version = 0

    def __init__(
        self,
        source: np.ndarray | Tensor,
        places: Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.source = source
        self.places = torch.arange(len(source)) if places is None else places
        self.dtype = self._read(slice(0, 0)).dtype if dtype is None else dtype

    def _read(self, index: slice | np.ndarray) -> Tensor:
        rows = self.source[index]
        return rows.detach().clone() if isinstance(rows, Tensor) else numbers(rows)

    @property
    def shape(self) -> torch.Size:
        """(N, *x_shape)."""
        return torch.Size((len(self), *self.source.shape[1:]))

    def __len__(self) -> int:
        """N."""
        return len(self.places)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """Read some samples."""
        return self._read(self.places[index].numpy()).to(self.dtype)

    def split(self, size: int) -> Iterator[Tensor]:
        """Read all, at most ``size`` samples at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def part(self, index: Tensor) -> Stored:
        """Some of the samples, still in their file."""
        return Stored(self.source, self.places[index], self.dtype)

    def to(self, kind: torch.dtype | torch.device) -> Stored:
        """Read them as another type from now on; devices are for samples that were read."""
        return Stored(self.source, self.places, kind) if isinstance(kind, torch.dtype) else self


class Rows(NamedTuple):
    """Samples (N, *x_shape), and the condition of each, (N, ...), if there are conditions."""

    x: Tensor
    cond: Tensor | None = None

    def map(self, function: Callable[[Any], Any]) -> Rows:
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
    """Real samples, four disjoint parts of shape (N, *x_shape).

    Each may be whatever holds samples, see :data:`RealData`; it is read, checked and put in the
    generator's type where it is used.

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
        """Check that every sample has its condition; what is no tensor, where it is read."""
        if self.conditions is None:
            return
        if not isinstance(self.conditions, Real):
            raise DataError(
                f"real: got {type(self.conditions).__name__} as conditions; allowed is "
                "Real(fit, select, calibrate, test) of the conditions of each part"
            )
        for part in PARTS:
            both = getattr(self, part), getattr(self.conditions, part)
            samples, conditions = (len(v) if isinstance(v, Tensor) else None for v in both)
            if None not in (samples, conditions) and samples != conditions:
                raise DataError(
                    f"real: part {part!r} has {samples} samples and {conditions} conditions; "
                    "every sample needs one condition, in the same order"
                )

    def rows(self, part: Part) -> Rows:
        """The samples of a part with their conditions."""
        conditions = None if self.conditions is None else getattr(self.conditions, part)
        return Rows(getattr(self, part), conditions)


RealData = Real | Tensor | np.ndarray | Dataset[Any] | Iterable[Any] | tuple[Any, Any]
"""What ``real=`` takes.

* (N, *x_shape) samples: a tensor, an array (NumPy's, or what becomes one), a list;
* a ``Dataset`` of samples, a ``DataLoader`` or an iterable of batches. Their items may be pairs of
  samples and labels, or dicts with an ``"image"`` or ``"x"`` and a ``"label"``; labels are left
  aside where the GAN has no condition. They are read into memory in every call: read once, with
  ``split_real(dataset)``, where that takes long;
* the pair of one of these and the conditions, (N, ...);
* a :class:`Real`, which is split already.

Types are put in the generator's own. What is larger than memory stays in its file where it is a
memory-mapped array, ``np.load(path, mmap_mode="r")``: only what a step needs is then read.
"""
