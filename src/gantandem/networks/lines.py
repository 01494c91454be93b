"""Lines that may make a network fit: an adapter each, to be tried."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn

from gantandem.adapt import (
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
from gantandem.adapt.base import sizes_of

MOST_CLASSES = 64
"""One-hot vectors of up to so many classes are tried, and of a hundred and a thousand."""
SIZES = 4
"""So many sizes of latents are tried."""
PARTS = 4
"""A latent is cut into so many parts at most."""


class Line(NamedTuple):
    """What may be written, what makes it, and how wide latents are for it (None: as they are)."""

    text: str
    make: Callable[[], nn.Module]
    width: int | None = None


def works(call: Callable[[], Any]) -> bool:
    """Whether a call raises nothing."""
    try:
        call()
    except Exception:  # foreign code on inputs that it was not made for
        return False
    return True


class _Asked(dict[str, Any]):
    """A dict that holds whatever is asked for, and notes the names: first come, first served."""

    def __init__(self, *values: Any) -> None:
        super().__init__()
        self.left = list(values)

    def __missing__(self, key: str) -> Any:
        self[key] = self.left.pop(0)
        return self[key]


def arguments(network: nn.Module) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """What a forward takes: by place, and by keyword alone."""
    try:
        every = inspect.signature(network.forward).parameters.values()
    except (TypeError, ValueError):
        return [], []
    places = [p for p in every if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return places, [p for p in every if p.kind is p.KEYWORD_ONLY]


def looked_up(network: nn.Module, *given: Any) -> list[str]:
    """The name of the keyword that a forward with ``**others`` looks up and misses."""
    try:
        every = inspect.signature(network.forward).parameters.values()
        if any(one.kind is one.VAR_KEYWORD for one in every):
            network(*given)
    except KeyError as error:
        return [error.args[0]] if error.args and isinstance(error.args[0], str) else []
    except Exception:  # foreign code
        return []
    return []


def lines(network: nn.Module, letter: str, x: Tensor, cond: Tensor | None) -> Iterator[Line]:
    """Lines that may help, the likeliest first.

    Args:
        network: That does not take its inputs.
        letter: What lines call it, ``"G"`` or ``"D"``.
        x: (N, ...) latents or samples.
        cond: (N, ...) conditions, or None.
    """
    shape = tuple(x.shape[1:])
    kinds = {p.dtype for p in network.parameters() if p.is_floating_point()}
    if kinds and x.dtype not in kinds:
        yield Line(f"adapt.OwnType({letter})", lambda: OwnType(network))
    if cond is not None:
        yield from _conditional(network, letter, x, cond)
    part = shape[0] if len(shape) == 1 else shape
    if letter == "G":
        yield Line(f"adapt.Parts(G, ({part},), 'list')", lambda: Parts(network, (part,), "list"))
    places, rest = arguments(network)
    alone = [p.name for p in rest] or looked_up(network)
    if not places and len(alone) == 1:
        named = {alone[0]: part}
        yield Line(f"adapt.Parts({letter}, {named})", lambda: Parts(network, named))
    given = 1 if cond is None else 2
    wanted = [p.name for p in [*places[given:], *rest] if p.default is p.empty]
    if wanted:
        nothing = dict.fromkeys(wanted)
        yield Line(f"adapt.With({letter}, {nothing})", lambda: With(network, nothing))
        if letter == "D":
            yield Line("adapt.Twice(D)", lambda: Twice(network))
    if len(shape) > 1:
        yield Line(f"adapt.Reshape({letter}, (-1,))", lambda: Reshape(network, (-1,)))
    if letter == "G":
        yield from _cut(network, x, bool(wanted))


def _cut(network: nn.Module, x: Tensor, several: bool) -> Iterator[Line]:
    """A latent cut in parts: arguments, a list or a dict of them; the sizes are guessed."""
    width = x[0].numel()
    asked = _Asked(*[x] * PARTS)
    works(lambda: network(asked))
    names = [name for name in asked if isinstance(name, str)]
    sizes = list(dict.fromkeys([width, *sizes_of(network)]))[:SIZES]
    cuts = [*itertools.product(sizes, repeat=2), *((n,) * k for k in (3, PARTS) for n in sizes)]
    if names:
        cuts = [cut for cut in [(n,) for n in sizes] + cuts if len(cut) == len(names)]
    for cut in sorted(cuts, key=lambda cut: sum(cut) != width):
        shapes: Any = dict(zip(names, cut, strict=True)) if names else cut
        ways: list[Any] = ["dict"] if names else ["arguments"] * several + ["list"]
        for how in ways:
            text = f"adapt.Parts(G, {shapes}{'' if how == 'arguments' else f', {how!r}'})"
            make = functools.partial(Parts, network, shapes, how)
            yield Line(text, make, sum(cut))


def _conditional(network: nn.Module, letter: str, x: Tensor, cond: Tensor) -> Iterator[Line]:
    places, rest = arguments(network)
    for name in [*(p.name for p in [*places[1:], *rest]), *looked_up(network, x)]:
        yield Line(f"adapt.Keyword({letter}, {name!r})", lambda name=name: Keyword(network, name))
    if not places:
        for name, own in itertools.permutations([p.name for p in rest], 2):
            text = f"adapt.Keyword({letter}, {name!r}, {own!r})"
            yield Line(text, lambda name=name, own=own: Keyword(network, name, own))
    if isinstance(getattr(network, "shared", None), nn.Module):
        yield Line(f"adapt.Embedded({letter})", lambda: Embedded(network))
    yield from _in_dicts(network, letter, x, cond, len(places))
    if len(places) + len(rest) == 1:
        joined = Joined(network)
        if cond.is_floating_point():
            yield Line(f"adapt.Joined({letter})", lambda: joined)
        else:
            for line in _one_hot(joined, f"adapt.Joined({letter})", cond):
                yield line
                if x.dim() > 2:
                    flat = lambda line=line: Reshape(line.make(), (-1,))  # noqa: E731
                    yield Line(f"adapt.Reshape({line.text}, (-1,))", flat)
        yield Line(f"adapt.WithoutCondition({letter})", lambda: WithoutCondition(network))
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
            yield Line(f"adapt.AsDict({letter}, {key!r})", lambda: AsDict(network, key))
        return
    for both, turned in ((_Asked(x, cond), False), (_Asked(cond, x), True)):
        if works(lambda both=both: network(both)) and len(both) == 2:
            one, other = list(both)[::-1] if turned else list(both)
            line = f"adapt.AsDict({letter}, {other!r}, {one!r})"
            yield Line(line, lambda one=one, other=other: AsDict(network, other, one))


def _one_hot(network: nn.Module, line: str, labels: Tensor) -> Iterator[Line]:
    if labels.dim() != 1:
        return
    least = int(labels.max()) + 1
    for classes in [*range(least, MOST_CLASSES), 100, 1000]:
        text = f"adapt.OneHot({line}, {classes})"
        yield Line(text, lambda classes=classes: OneHot(network, classes))
