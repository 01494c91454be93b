"""Which adapter makes a refused network fit: tried where it can be, with the line to write."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.adapt import (
    Adapter,
    AsDict,
    Embedded,
    Joined,
    Keyword,
    OneHot,
    OwnType,
    Parts,
    Reshape,
    Twice,
    With,
    WithoutCondition,
)

CONDITIONS = ("c", "y", "label", "labels", "class_labels", "classes", "cond", "condition")
"""What published networks call the argument of their condition."""
MOST_CLASSES = 64
"""One-hot vectors of up to so many classes are tried, and of a hundred and a thousand."""
SIZES = 4
"""So many sizes of latents are tried."""

Line = tuple[str, Callable[[], nn.Module]]


def for_call(
    network: nn.Module, role: str, run: Callable[[nn.Module], Any], x: Tensor, cond: Tensor | None
) -> str:
    """Say what to write where a network does not take what it is given.

    Args:
        network: That was refused.
        role: ``"generator"``, or what scores.
        run: Calls a network on the same inputs; raises if it does not take them.
        x: (N, ...) latents or samples.
        cond: (N, ...) conditions, or None.

    Returns:
        A sentence to end a message with, or nothing.
    """
    letter = letter_of(role)
    wanted = _required(network, 1 if cond is None else 2)
    missing = [name for name in wanted if name in CONDITIONS]
    if cond is None and missing:
        return (
            f". {_asks(missing[0])} (or adapt.With({letter}, {{{missing[0]!r}: None}}), if it was "
            "trained without)"
        )
    for line, make in _lines(network, letter, x, cond, wanted):
        if works(lambda make=make: run(make())):
            return f". Write {line}"
    if cond is not None and works(lambda: run(_Labelled(network))):
        return ". It takes labels: pass condition= as integers, one for each id"
    every = [p.name for one in arguments(network) for p in one if p.name in CONDITIONS]
    if cond is None and every:
        return f". {_asks(every[0])}"
    if wanted:
        return (
            f". Its forward asks for {wanted[0]!r} as well: adapt.With({letter}, "
            f"{{{wanted[0]!r}: ...}}) fixes it, adapt.Parts({letter}, (size, size)) cuts it from "
            "the latent"
        )
    if hasattr(network, "pac"):
        return f". Write adapt.Packed({letter}, samples), samples one less than its packs hold"
    return ""


def letter_of(role: str) -> str:
    """What lines call a network."""
    return "G" if role == "generator" else "D"


def _asks(name: str) -> str:
    return f"Its forward asks for {name!r}: pass condition=, a label or one for each id"


def works(call: Callable[[], Any]) -> bool:
    """Whether a call raises nothing."""
    try:
        call()
    except Exception:  # foreign code on inputs that it was not made for
        return False
    return True


class _Labelled(Adapter):
    """Given the label 0 whatever the condition."""

    def forward(self, x: Tensor, *_: Any) -> Any:
        return self.network(x, torch.zeros(len(x), dtype=torch.int64, device=x.device))


class _Asked(dict[str, Any]):
    """A dict that holds whatever is asked for, and notes the names: first come, first served."""

    def __init__(self, *values: Any) -> None:
        super().__init__()
        self.left = list(values)

    def __missing__(self, key: str) -> Any:
        self[key] = self.left.pop(0)
        return self[key]


def shape_hint(generator: nn.Module, z: Tensor, beside: tuple[Tensor, ...]) -> str:
    """Which shape of latents it takes: maps of one pixel, or another size; else nothing."""
    size = z[0].numel()
    shape = (size, 1, 1)
    if works(lambda: generator(z.reshape(-1, *shape), *beside)):
        return f" and takes {(len(z), *shape)}: pass latent={shape}, or Uniform({shape})"
    others = [other for other in dict.fromkeys(_sizes(generator)) if other != size]
    for other in others[:SIZES]:
        for shape, latent in (((other,), other), ((other, 1, 1), (other, 1, 1))):
            if works(lambda s=shape: generator(z.new_zeros(len(z), *s), *beside)):
                return f" and takes {(len(z), *shape)}: pass latent={latent}"
    return ""


def _sizes(network: nn.Module) -> Iterator[int]:
    """Of what the layers take, in their order."""
    for module in network.modules():
        size = getattr(module, "in_features", getattr(module, "in_channels", None))
        if isinstance(size, int):
            yield size


def said(error: Exception) -> str:
    """What an error says, or its kind where it says nothing."""
    return (str(error) or type(error).__name__).rstrip(". \n")


def _required(network: nn.Module, given: int) -> list[str]:
    """Names of what a forward must be given beyond so many positions."""
    places, rest = arguments(network)
    left = [*places[given:], *rest]
    return [one.name for one in left if one.default is one.empty]


def arguments(network: nn.Module) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """What a forward takes: by place, and by keyword alone."""
    try:
        every = inspect.signature(network.forward).parameters.values()
    except (TypeError, ValueError):
        return [], []
    places = [p for p in every if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return places, [p for p in every if p.kind is p.KEYWORD_ONLY]


def _lines(
    network: nn.Module, letter: str, x: Tensor, cond: Tensor | None, wanted: list[str]
) -> Iterator[Line]:
    shape = tuple(x.shape[1:])
    kinds = {p.dtype for p in network.parameters() if p.is_floating_point()}
    if kinds and x.dtype not in kinds:
        yield f"adapt.OwnType({letter})", lambda: OwnType(network)
    if cond is not None:
        yield from _conditional(network, letter, x, cond)
    part = shape[0] if len(shape) == 1 else shape
    if letter == "G":
        yield f"adapt.Parts(G, ({part},), 'list')", lambda: Parts(network, (part,), "list")
    places, rest = arguments(network)
    if not places and len(rest) == 1:
        named = {rest[0].name: part}
        yield f"adapt.Parts({letter}, {named})", lambda: Parts(network, named)
    if wanted:
        nothing = dict.fromkeys(wanted)
        yield f"adapt.With({letter}, {nothing})", lambda: With(network, nothing)
        if letter == "D":
            yield "adapt.Twice(D)", lambda: Twice(network)
    if len(shape) > 1:
        yield f"adapt.Reshape({letter}, (-1,))", lambda: Reshape(network, (-1,))


def _conditional(network: nn.Module, letter: str, x: Tensor, cond: Tensor) -> Iterator[Line]:
    places, rest = arguments(network)
    for name in (p.name for p in [*places[1:], *rest]):
        yield f"adapt.Keyword({letter}, {name!r})", lambda name=name: Keyword(network, name)
    if isinstance(getattr(network, "shared", None), nn.Module):
        yield f"adapt.Embedded({letter})", lambda: Embedded(network)
    yield from _in_dicts(network, letter, x, cond, len(places))
    if len(places) + len(rest) == 1:
        joined = Joined(network)
        if cond.is_floating_point():
            yield f"adapt.Joined({letter})", lambda: joined
        else:
            for line, make in _one_hot(joined, f"adapt.Joined({letter})", cond):
                yield line, make
                if x.dim() > 2:
                    flat = lambda make=make: Reshape(make(), (-1,))  # noqa: E731
                    yield f"adapt.Reshape({line}, (-1,))", flat
        yield f"adapt.WithoutCondition({letter})", lambda: WithoutCondition(network)
    elif not cond.is_floating_point():
        yield from _one_hot(network, letter, cond)


def _in_dicts(
    network: nn.Module, letter: str, x: Tensor, cond: Tensor, places: int
) -> Iterator[Line]:
    """Adapters by the keys that the network asks for, of one dict of all or of the condition's."""
    if places > 1:
        beside = _Asked(cond)
        if works(lambda: network(x, beside)) and beside:
            (key,) = beside
            yield f"adapt.AsDict({letter}, {key!r})", lambda: AsDict(network, key)
        return
    for both, turned in ((_Asked(x, cond), False), (_Asked(cond, x), True)):
        if works(lambda both=both: network(both)) and len(both) == 2:
            one, other = list(both)[::-1] if turned else list(both)
            line = f"adapt.AsDict({letter}, {other!r}, {one!r})"
            yield line, lambda one=one, other=other: AsDict(network, other, one)


def _one_hot(network: nn.Module, line: str, labels: Tensor) -> Iterator[Line]:
    if labels.dim() != 1:
        return
    least = int(labels.max()) + 1
    for classes in [*range(least, MOST_CLASSES), 100, 1000]:
        text = f"adapt.OneHot({line}, {classes})"
        yield text, lambda classes=classes: OneHot(network, classes)
