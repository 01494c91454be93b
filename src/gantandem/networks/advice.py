"""Which adapter makes a refused network fit: tried where it can be, with the line to write."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gantandem.adapt import Adapter, Keyword
from gantandem.adapt.base import sizes_of
from gantandem.networks.lines import SIZES, arguments, lines, looked_up, works

CONDITIONS = ("c", "y", "label", "labels", "class_labels", "classes", "cond", "condition")
"""What published networks call the argument of their condition."""


def for_call(network: nn.Module, role: str, x: Tensor, cond: Tensor | None = None) -> str:
    """Say what to write where a network does not take what it is given.

    Args:
        network: That was refused.
        role: ``"generator"``, or what scores.
        x: (N, ...) latents or samples.
        cond: (N, ...) conditions, or None.

    Returns:
        A sentence to end a message with, or nothing.
    """
    letter = letter_of(role)
    given = (x,) if cond is None else (x, cond)
    wanted = _required(network, len(given)) or looked_up(network, *given)
    missing = [name for name in wanted if name in CONDITIONS]
    if cond is None and missing:
        return (
            f". {_asks(missing[0])} (or adapt.With({letter}, {{{missing[0]!r}: None}}), if it was "
            "trained without)"
        )
    if line := tried(network, role, x, cond):
        return line
    optional = [p.name for one in arguments(network) for p in one if p.name in CONDITIONS]
    if _takes_labels(network, x, wanted):
        if cond is not None:
            return ". It takes labels: pass condition= as integers, one for each id"
        optional = wanted or optional
    if cond is None and optional:
        return f". {_asks(optional[0])}"
    if wanted:
        return (
            f". Its forward asks for {wanted[0]!r} as well: adapt.With({letter}, "
            f"{{{wanted[0]!r}: ...}}) fixes it, adapt.Parts({letter}, (size, size)) cuts it from "
            "the latent"
        )
    if hasattr(network, "pac"):
        return (
            f". Write adapt.Packed({letter}, samples), where samples are one fewer than a pack "
            "holds"
        )
    return ""


def tried(network: nn.Module, role: str, x: Tensor, cond: Tensor | None) -> str:
    """The first line that makes a network take its inputs and give a row for each, or nothing."""
    beside = () if cond is None else (cond,)
    for line, make, width in lines(network, letter_of(role), x, cond):
        z = x if width is None else x.new_zeros(len(x), width)
        if works(lambda make=make, z=z: _rows(make()(z, *beside), len(x))):
            more = "" if width is None or width == x[0].numel() else f" with latent={width}"
            return f". Write {line}{more}"
    return ""


def _rows(value: Any, count: int) -> None:
    """Refuse what holds no tensor with so many rows."""
    tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    if tensors and all(leaf.shape[:1] != (count,) for leaf in tensors):
        raise ValueError("no rows")


def letter_of(role: str) -> str:
    """What lines call a network."""
    return "G" if role == "generator" else "D"


def _asks(name: str) -> str:
    return f"Its forward asks for {name!r}: pass condition=, a label or one for each id"


def _takes_labels(network: nn.Module, x: Tensor, wanted: list[str]) -> bool:
    """Whether what is missing may be a label for each row."""
    labels = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    ways = [network, *(Keyword(network, name) for name in wanted[:1])]
    return any(works(lambda way=way: way(x, labels)) for way in ways)


def shape_hint(generator: nn.Module, z: Tensor, beside: tuple[Tensor, ...]) -> str:
    """Which shape of latents it takes: maps of one pixel, or another size; else nothing."""

    def taken(latents: Tensor) -> bool:
        return works(lambda: _rows(generator(latents, *beside), len(z)))

    size, own = z[0].numel(), generator
    shape = (size, 1, 1)
    if taken(z.reshape(-1, *shape)):
        return f" and takes {(len(z), *shape)}: pass latent={shape}, or Uniform({shape})"
    sizes = list(sizes_of(generator))
    while isinstance(own, Adapter):  # one that cuts latents knows how wide they are
        sizes.insert(0, getattr(own, "columns", size))
        own = own.network
    for other in [other for other in dict.fromkeys(sizes) if other != size][:SIZES]:
        for shape, latent in (((other,), other), ((other, 1, 1), (other, 1, 1))):
            if taken(z.new_zeros(len(z), *shape)):
                return f" and takes {(len(z), *shape)}: pass latent={latent}"
    return ""


def said(error: Exception) -> str:
    """What an error says, or its kind where it says nothing."""
    return (str(error) or type(error).__name__).rstrip(". \n")


def _required(network: nn.Module, given: int) -> list[str]:
    """Names of what a forward must be given beyond so many positions."""
    places, rest = arguments(network)
    left = [*places[given:], *rest]
    return [one.name for one in left if one.default is one.empty]
