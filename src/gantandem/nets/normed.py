"""Weights computed from others (spectral and weight norm), from one form into another, exactly.

The forms, with ``X`` a layer's name:

* spectral norm, old torch: ``X.weight_orig``, ``X.weight_u``, ``X.weight_v``
* spectral norm, torch: ``X.parametrizations.weight.original``, ``X.parametrizations.weight.0._u``,
  ``X.parametrizations.weight.0._v``
* spectral norm, mimicry's own: ``X.weight``, ``X.sn_u``, ``X.sn_sigma``
* spectral norm, BigGAN's: ``X.weight``, ``X.u0``, ``X.sv0``
* weight norm, old torch: ``X.weight_g``, ``X.weight_v``
* weight norm, torch: ``X.parametrizations.weight.original0``, ``...original1``

In eval mode torch divides by u W v of the vectors at hand; the other two make one step of the power
iteration from u, which they keep, and divide by what it gives.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]

_OLD = ("weight_orig", "weight_u", "weight_v")
_NEW = (
    "parametrizations.weight.original",
    "parametrizations.weight.0._u",
    "parametrizations.weight.0._v",
)
_STEPPED = {"sn_u": "sn_sigma", "u0": "sv0"}
_NORMS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)


def normalised(state: Mapping[str, Tensor], like: Mapping[str, Tensor] | None = None) -> State:
    """Put the weights of a file into the form of a network.

    Args:
        state: Names and weights, as a file has them.
        like: Those of the network. A layer whose form is the file's stays; one that has the
            other form of torch is translated; any other is given the weight that it computes in
            eval mode. None gives every layer this weight.

    Returns:
        New names and weights.
    """
    like = like or {}
    new = dict(state)
    for orig, u, v in _layers(state):
        here = orig.removesuffix("weight_orig").removesuffix(_NEW[0]).removesuffix("weight")
        if orig in like and u in like:
            continue
        weight, left = _full(state[orig]), _full(state[u]).flatten()
        right = None if v is None else _full(state[v]).flatten()
        rows = _rows(weight, left, right)
        if rows is None:  # sizes that do not belong together: a difference to be told
            continue
        if right is None:
            right = F.normalize(left @ rows, dim=0)
            left = F.normalize(rows @ right, dim=0)
        spare = [name for name in (orig, u, v) if name] + [
            here + value
            for key, value in _STEPPED.items()
            if u == here + key and here + value in state
        ]
        for name in spare:
            del new[name]
        form = next((form for form in (_OLD, _NEW) if here + form[0] in like), None)
        if form:
            new.update(zip((here + name for name in form), (weight, left, right), strict=True))
        else:
            new[f"{here}weight"] = weight / (left @ (rows @ right))
    return _weight_norms(new, like)


def _weight_norms(state: State, like: Mapping[str, Tensor]) -> State:
    new = dict(state)
    for size, direction in _NORMS:
        for name in [name for name in state if name.endswith(size)]:
            here = name.removesuffix(size)
            if name in like or here + direction not in state:
                continue
            lengths, arrows = _full(new.pop(name)), _full(new.pop(here + direction))
            form = next((form for form in _NORMS if here + form[0] in like), None)
            if form:
                new.update({here + form[0]: lengths, here + form[1]: arrows})
            else:
                new[f"{here}weight"] = _of_length(arrows, lengths)
    return new


def _layers(state: Mapping[str, Tensor]) -> list[tuple[str, str, str | None]]:
    """Names of W, u and v of every layer with spectral norm; no v where it is not kept."""
    found: list[tuple[str, str, str | None]] = []
    for name in state:
        for orig, u, v in (_OLD, _NEW):
            here = name.removesuffix(orig)
            if here != name and here + u in state and here + v in state:
                found.append((name, here + u, here + v))
        head, _, last = name.rpartition(".")
        weight = f"{head}.weight" if head else "weight"
        if last in _STEPPED and weight in state:
            found.append((weight, name, None))
    return found


def _rows(weight: Tensor, left: Tensor, right: Tensor | None) -> Tensor | None:
    """The weight as the matrix whose singular vectors are kept; None if they do not suit it.

    Its rows are the outputs, which are the second axis of a transposed convolution: of the two
    readings that suit the sizes, the one in which the vectors belong together.
    """
    readings = [weight, weight.transpose(0, 1)] if weight.dim() > 2 else [weight]
    matrices = [w.flatten(1) for w in readings if w.dim() > 1 and w.size(0) == len(left)]
    if right is None:
        return matrices[0] if matrices else None
    matrices = [rows for rows in matrices if rows.size(1) == len(right)]
    return max(matrices, key=lambda rows: float((left @ (rows @ right)).abs()), default=None)


def _of_length(arrows: Tensor, lengths: Tensor) -> Tensor:
    axes = [axis for axis, size in enumerate(lengths.shape) if size == 1]
    return arrows * (lengths / torch.linalg.vector_norm(arrows, dim=axes, keepdim=True))


def _full(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
