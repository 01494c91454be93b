"""Which device networks run on, and how exactly it computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from gantandem.errors import InputError

_cudnn: Any = torch.backends.cudnn
_matmul: Any = torch.backends.cuda.matmul


def find_device(device: str | torch.device | None) -> torch.device:
    """A device by name, such as ``"cuda"`` or ``"cuda:1"``; None is the CPU.

    Raises:
        InputError: If there is no such device here, or it cannot compute in float64, in which
            log ratios are.
    """
    try:
        found = torch.device("cpu" if device is None else device)
        torch.zeros(1, dtype=torch.float64, device=found).cpu()
    except Exception as error:  # torch raises whatever its build for a device raises
        here = ["cpu"]
        if torch.cuda.is_available():
            here += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise InputError(
            f"device: got {str(device)!r}, which cannot be used here ({reason}); there are "
            f"{', '.join(here)}"
        ) from None
    return found


def device_name(device: torch.device) -> str:
    """What a manifest says of a device: ``cpu``, ``cuda NVIDIA H100 80GB HBM3``."""
    if device.type != "cuda":
        return device.type
    return f"{device.type} {torch.cuda.get_device_name(device)}"


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
