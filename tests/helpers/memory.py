"""How many bytes all tensors that are alive hold."""

from __future__ import annotations

import contextlib
import gc

import torch
from torch import nn


@contextlib.contextmanager
def new_only():
    """Within, ``live_bytes`` looks at what was made since: thousands of tests leave much behind."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def live_bytes() -> int:
    gc.collect()
    stores = {}
    for thing in gc.get_objects():
        if type(thing) in (torch.Tensor, nn.Parameter):
            with contextlib.suppress(NotImplementedError):  # sparse ones, wrappers of torch.func
                store = thing.untyped_storage()
                stores[store.data_ptr()] = store.nbytes()
    return sum(stores.values())
