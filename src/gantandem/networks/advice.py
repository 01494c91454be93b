"""Which adapter makes a refused network fit: tried where it can be, with the line to write."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from gantandem.adapt import (
    Embedded,
    Joined,
    Keyword,
    OneHot,
    OwnType,
    Parts,
    Reshape,
    Twice,
    WithoutCondition,
)

CONDITIONS = ("c", "y", "label", "labels", "class_labels", "classes", "cond", "condition")
"""What published networks call the argument of their condition."""
MOST_CLASSES = 64
"""One-hot vectors of up to so many classes are tried, and of a hundred and a thousand."""

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
    letter = "G" if role == "generator" else "D"
    wanted = _required(network, 1 if cond is None else 2)
    named = [name for name in wanted if name in CONDITIONS]
    if cond is None and named:
        return (
            f". Its forward asks for {named[0]!r}: pass condition=, a label or one for each id "
            f"(or adapt.With({letter}, {{{named[0]!r}: None}}), if it was trained without)"
        )
    for line, make in _lines(network, letter, x, cond, wanted):
        try:
            run(make())
        except Exception:  # foreign code on inputs that it was not made for
            continue
        return f". Write {line}"
    if wanted:
        return (
            f". Its forward asks for {wanted[0]!r} as well: adapt.With({letter}, "
            f"{{{wanted[0]!r}: ...}}) fixes it, adapt.Parts({letter}, (size, size)) cuts it from "
            "the latent"
        )
    if hasattr(network, "pac"):
        return f". Write adapt.Packed({letter}, samples), samples one less than its packs hold"
    return ""


def shape_hint(generator: nn.Module, z: Tensor, beside: tuple[Tensor, ...]) -> str:
    """Which shape of latents it takes, if it takes maps of one pixel; else nothing."""
    shape = (z[0].numel(), 1, 1)
    try:
        generator(z.reshape(-1, *shape), *beside)
    except Exception:  # as above
        return ""
    return f" and takes {(len(z), *shape)}: pass latent={shape}, or Uniform({shape})"


def said(error: Exception) -> str:
    """What an error says, or its kind where it says nothing."""
    return (str(error) or type(error).__name__).rstrip(". \n")


def _required(network: nn.Module, given: int) -> list[str]:
    """Names of what a forward must be given beyond so many positions."""
    places, rest = _arguments(network)
    left = [*places[given:], *rest]
    return [one.name for one in left if one.default is one.empty]


def _arguments(network: nn.Module) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
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
        yield from _conditional(network, letter, cond)
    if letter == "G":
        part = shape[0] if len(shape) == 1 else shape
        yield f"adapt.Parts(G, ({part},), 'list')", lambda: Parts(network, (part,), "list")
    elif wanted:
        yield "adapt.Twice(D)", lambda: Twice(network)
    if len(shape) > 1:
        yield f"adapt.Reshape({letter}, (-1,))", lambda: Reshape(network, (-1,))


def _conditional(network: nn.Module, letter: str, cond: Tensor) -> Iterator[Line]:
    places, rest = _arguments(network)
    for name in (p.name for p in [*places[1:], *rest]):
        yield f"adapt.Keyword({letter}, {name!r})", lambda name=name: Keyword(network, name)
    if isinstance(getattr(network, "shared", None), nn.Module):
        yield f"adapt.Embedded({letter})", lambda: Embedded(network)
    if len(places) + len(rest) == 1:
        joined = Joined(network)
        if cond.is_floating_point():
            yield f"adapt.Joined({letter})", lambda: joined
        else:
            yield from _one_hot(joined, f"adapt.Joined({letter})", cond)
        yield f"adapt.WithoutCondition({letter})", lambda: WithoutCondition(network)
    elif not cond.is_floating_point():
        yield from _one_hot(network, letter, cond)


def _one_hot(network: nn.Module, line: str, labels: Tensor) -> Iterator[Line]:
    if labels.dim() != 1:
        return
    least = int(labels.max()) + 1
    for classes in [*range(least, MOST_CLASSES), 100, 1000]:
        text = f"adapt.OneHot({line}, {classes})"
        yield text, lambda classes=classes: OneHot(network, classes)


def for_output(value: Any, rows: int, *, scores: bool) -> str:
    """Say what to write where a network does not return one tensor of rows, or of scores.

    Args:
        value: What it returned.
        rows: Of its input.
        scores: Whether scores are wanted, or samples.

    Returns:
        A sentence to end a message with, or nothing.
    """
    letter, items = ("D" if scores else "G"), _items(value)
    if scores:
        inner = items and all(isinstance(one, tuple | list) and len(one) for _, one in items)
        if inner and all(_fits(one[-1], rows) for _, one in items):
            whole = all(_fits(part, rows) for _, one in items for part in one)
            return f". Write adapt.Mean(D{'' if whole else ', -1'})"
        if len(items) > 1 and all(_fits(one, rows) for _, one in items):
            return ". Write adapt.Mean(D) if all are scores, adapt.Item(D, 0) if one is"
    good = [name for name, one in items if (_fits(one, rows) if scores else _has_rows(one, rows))]
    if good:
        return f". Write adapt.Item({letter}, {good[0]!r})"
    if items and scores:
        return f". Write adapt.Item(D, {items[0][0]!r}) for the one that is the score"
    if scores and isinstance(value, Tensor) and value.dim():
        if len(value) and rows % len(value) == 0 and len(value) < rows:
            return f". If it scores packs of {rows // len(value)}: write adapt.Packed(D, samples)"
        if value.dim() > 1 and len(value) == rows:
            return (
                ". Write adapt.Mean(D) if these are patches, adapt.LogOdds(D) if they are "
                "classes, adapt.ByLabel(D) if there is one for each label"
            )
    return ""


def _items(value: Any) -> list[tuple[int | str, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    if isinstance(value, Tensor):
        return []
    return list(getattr(value, "__dict__", {}).items())


def _has_rows(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0 and len(value) == rows


def _fits(value: Any, rows: int) -> bool:
    """Whether something is shaped as scores are."""
    return _has_rows(value, rows) and (value.dim() == 1 or value.shape[1] == 1)
