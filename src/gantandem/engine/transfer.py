"""Numbers between the host, which keeps the books of a run, and the device, where networks run.

A device works through what it is given while the host goes on. Only a question to the device makes
the host wait: so indices go to the device without waiting, and answers are asked for early and
read late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from gantandem.samplers.base import leaves, tree_map

T = TypeVar("T")


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Send a tensor of the host to a device, without waiting for the device."""
    if device.type == "cpu":
        return values
    values = values.pin_memory() if device.type == "cuda" else values
    return values.to(device, non_blocking=True)


def to_host(tree: T) -> Callable[[], T]:
    """Ask a device for nested (named) tuples of tensors.

    Returns:
        A function that waits for them, and for nothing that the device was told to do later.
    """
    device = leaves(tree)[0].device
    if device.type != "cuda":
        return lambda: tree_map(Tensor.cpu, tree)
    event: Any = torch.cuda.Event()

    def begin(value: Tensor) -> Tensor:
        host = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
        return host.copy_(value, non_blocking=True)

    with torch.cuda.device(device):
        arriving = tree_map(begin, tree)
        event.record()

    def wait() -> T:
        event.synchronize()
        return arriving

    return wait
