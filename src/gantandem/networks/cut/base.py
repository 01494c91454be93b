"""What every cut is, and how a value crosses from head to tail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gantandem.adapt.inputs import full

Carry = tuple[Tensor, ...]
Example = tuple[Tensor, Tensor | None]
Path = tuple[Any, ...]


class CannotCut(Exception):
    """One way of cutting does not work here; another one may."""


class Cut:
    """A generator cut at one layer, with ``tail(*head(z)) == generator(z)``.

    Made by `gantandem.networks.cut.cut_at`. Weights are the generator's own, not copies; neither
    half changes a tensor that it is given. Whatever the tail needs of the head (skips, late
    latents, embeddings) is computed once and carried as tensors of N rows, which may be selected or
    exchanged between batches like those of the activation. The condition is not carried: the
    tail is given its rows again.

    Attributes:
        layer: The module's name, ``"latent"`` or ``"data"``.
        kind: ``"graph"`` (torch.fx), ``"replay"``, ``"latent"`` or ``"data"``. All but
            ``"replay"`` suit `torch.compile`.
    """

    kind: ClassVar[str]

    def __init__(self, layer: str) -> None:
        """Name the layer; the parts are made by the kinds of cut."""
        self.layer = layer
        self._overwrites_latent = False
        self._overwritten: frozenset[int] = frozenset()  # 0: the activation, i + 1: carry[i]

    def head(self, z: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Carry]:
        """Run the part up to the layer.

        Args:
            z: Latents (N, ...).
            cond: Conditions (N, ...), where the cut was made with some.

        Returns:
            The layer's activation (N, ...) and the carry, tensors of N rows each.
        """
        return self._head(z.clone() if self._overwrites_latent else z, cond)

    def tail(self, activation: Tensor, carry: Carry, cond: Tensor | None = None) -> Tensor:
        """Run the part after the layer; differentiable in `activation`.

        Args:
            activation: Activations (M, ...), for any number of rows M.
            carry: The same rows of what `head` returned.
            cond: The same rows of the conditions given to `head`.

        Returns:
            Samples (M, *x_shape), of half precision as float32.
        """
        if self._overwritten:
            activation, *rest = [
                t.clone() if i in self._overwritten else t
                for i, t in enumerate((activation, *carry))
            ]
            carry = tuple(rest)
        return full(self._tail(activation, carry, cond))

    def _observe(self, z: Tensor, cond: Tensor | None) -> None:
        """Run both halves on spare tensors, noting which of them must be copied from now on."""
        version = z._version
        activation, carry = self._head(z, cond)
        self._overwrites_latent |= z._version != version
        given = (activation, *carry)
        versions = [t._version for t in given]
        self._tail(activation, carry, cond)
        self._overwritten |= {i for i, t in enumerate(given) if t._version != versions[i]}

    def _head(self, z: Tensor, cond: Tensor | None) -> tuple[Tensor, Carry]:
        raise NotImplementedError

    def _tail(self, activation: Tensor, carry: Carry, cond: Tensor | None) -> Tensor:
        raise NotImplementedError


# A value that the tail needs of the head is described from what it was for two numbers of rows:
# which tensors in it have a row for each sample, which numbers follow the batch size, and which
# parts are constants. A spec is one of these leaves, or a tuple, list or dict of specs.


@dataclass(frozen=True)
class Rows:
    """A tensor with one row for each sample, counted by its axis `axis`."""

    axis: int = 0


@dataclass(frozen=True)
class Times:
    """A number that is `factor` times the batch size."""

    factor: int


@dataclass(frozen=True)
class Constant:
    """A number, name, type or device that does not change."""

    value: Any


def has_rows(a: object, b: object, n_a: int, n_b: int) -> bool:
    """Say whether `a`, made from n_a samples, and `b`, from n_b, are tensors of that many rows."""
    return _axis(a, b, n_a, n_b) == 0


def _axis(a: object, b: object, n_a: int, n_b: int) -> int | None:
    """Return the only axis in which two tensors differ, if it counts the samples."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.ndim == b.ndim):
        return None
    differ = [i for i in range(a.ndim) if a.shape[i] != b.shape[i]]
    if len(differ) == 1 and (a.shape[differ[0]], b.shape[differ[0]]) == (n_a, n_b):
        return differ[0]
    return None


def describe(a: Any, b: Any, n_a: int, n_b: int) -> Any:
    """Return the spec of a value seen as `a` for n_a samples and as `b` for n_b.

    Raises:
        CannotCut: If some part has no rows and is no constant, such as a tensor of statistics.
    """
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        axis = _axis(a, b, n_a, n_b)
        if axis is not None:
            return Rows(axis)
    elif type(a) is type(b):
        if type(a) in (tuple, list, torch.Size) and len(a) == len(b):
            specs = [describe(x, y, n_a, n_b) for x, y in zip(a, b, strict=True)]
            return specs if type(a) is list else tuple(specs)
        if type(a) is dict and a.keys() == b.keys():
            return {key: describe(a[key], b[key], n_a, n_b) for key in a}
        if type(a) is int and a != b and a % n_a == 0 and a // n_a * n_b == b:
            return Times(a // n_a)
        plain = (int, float, bool, str, type(None), torch.dtype, torch.device)
        if isinstance(a, plain) and a == b:
            return Constant(a)
    raise CannotCut(f"a {type(a).__name__} from before the cut has no row for each sample")


def build(spec: Any, rows: Callable[[Path, int], Any], times: Callable[[int], Any]) -> Any:
    """Put a value together again after its spec.

    Args:
        spec: From `describe`.
        rows: Gives the tensor at a path of indices and keys, with its samples along the given
            axis; called in the order of `leaves`.
        times: Gives the batch size times a factor.
    """

    def walk(part: Any, path: Path) -> Any:
        if isinstance(part, Rows):
            return rows(path, part.axis)
        if isinstance(part, Times):
            return times(part.factor)
        if isinstance(part, Constant):
            return part.value
        if isinstance(part, dict):
            return {key: walk(value, (*path, key)) for key, value in part.items()}
        return type(part)(walk(value, (*path, i)) for i, value in enumerate(part))

    return walk(spec, ())


def leaves(spec: Any, value: Any) -> list[Tensor]:
    """Return the tensors of `value` that have rows, after its spec, with the samples first."""
    found: list[Tensor] = []

    def take(path: Path, axis: int) -> None:
        part = value
        for step in path:
            part = part[step]
        found.append(part.movedim(axis, 0))

    build(spec, take, lambda factor: factor)
    return found
