"""The layers of a generator that can be refined, and what refining each would cost."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from gantandem.adapt.base import bare
from gantandem.data.matching import WIDE
from gantandem.errors import CutError, InputError
from gantandem.networks.counting import Operations, operations
from gantandem.progress import track
from gantandem.settings import show

if TYPE_CHECKING:
    from gantandem.gan import GAN
    from gantandem.networks.cut import Cut
    from gantandem.networks.networks import Networks

ROWS = 4
"""Samples that a layer is tried on; memory is read off the difference to twice as many."""
SMALL, HELD = 4096, 2**31
"""Of samples of more values as many go through the networks together as keep so many bytes."""


class Layer(NamedTuple):
    """A layer that ``refine(layer=...)`` takes.

    Args:
        name: Of the module, or ``"latent"`` or ``"data"``.
        kind: Class of the module; empty for latent and data.
        shape: Of the activation of one sample.
        tail: Share of the generator's cost in the part after it, from 0 to 1: counted in
            multiplications of matrices and in convolutions.
        memory: Bytes that a step of refinement keeps for one lane: counted, the activations of
            the tail and of the discriminator that the gradient needs.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    tail: float
    memory: int


def layers(gan: GAN, *, progress: bool | None = None) -> list[Layer]:
    """The layers of a generator that can be refined, in the order in which they run.

    Of modules with one and the same output the outermost is named.

    Args:
        gan: Its generator is cut at every module in turn.
        progress: Show a progress bar.

    Example:
        >>> from gantandem.testing import toy_gan
        >>> [(one.name, one.shape) for one in layers(toy_gan())]
        [('latent', (2,)), ('0', (16,)), ('1', (16,)), ('data', (2,))]
    """
    if isinstance(gan, type) or not hasattr(gan, "networks"):  # its class lies above this
        raise InputError(f"layers gan: got {show(gan)}, allowed is a GAN")
    modules = dict(bare(gan.generator).named_modules())
    names = ["latent", "data", *(name for name in modules if name not in ("", "latent", "data"))]
    networks = gan.networks
    z, cond = networks.examples()
    z = z[: 2 * ROWS]
    cond = None if cond is None else cond[: 2 * ROWS]
    seen: list[Tensor] = []
    found: list[Layer] = []
    with networks.frozen(), track(len(names), "layers", progress) as advance:
        whole = max(
            1, operations(lambda: networks.generator(z, *(() if cond is None else (cond,))))
        )
        for name in names:
            advance(1)
            try:
                cut = networks.cut(name, nearest=False)
            except CutError:
                continue
            h, carry = cut.head(z, cond)
            if any(h.shape == one.shape and torch.equal(h, one) for one in seen):
                continue
            seen.append(h)
            cost = operations(functools.partial(cut.tail, h, carry, cond))
            kept = _memory(gan, cut, z, cond)
            kind = type(modules[name]).__name__ if name in modules else ""
            found.append(Layer(name, kind, tuple(h.shape[1:]), cost / whole, kept))
    data = [one for one in found if one.name == "data"]
    own = [one for one in found if one.name != "data"]
    return sorted(own, key=operator.attrgetter("tail"), reverse=True) + data


def middle(gan: GAN) -> str | None:
    """The layer nearest to the middle of the generator's cost; None of points and small tables."""
    networks = gan.networks
    z, cond = networks.examples()
    z, cond = z[:ROWS], None if cond is None else cond[:ROWS]
    ends: list[tuple[str, int]] = []
    with networks.frozen():
        if networks.decode(z, cond)[0].numel() < WIDE:
            return None
        with torch.no_grad(), Operations() as counter, contextlib.ExitStack() as end:

            def note(name: str) -> Callable[..., None]:
                return lambda *_: ends.append((name, counter.total))

            for name, module in bare(gan.generator).named_modules():
                if name:
                    end.callback(module.register_forward_hook(note(name)).remove)
            networks.decode(z, cond)
        half = counter.total / 2
        # Of layers that end alike the last one is tried first: a block before what is in it.
        for name, _ in sorted(reversed(ends), key=lambda one: abs(one[1] - half)):
            with contextlib.suppress(CutError):
                networks.cut(name, nearest=False)
                return name
    return None


def _memory(gan: GAN, cut: Cut, z: Tensor, cond: Tensor | None) -> int:
    few, many = (
        _kept(gan, cut, z[:n], None if cond is None else cond[:n]) for n in (ROWS, 2 * ROWS)
    )
    return (many - few) // ROWS


def at_once(networks: Networks, layer: str, most: int) -> int:
    """How many rows may go through the networks together: so many that they keep 2 GiB or less.

    It is counted on one row, as for :class:`Layer`, so that every machine finds the same.

    Args:
        networks: The generator, and what is followed.
        layer: Where the gradient is taken.
        most: Rows of small samples, of which nothing is counted.

    Returns:
        ``most``, or a power of two below it.
    """
    with networks.frozen():
        z, cond = networks.examples(1)
        if networks.decode(z, cond)[0].numel() <= SMALL:
            return most
        rows = HELD // max(1, _kept(networks, networks.cut(layer), z, cond))
    return most if rows >= most else 1 << max(0, rows.bit_length() - 1)


def _kept(networks: GAN | Networks, cut: Cut, z: Tensor, cond: Tensor | None) -> int:
    """Bytes of everything that a gradient of the tail and of the guide needs."""
    sizes: dict[tuple[int, int], int] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        sizes[storage.data_ptr(), storage.nbytes()] = storage.nbytes()
        return value

    h, carry = cut.head(z, cond)
    leaf = h.detach().clone().requires_grad_()
    for value in (leaf, *carry):
        pack(value)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        x = cut.tail(leaf, tuple(one.detach() for one in carry), cond)
        score = None if networks.guide is None else networks.guide(x, cond)
    del x, score  # until here the graph held what it saved, so that no place was used twice
    return sum(sizes.values())
