"""How many bytes all tensors that are alive hold."""

from __future__ import annotations

import contextlib
import gc

import torch
from torch import nn


def live_bytes() -> int:
    gc.collect()
    stores = {}
    for thing in gc.get_objects():
        if type(thing) in (torch.Tensor, nn.Parameter):
            with contextlib.suppress(NotImplementedError):  # sparse ones, wrappers of torch.func
                store = thing.untyped_storage()
                stores[store.data_ptr()] = store.nbytes()
    return sum(stores.values())
