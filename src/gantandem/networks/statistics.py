"""Statistics that layers keep for eval mode: were they ever filled, and how to fill them anew."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from gantandem.errors import InputError
from gantandem.nets.copying import copy_network

logger = logging.getLogger(__name__)

Batch = Tensor | Sequence[Tensor]
Kept = tuple[str, nn.Module, str]

_PREFIXES = ("running_", "moving_", "stored_")
_NormBase = nn.modules.batchnorm._NormBase
_SETTLED = 100
"""Steps of power iteration after which a spectral norm is taken to be known."""


def kept_statistics(network: nn.Module) -> Iterator[Kept]:
    """Every layer with a mean and a variance of its own: name, layer, the buffers' prefix.

    Found by its buffers (``running_mean`` and ``running_var``; or ``moving_``, ``stored_``), so
    that layers of one's own count beside BatchNorm and InstanceNorm.
    """
    for name, layer in network.named_modules():
        buffers = dict(layer.named_buffers(recurse=False))
        for prefix in _PREFIXES:
            pair = [buffers.get(prefix + which) for which in ("mean", "var")]
            if all(value is not None and not is_lazy(value) for value in pair):
                yield name, layer, prefix


def unfilled(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers whose statistics nothing ever filled, by name.

    Of a normalisation: every mean 0, every variance 1, no batch counted. Of a spectral norm: its
    vectors say less than half the norm.
    """
    found = []
    for name, layer, prefix in kept_statistics(network):
        mean, var = (getattr(layer, prefix + which) for which in ("mean", "var"))
        counted = getattr(layer, "num_batches_tracked", None)
        initial = bool((mean == 0).all()) and bool((var == 1).all())
        if initial and (counted is None or int(counted) == 0):
            found.append((name, layer))
    for name, layer, weight, u, v in _spectral_norms(network):
        claimed = torch.dot(u, weight @ v)
        u, v = _power(weight, u, v, steps=10)
        if not bool(claimed > 0.5 * torch.dot(u, weight @ v)):
            found.append((name, layer))
    return found


def warn_unfilled(network: nn.Module | None, what: str) -> None:
    """Say which layers of a network run on statistics that were never filled.

    Args:
        network: Any, or None.
        what: Its role in the message, ``"generator"`` or ``"discriminator"``.
    """
    layers = [] if network is None else unfilled(network)
    if layers:
        name, layer = layers[0]
        more = f" and {len(layers) - 1} more keep" if len(layers) > 1 else " keeps"
        batches = "latents" if what == "generator" else "half real, half generated samples"
        logger.warning(
            "%s: layer %r (%s)%s statistics that were never filled (still at their start: mean "
            "0, variance 1), as in an averaged copy of the weights, so eval mode gives noise. "
            "Fill them from batches of %s: %s = gt.refresh_statistics(%s, batches)",
            *(what, name, type(layer).__name__, more, batches, what, what),
        )


def refresh_statistics(network: nn.Module, batches: Iterable[Batch]) -> nn.Module:
    """Fill the statistics that layers keep for eval mode anew, from batches.

    For BatchNorm of any kind, InstanceNorm that tracks, and layers of one's own with buffers
    ``running_mean`` and ``running_var``; the vectors of spectral norms are settled as well.
    Means and variances are those of all batches together; the other layers stay in eval mode. A
    discriminator that was trained on real and generated batches apart needs both in one batch.

    Args:
        network: A generator or a discriminator; left as it is.
        batches: What the network is called with: tensors (N, ...), or tuples of them such as
            ``(z, condition)``. A few dozen batches of 64 are enough. For a discriminator half of
            each batch real, half generated.

    Returns:
        A copy of the network with its statistics filled.

    Raises:
        InputError: If nothing in the network keeps statistics, there is no batch, or one does
            not fit the network.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        >>> new = refresh_statistics(network, [torch.randn(64, 2) for _ in range(20)])
        >>> bool(new[1].running_var.eq(1).any()), bool(network[1].running_var.eq(1).all())
        (False, True)
    """
    kind = type(network).__name__
    if isinstance(batches, Tensor) or not isinstance(batches, Iterable):
        raise InputError(
            f"refresh_statistics batches: got {type(batches).__name__}; allowed is an iterable of "
            "batches, such as x.split(64) or a DataLoader"
        )
    new = copy_network(network)
    modes = [(module, module.training) for module in new.modules()]
    layers = {name: _Gathered(layer, prefix) for name, layer, prefix in kept_statistics(new)}
    norms = list(_spectral_norms(new))
    if not layers and not norms:
        raise InputError(f"refresh_statistics: no layer of {kind} keeps statistics")
    new.eval()
    tensors = [*new.parameters(), *new.buffers()]
    device = tensors[0].device
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for _, _, weight, u, v in norms:
            for own, settled in zip((u, v), _power(weight, u, v, _SETTLED), strict=True):
                own.copy_(settled)
        for gathered in layers.values():
            gathered.open()
        count = 0
        for count, batch in enumerate(batches, 1):  # noqa: B007
            try:
                inputs = (batch,) if isinstance(batch, Tensor) else tuple(batch)
                new(*(value.to(device) for value in inputs))
            except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise InputError(
                    f"refresh_statistics: {kind} does not take batch {count - 1}: {error}. Give "
                    "tensors (N, ...) of 2 rows or more, or tuples such as (z, condition)"
                ) from error
            if not all(bool(value.isfinite().all()) for value in inputs):
                raise InputError(
                    f"refresh_statistics: batch {count - 1} holds NaN or infinity, and then the "
                    "statistics would too; remove those rows"
                )
        if count == 0:
            raise InputError(
                "refresh_statistics batches: there are no batches, at least one is needed"
            )
        for name, gathered in layers.items():
            gathered.close(name)
    for module, training in modes:
        module.training = training
    return new


