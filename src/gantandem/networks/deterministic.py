"""A GPU that computes in full float32, and the same each time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

_cudnn: Any = torch.backends.cudnn
_matmul: Any = torch.backends.cuda.matmul


def _settings() -> list[tuple[Any, str, Any]]:
    """Whose setting, its name, and what it is to be."""
    fixed = [(_cudnn, "deterministic", True), (_cudnn, "benchmark", False)]
    if hasattr(_matmul, "fp32_precision"):  # from torch 2.9 on
        parts = (_matmul, _cudnn.conv, _cudnn.rnn)
        return [*fixed, *((part, "fp32_precision", "ieee") for part in parts)]
    return [*fixed, (_matmul, "allow_tf32", False), (_cudnn, "allow_tf32", False)]


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Compute in full float32 and by deterministic cuDNN kernels in the block; restored after.

    By default torch lets cuDNN round to TF32, a tenth of float32's digits, and choose kernels that
    add in another order each time. On a CPU the block changes nothing. See "Reproducibility" in
    ``docs/settings.md`` for what holds on which device.

    Example:
        >>> import gantandem as gt
        >>> from gantandem.testing import toy_gan
        >>> with gt.deterministic():
        ...     samples = gt.sample(toy_gan(), gt.Direct(), 16)
    """
    settings = _settings()
    before = [getattr(owner, name) for owner, name, _ in settings]
    try:
        for owner, name, value in settings:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(settings, before, strict=True):
            setattr(owner, name, value)
