"""Does a row of a network's output depend on anything but its own input row?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gantandem.errors import InputError
from gantandem.networks.answers import for_rows
from gantandem.networks.devices import deterministic
from gantandem.networks.held import held

# Both runs compared have one batch shape, so honest rows agree to rounding of the same kernels.
TOLERANCE = 1e-4

_MIXES = (
    "mixes the rows of a batch: its output for a row changes with the other rows of the batch, "
    "so a sample would depend on the others"
)
_NOISE = (
    "gives two outputs for one input: it draws noise of its own or keeps a hidden state, so a "
    "sample would not be a function of its latent and seed"
)


def close(a: Tensor, b: Tensor, rtol: float) -> bool:
    """Say whether two tensors of one shape agree to `rtol` times the largest finite |b|."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not (a.is_floating_point() or a.is_complex()):
        return torch.equal(a, b)
    size = b.abs()
    size = size[torch.isfinite(size)]
    scale = float(size.max()) if size.numel() else 0.0
    return torch.allclose(a, b, rtol=0.0, atol=rtol * scale, equal_nan=True)


def check_rows(
    module_call: Callable[..., Any], module: nn.Module, inputs: tuple[Tensor, ...], what: str
) -> None:
    """Refuse a network whose output rows depend on their companions or on hidden noise.

    The network runs twice on the same batch, then once with every other row exchanged; the rows
    that were kept must agree. Only when they do not is it run again with hooks, to name the layer:
    the first one to finish whose inputs agree and whose outputs do not.

    Args:
        module_call: Called as ``module_call(*inputs)``; runs `module`.
        module: The network; put in eval mode for the check, and left as found.
        inputs: Tensors of shape (N, ...), N >= 4, with rows that differ.
        what: The network's role in messages, such as ``"generator"``.

    Raises:
        InputError: If rows mix or noise is hidden, naming the layer; or if N < 4.
    """
    n = len(inputs[0])
    if n < 4 or any(len(t) != n for t in inputs):
        raise InputError(
            f"{what}: the row check needs inputs with one number of rows, at least 4; got "
            f"{[len(t) for t in inputs]}"
        )
    # Rows with an even number of set bits: no run and no stride of 2, 4, 8, ... rows is kept or
    # exchanged as a whole, so statistics over groups of rows show too.
    even = torch.tensor([row.bit_count() % 2 == 0 for row in range(n)])
    kept = even.nonzero().squeeze(1)
    source = torch.arange(n)
    source[~even] = kept[torch.arange(n - len(kept)) % len(kept)]
    kept, source = kept.to(inputs[0].device), source.to(inputs[0].device)
    exchanged = tuple(t[source.to(t.device)] for t in inputs)

    def run(values: tuple[Tensor, ...]) -> Any:
        return module_call(*(t.clone() for t in values))

    with held([module], inputs[0].device), deterministic():
        first, again = _snapshot(run(inputs), n), _snapshot(run(inputs), n)
        if not _same(first, again):
            same = _watch(run, module, inputs, n), _watch(run, module, inputs, n)
            advice = for_rows(module, what, inputs, noise=True)
            raise InputError(_message(what, module, _culprit(*same), _NOISE) + advice)
        first = _snapshot(run(inputs), n, kept)
        if not _same(first, _snapshot(run(exchanged), n, kept)):
            calls = _watch(run, module, inputs, n, kept), _watch(run, module, exchanged, n, kept)
            advice = for_rows(module, what, inputs, noise=False)
            raise InputError(_message(what, module, _culprit(*calls), _MIXES) + advice)


@dataclass(frozen=True)
class _Call:
    name: str
    module: nn.Module
    inputs: list[Tensor | None]
    outputs: list[Tensor | None]


def _snapshot(value: Any, n: int, kept: Tensor | None = None) -> list[Tensor | None]:
    """Copy the tensors of a value: the kept rows, the whole of what has no rows, else None."""

    def rows(t: Tensor) -> Tensor | None:
        if kept is None:
            return t.detach().clone()
        if t.ndim and len(t) == n:
            return t.detach()[kept.to(t.device)]
        folded = any(size % n == 0 for size in t.shape)  # rows inside another axis: cannot tell
        return None if folded else t.detach().clone()

    return [rows(t) for t in tree_leaves(value) if isinstance(t, Tensor)]


def _same(a: list[Tensor | None], b: list[Tensor | None]) -> bool:
    return len(a) == len(b) and all(
        x is None or y is None or close(x, y, TOLERANCE) for x, y in zip(a, b, strict=True)
    )


def _watch(
    run: Callable[[tuple[Tensor, ...]], Any],
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    n: int,
    kept: Tensor | None = None,
) -> list[_Call]:
    """Record every module call of one run, in the order in which calls finish."""
    calls: list[_Call] = []
    open_inputs: list[list[Tensor | None]] = []
    handles = []

    def hook(name: str, part: nn.Module) -> None:
        # Inputs are copied before the call, which may overwrite them.
        def before(_: nn.Module, args: Any, kwargs: Any) -> None:
            open_inputs.append(_snapshot((args, kwargs), n, kept))

        def after(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            calls.append(_Call(name, part, open_inputs.pop(), _snapshot(output, n, kept)))

        handles.append(part.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(part.register_forward_hook(after, with_kwargs=True))

    try:
        for name, part in module.named_modules():
            hook(name, part)
        run(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _culprit(a: list[_Call], b: list[_Call]) -> _Call | None:
    for x, y in zip(a, b, strict=False):
        if x.module is not y.module:
            return None
        if _same(x.inputs, y.inputs) and not _same(x.outputs, y.outputs):
            return x
    return None


def _message(what: str, module: nn.Module, culprit: _Call | None, fault: str) -> str:
    if culprit is None or culprit.module is module:
        own = "Rewrite that part of forward to treat each row by itself."
        return (
            f"{what}: {type(module).__name__}, in its own forward rather than in one of its "
            f"layers, {fault}. {_remedy(module, fault) if fault is _NOISE else own}"
        )
    kind = type(culprit.module).__name__
    return f"{what}: layer {culprit.name!r} ({kind}) {fault}. {_remedy(culprit.module, fault)}"


def _remedy(module: nn.Module, fault: str) -> str:
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return (
            "Give it running statistics (track_running_stats=True, trained or re-estimated on "
            "a few batches) so that eval mode uses them."
        )
    if fault is _NOISE:
        return (
            "Make it deterministic in eval mode: F.dropout(..., training=self.training), noise "
            "kept in a buffer or fed from the latent, state updated only while training."
        )
    return (
        "Replace it by a layer that treats each row by itself, for example with statistics "
        "stored while training, or remove it and fine-tune."
    )