class _Gathered:
    """What one layer's calls in train mode say of its inputs."""

    def __init__(self, layer: nn.Module, prefix: str) -> None:
        self.layer, self.names = layer, (f"{prefix}mean", f"{prefix}var")
        self.momentum = getattr(layer, "momentum", None)
        self.rows = self.calls = 0
        self.sums: list[Tensor] = []
        self.start = self._read()
        self._hook: Any = None

    def _read(self) -> list[Tensor]:
        return [getattr(self.layer, name).detach().clone() for name in self.names]

    def _write(self, values: Sequence[Tensor | float]) -> None:
        for name, value in zip(self.names, values, strict=True):
            buffer = getattr(self.layer, name)
            buffer.copy_(torch.as_tensor(value, dtype=buffer.dtype, device=buffer.device))

    def open(self) -> None:
        """Wake this layer alone; from now on its calls are counted."""
        self.layer.training = True
        if isinstance(self.layer, _NormBase):
            self.layer.momentum = 1.0  # a call leaves the statistics of its batch
        self._hook = self.layer.register_forward_hook(self._see, with_kwargs=True)

    def _see(self, layer: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Learn the batch's statistics from how far they pull buffers that start at 0 and at 1.

        A layer of one's own may move its buffers by any share of the way, and need not say which.
        """
        reads = []
        for start in (0.0, 1.0):
            self._write((start, start))
            layer.forward(*args, **kwargs)
            reads.append([value.double() for value in self._read()])
        (mean, var), ones = reads
        share = [1 - (one - zero) for zero, one in zip(reads[0], ones, strict=True)]
        if any(bool((part.abs() < 1e-6).any()) for part in share):
            return  # this layer keeps its statistics as they are
        mean, var = mean / share[0], var / share[1]
        rows = len(next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)))
        now = [rows * mean, rows * (var + mean.square())]
        self.sums = [a + b for a, b in zip(self.sums, now, strict=True)] if self.sums else now
        self.rows, self.calls = self.rows + rows, self.calls + 1

    def close(self, name: str) -> None:
        """Write the statistics of all calls together."""
        self._hook.remove()
        if isinstance(self.layer, _NormBase):
            self.layer.momentum = self.momentum
        if not self.calls:
            self._write(self.start)
            kind = type(self.layer).__name__
            logger.warning(
                "refresh_statistics: layer %r (%s) was not called or does not move its statistics "
                "in train mode; they stay as they were",
                *(name, kind),
            )
            return
        mean, square = (value / self.rows for value in self.sums)
        self._write((mean, (square - mean.square()).clamp(min=0)))
        tracked = getattr(self.layer, "num_batches_tracked", None)
        if isinstance(tracked, Tensor):
            tracked.fill_(self.calls)


def _spectral_norms(
    network: nn.Module,
) -> Iterator[tuple[str, nn.Module, Tensor, Tensor, Tensor]]:
    """Every spectral norm of torch's, old or new: name, layer, weight matrix, its u and v."""
    for name, layer in network.named_modules():
        for hook in layer._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):
                weight = getattr(layer, f"{hook.name}_orig").detach()
                u, v = (getattr(layer, f"{hook.name}_{which}") for which in "uv")
                yield name, layer, hook.reshape_weight_to_matrix(weight), u, v
        parametrizations: Any = getattr(layer, "parametrizations", {})
        for which, steps in parametrizations.items():
            for step in steps:
                if isinstance(step, _SpectralNorm) and hasattr(step, "_u"):
                    weight = step._reshape_weight_to_matrix(steps.original.detach())
                    yield f"{name}.{which}".lstrip("."), layer, weight, step._u, step._v


def _power(weight: Tensor, u: Tensor, v: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    for _ in range(steps):
        v = nn.functional.normalize(weight.mT @ u, dim=0)
        u = nn.functional.normalize(weight @ v, dim=0)
    return u, v


def in_batches(network: nn.Module) -> nn.Module | None:
    """A copy in eval mode whose statistics are those of each batch; None where none are kept."""
    own = copy_network(network).eval()
    layers = [layer for _, layer, _ in kept_statistics(own)]
    for layer in layers:
        layer.training = True
    return own if layers else None
