"""Networks held still while the library runs them, and put back as they were.

A forward may write into its module: buffers put aside and back, running statistics, counters,
cached activations, the global random state. Whatever it writes, and whatever tracing it leaves
behind, is gone when the block ends, after an exception too. Threads take turns: the modules and
the random state are the same for all.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import operator
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_PLAIN = (int, float, complex, str, bytes)
_COLLECTIONS = (dict, collections.OrderedDict, list, set)
one_thread = threading.RLock()
"""Whoever holds networks still: another thread waits, or it would put back what this one froze."""


class Structure:
    """What a module is made of: its attributes, and what its collections hold, by identity.

    Plain values count by their value. Weights count as objects and not by their numbers; the
    training flag does not count.

    Args:
        module: One module; its submodules are among its attributes and not looked into.
    """

    def __init__(self, module: nn.Module) -> None:
        # A scripted module keeps what it holds in C++, where nothing writes but itself.
        own = {} if isinstance(module, torch.jit.ScriptModule) else vars(module)
        self.module, self.forward = module, getattr(type(module), "forward", None)
        self.names, self.values = list(own), list(own.values())
        self.contents = [
            (i, value.copy()) for i, value in enumerate(self.values) if type(value) in _COLLECTIONS
        ]
        filled = (_within(kept) for _, kept in self.contents if kept)
        self._ids = list(map(id, itertools.chain(self.values, *filled)))

    def same(self, other: Structure) -> bool:
        """Say whether nothing was exchanged, added or taken away."""
        if self.module is not other.module or self.forward is not other.forward:
            return False
        if self.names != other.names or len(self.contents) != len(other.contents):
            return False
        if self._ids == other._ids:
            return True
        pairs = zip(self.names, self.values, other.values, strict=True)
        if not all(a is b or name == "training" or _alike(a, b) for name, a, b in pairs):
            return False
        held = zip(self.contents, other.contents, strict=True)
        return all(i == j and _identical(a, b, _alike) for (i, a), (j, b) in held)

    def restore(self) -> None:
        """Put attributes and contents back."""
        if not self.names:
            return
        now = vars(self.module)
        if list(now) != self.names or not all(map(operator.is_, now.values(), self.values)):
            now.clear()
            now.update(zip(self.names, self.values, strict=True))
        for i, kept in self.contents:
            value = self.values[i]
            if (value or kept) and not _identical(value, kept):
                value.clear()
                value.extend(kept) if isinstance(value, list) else value.update(kept)


def _within(collection: Any) -> Iterable[Any]:
    return collection.values() if isinstance(collection, dict) else collection


def _alike(a: Any, b: Any) -> bool:
    """Equal plain values; collections, whose contents are compared apart."""
    kind = type(a)
    return kind is type(b) and ((kind in _PLAIN and a == b) or kind in _COLLECTIONS)


def _identical(a: Any, b: Any, alike: Callable[[Any, Any], bool] = operator.is_) -> bool:
    """Compare what two collections of one kind hold, by identity or as ``alike`` says."""
    if isinstance(a, set):
        return a == b
    if len(a) != len(b) or (isinstance(a, dict) and list(a) != list(b)):
        return False
    if all(map(operator.is_, _within(a), _within(b))):
        return True
    pairs = zip(_within(a), _within(b), strict=True)
    return alike is not operator.is_ and all(x is y or alike(x, y) for x, y in pairs)


Parts = dict[int, list[Structure]]
"""What each network is made of, by its id: the parts of all its modules, in order."""


@dataclass
class Kept:
    """What networks were like when a block began."""

    parts: Parts
    numbers: _Numbers

    def put_back(self) -> None:
        """Give tensors the numbers that they had; also within the block."""
        self.numbers.restore()


def exchanged(before: list[Structure], now: list[Structure]) -> bool:
    """Say whether a network is no longer made of the same parts."""
    return len(before) != len(now) or not all(map(Structure.same, before, now))


class _Numbers:
    """The numbers of tensors, and where they are kept; compared all at once, as most never change.

    Args:
        tensors: What may be written into.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        groups: dict[Any, list[tuple[Tensor, Tensor]]] = {}
        for tensor in tensors:
            pair = (tensor, tensor.detach())
            groups.setdefault((tensor.device, tensor.dtype), []).append(pair)
        self._groups = [(pairs, _joined(pairs)) for pairs in groups.values()]

    @torch.no_grad()
    def restore(self) -> None:
        """Give every tensor its numbers back."""
        for pairs, numbers in self._groups:
            for tensor, data in pairs:
                if tensor.data_ptr() != data.data_ptr():
                    tensor.data = data  # a forward wrote ``tensor.data = ...``
            if torch.equal(_joined(pairs), numbers):
                continue
            values = numbers.split([data.numel() for _, data in pairs])
            for (_, data), value in zip(pairs, values, strict=True):
                if not torch.equal(data.reshape(-1), value):
                    data.copy_(value.view(data.shape))


