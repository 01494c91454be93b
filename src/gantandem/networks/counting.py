"""Counting what networks compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Operations(TorchDispatchMode):
    """Counts operations (a multiplication and an addition are two) of this thread, in ``total``.

    Matrix products and convolutions count. Torch's own counter hooks into the modules of all
    threads; this one does not.
    """

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation of torch, and count it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket)
        self.total += 0 if count is None else count(*args, **kwargs, out_val=out)
        return out


def operations(call: Callable[[], Any]) -> int:
    """Operations of a call, without a gradient."""
    with torch.no_grad(), Operations() as counter:
        call()
    return counter.total
