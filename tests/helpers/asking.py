"""Notes the operations for which a host waits for its device: questions, and numbers it sends."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_ASKING = {
    _aten._local_scalar_dense.default,  # item(), bool(), int(), float()
    _aten.nonzero.default,
    _aten.masked_select.default,
    _aten.equal.default,
    _aten.is_nonzero.default,
}
_SENDING = {_aten._to_copy.default, _aten.copy_.default}
_INDEXING = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default}


class Asking(TorchDispatchMode):
    """Notes each such operation in the block, also by a mask as an index."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        masked = func in _INDEXING and any(
            isinstance(index, Tensor) and index.dtype == torch.bool for index in args[1]
        )
        tensors = [value for value in args if isinstance(value, Tensor)]
        there = (kwargs or {}).get("device") if func is _aten._to_copy.default else None
        places = {value.device.type for value in tensors} | ({there.type} if there else set())
        sent = func in _SENDING and len(places) > 1
        if func in _ASKING or masked or sent:
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))