def _joined(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat([data.reshape(-1) for _, data in pairs])


def _parameters(module: nn.Module) -> list[nn.Parameter]:
    """Its own, without those of submodules; faster than asking the module."""
    return [p for _, p in module._parameters.items() if p is not None]


def _may_change(module: nn.Module) -> Iterator[Tensor]:
    """Tensors that a forward may write into: buffers, plain attributes, vectors, bounded rows.

    Vectors of power iterations are parameters in some published code, and an embedding with a
    ``max_norm`` scales its own rows.
    """
    bounded = getattr(module, "max_norm", None) is not None
    for parameter in _parameters(module):
        if parameter.dim() < 2 or bounded:
            yield parameter
    plain = () if isinstance(module, torch.jit.ScriptModule) else vars(module).values()
    for value in (*(b for _, b in module._buffers.items()), *plain):
        # Expanded tensors share their numbers and cannot be written into.
        if not isinstance(value, Tensor) or value.is_quantized or value.layout is not torch.strided:
            continue
        if 0 not in value.stride():
            yield value


@contextlib.contextmanager
def random_state(device: torch.device) -> Iterator[None]:
    """Give back the global random state of torch (CPU and ``device``), NumPy and Python."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextlib.contextmanager
def untouched(networks: Iterable[nn.Module], device: torch.device) -> Iterator[Kept]:
    """Leave networks and the global random state as they were, whatever runs in the block.

    One thread at a time is in such a block; within it, others may be nested.

    Put back: attributes, collections one level deep, parameters, buffers and hooks as objects, the
    numbers of all that a forward may write into (see ``_may_change``), training flags and
    ``requires_grad``. Weight matrices are not copied, which would double the memory.

    Args:
        networks: What may be changed in the block.
        device: Where their inputs live.

    Yields:
        What they were like.
    """
    with one_thread, _put_back(networks, device) as kept:
        yield kept


@contextlib.contextmanager
def _put_back(networks: Iterable[nn.Module], device: torch.device) -> Iterator[Kept]:
    parts = {id(n): [Structure(module) for module in n.modules()] for n in networks}
    all_parts = list({id(p.module): p for found in parts.values() for p in found}.values())
    modules = [part.module for part in all_parts]
    flags = [module.training for module in modules]
    parameters = [p for module in modules for p in _parameters(module)]
    wanted = [p.requires_grad for p in parameters]
    kept = Kept(parts, _Numbers(t for module in modules for t in _may_change(module)))
    try:
        with random_state(device):
            yield kept
    finally:
        for part in all_parts:
            part.restore()
        kept.put_back()
        for module, flag in zip(modules, flags, strict=True):
            if module.training != flag:
                module.training = flag
        for parameter, flag in zip(parameters, wanted, strict=True):
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)


@contextlib.contextmanager
def held(networks: Iterable[nn.Module], device: torch.device) -> Iterator[Kept]:
    """Run networks as sampling does: eval mode, frozen weights, no gradients; untouched after.

    Args:
        networks: What runs in the block.
        device: Where their inputs live.

    Yields:
        What they were like.
    """
    with untouched(networks, device) as kept:
        for part in (part for found in kept.parts.values() for part in found):
            if part.module.training:
                part.module.training = False
            for parameter in _parameters(part.module):
                if parameter.requires_grad:
                    parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.no_grad():
            yield kept
