"""Which adapter helps where a network's answer is refused: its form, or rows that are not alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.adapt import AgainstBatch, FixedNoise, NoiseFromLatent, With
from gantandem.networks.advice import arguments, letter_of, works


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
        names = [p.name for one in arguments(network) for p in one]
        for name, value in (("noise_mode", "const"), ("randomize_noise", False)):
            fixed = With(network, {name: value})
            if name in names and _steady(fixed, inputs):
                lines.append(f"adapt.With({letter}, {fixed.arguments})")
        if letter == "G" and works(lambda: NoiseFromLatent(network, x.shape[1:], None, *cond)):
            given = ", condition=labels" if cond else ""
            size = x.shape[1] if x.dim() == 2 else tuple(x.shape[1:])
            line = f"G = adapt.NoiseFromLatent(G, {size}{given}) with latent=G.columns"
            lines.append(f"{line} (the noise becomes a part of the latent)")
        if _steady(FixedNoise(network), inputs):
            lines.append(f"adapt.FixedNoise({letter})")
    elif letter == "D" and works(lambda: AgainstBatch(network, x[:3])(*inputs)):
        lines.append("adapt.AgainstBatch(D, samples), a few samples that are kept")
    return f" Or leave it as it is and write {', or '.join(lines)}." if lines else ""


def _steady(network: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Whether two calls give the same."""
    try:
        first, again = (network(*(t.clone() for t in inputs)) for _ in range(2))
        return torch.equal(first, again)
    except Exception:  # foreign code
        return False


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
    fits = _fits if scores else _has_rows
    good = {name: one[0].numel() for name, one in items if fits(one, rows)}
    if good:  # of scores the smallest, of samples the largest
        chosen = (min if scores else max)(good, key=lambda name: good[name])
        return f". Write adapt.Item({letter}, {chosen!r})"
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
