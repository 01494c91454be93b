"""Discriminators that look at several rows at once: each row beside a fixed batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.adapt.base import Adapter
from gantandem.errors import InputError


class _Beside(Adapter):
    """Keeps the fixed batch in a buffer, and its shape for whoever builds the network anew."""

    reference: Tensor

    def __init__(self, network: nn.Module, reference: Tensor | Sequence[int]) -> None:
        super().__init__(network)
        if isinstance(reference, Tensor):
            fixed = reference.detach().clone()
        else:
            fixed = torch.zeros(tuple(reference))
        if fixed.dim() < 2 or len(fixed) == 0 or not fixed.is_floating_point():
            raise InputError(
                f"{type(self).__name__}: got a reference of shape {tuple(fixed.shape)}, "
                f"{fixed.dtype}; allowed are (M, *x_shape) samples, M of 1 or more"
            )
        self._reference = tuple(fixed.shape)
        self.register_buffer("reference", fixed)

    def _check(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.reference.shape[1:]:
            raise InputError(
                f"{type(self).__name__}: the reference holds samples of shape "
                f"{self._reference[1:]}, but the network is called with samples of shape "
                f"{tuple(x.shape[1:])}; they must be equal"
            )
        return self.reference.to(x)


class AgainstBatch(_Beside):
    """Each sample scored as the first of a batch whose others are fixed, so that rows are alone.

    For minibatch standard deviation and minibatch discrimination: a sample's score then depends on
    no companion. It costs M + 1 rows for one. Such a score is the log ratio of a sample only up to
    what the fixed batch adds: calibrate it, or fit a ratio.

    Args:
        network: Returns one tensor of scores, a row for each sample (put ``Item`` inside).
        reference: (M, *x_shape) real or generated samples: one less than the batch, or the group
            of a minibatch layer. A shape stands for zeros, to be loaded.
    """

    def forward(self, x: Tensor, *cond: Tensor) -> Tensor:
        """Scores of (N, *x_shape) samples, N rows; the batch has each row's own condition."""
        return _eager_each(self.network, x, self._check(x), cond)


def _each(network: nn.Module, x: Tensor, reference: Tensor, cond: tuple[Tensor, ...]) -> Tensor:
    scores = []
    for i in range(len(x)):
        batch = torch.cat([x[i : i + 1], reference])
        beside = (c[i : i + 1].expand(len(batch), *c.shape[1:]) for c in cond)
        scores.append(network(batch, *beside)[:1])
    return torch.cat(scores)


def _eager_each(*given: Any) -> Any:
    # Compiled, each row would be a network of its own. To say so loads the compiler.
    return (torch.compiler.disable(_each) if torch.compiler.is_compiling() else _each)(*given)


class Packed(_Beside):
    """Each sample packed with fixed ones, for a discriminator that scores packs (CTGAN, PacGAN).

    What it scores is the pack: log r of the sample plus that of the fixed ones, a constant. So the
    logit is known up to a constant: ``calibrate(method="platt")`` finds it, or fit a ratio.

    Args:
        network: Returns a row for each pack.
        reference: (pac - 1, *x_shape) real or generated samples. A shape stands for zeros, to be
            loaded.
        joined: True where a pack is one row with the samples side by side in its first axis
            (PacGAN's channels); False, the default, where it is consecutive rows (CTGAN).
    """

    def __init__(
        self, network: nn.Module, reference: Tensor | Sequence[int], joined: bool = False
    ) -> None:
        super().__init__(network, reference)
        self.joined = joined

    def forward(self, x: Tensor, *cond: Tensor) -> Tensor:
        """Scores of (N, *x_shape) samples, N rows."""
        fixed = self._check(x)
        pack = torch.cat([x[:, None], fixed.expand(len(x), *fixed.shape)], 1)
        if self.joined:
            return self.network(pack.flatten(1, 2), *cond)
        size = pack.shape[1]
        beside = (c.repeat_interleave(size, 0) for c in cond)
        return self.network(pack.flatten(0, 1), *beside)
