"""Which adapter helps where a network's answer is refused: its form, or rows that are not alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.adapt import AgainstBatch, FixedNoise, NoiseFromLatent, With
from gantandem.errors import InputError
from gantandem.networks.advice import letter_of
from gantandem.networks.lines import works

Path = tuple[int | str, ...]
DEPTH = 3
"""So deep nested outputs are looked into."""


def for_rows(network: nn.Module, role: str, inputs: tuple[Tensor, ...], *, noise: bool) -> str:
    """Say what to write where rows mix, or a network draws noise: nothing that was not tried.

    Args:
        network: That was refused.
        role: ``"generator"``, or what scores.
        inputs: (N, ...) each.
        noise: It is hidden noise.

    Returns:
        A sentence to end a message with, or nothing.
    """
    letter, (x, *cond) = letter_of(role), inputs
    lines: list[str] = []
    if noise:
        for name, value in (("noise_mode", "const"), ("randomize_noise", False)):
            with contextlib.suppress(InputError):  # it has no such argument
                fixed = With(network, {name: value})
                if _steady(fixed, inputs):
                    lines.append(f"adapt.With({letter}, {fixed.arguments})")
        if letter == "G" and (columns := _columns(network, x, cond)):
            given = ", condition=labels" if cond else ""
            size = x.shape[1] if x.dim() == 2 else tuple(x.shape[1:])
            line = f"adapt.NoiseFromLatent(G, {size}{given}) with latent={columns}"
            lines.append(f"{line} (the noise becomes a part of the latent)")
        if _steady(FixedNoise(network), inputs):
            lines.append(f"adapt.FixedNoise({letter})")
    elif letter == "D" and works(lambda: AgainstBatch(network, x[:3])(*inputs)):
        lines.append("adapt.AgainstBatch(D, samples), with a few fixed samples")
    return f" Or leave it as it is and write {', or '.join(lines)}." if lines else ""


def _columns(network: nn.Module, x: Tensor, cond: Sequence[Tensor]) -> int:
    """How wide the latents are whose further columns are the noise; 0 where that fails."""
    try:
        return NoiseFromLatent(network, x.shape[1:], None, *cond).columns
    except InputError:
        return 0


def _steady(network: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Whether two calls give the same."""
    try:
        first, again = (network(*(t.clone() for t in inputs)) for _ in range(2))
        return torch.equal(first, again)
    except Exception:  # foreign code
        return False


def for_output(
    value: Any, rows: int, *, scores: bool, accepts: Callable[[Tensor], Any] | None = None
) -> str:
    """Say what to write where a network does not return one tensor of rows, or of scores.

    Args:
        value: What it returned.
        rows: Of its input.
        scores: Whether scores are wanted, or samples.
        accepts: Of samples: raises for those that the discriminator does not take.

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
    fits = _fits if scores else _has_rows
    good = [(path, one) for path, one in _leaves(value) if path and fits(one, rows)]
    # Of scores the smallest, of samples the largest: but first those that D takes.
    good.sort(key=lambda leaf: leaf[1][0].numel() * (1 if scores else -1))
    if accepts is not None:
        good.sort(key=lambda leaf: not works(lambda: accepts(leaf[1])))
    shallow = any(len(path) == 1 for path, _ in good)
    if scores and not shallow and (maps := _maps(value, rows)) is not None:
        return f". Write adapt.Mean({_taken('D', maps)})"
    if good:
        return f". Write {_taken(letter, good[0][0])}"
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


def _taken(line: str, path: Path) -> str:
    """The line that takes one thing out of what a network returns."""
    for name in path:
        line = f"adapt.Item({line}, {name!r})"
    return line


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What lies in nested tuples, dicts and fields, each with the names on the way."""
    items = _items(value) if len(path) < DEPTH else []
    if not items:
        yield path, value
    for name, one in items:
        yield from _leaves(one, (*path, name))


def _maps(value: Any, rows: int) -> Path | None:
    """The way to the first part that holds scores alone, of unlike sizes."""
    for name, one in _items(value):
        leaves = [leaf for _, leaf in _leaves(one)]
        if len(leaves) > 1 and all(_fits(leaf, rows) for leaf in leaves):
            return (name,)
    return None


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
