"""The name of a network's weights."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from gantandem.adapt.base import unwrapped

_known: ContextVar[dict[int, tuple[nn.Module, object, str]] | None] = ContextVar(
    "known", default=None
)


@contextlib.contextmanager
def hashed_once() -> Iterator[None]:
    """Hash the weights of a network once in this block, as long as nothing writes into them.

    Outside, an edit through ``weight.data`` would go unseen: torch does not count it.
    """
    if _known.get() is not None:
        yield
        return
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def weights_hash(module: nn.Module) -> str:
    """Hash a network's parameters and buffers, names and shapes included.

    Buffers that no file holds count too; how many batches a normalisation has seen does not, nor
    do the wrappers of ``torch.compile`` and of data parallelism.
    """
    module = unwrapped(module)
    named = {**dict(module.named_parameters(remove_duplicate=False)), **dict(_buffers(module))}
    known, written = _known.get(), [(id(t), _version(t), t.data_ptr()) for t in named.values()]
    if known is None:
        return _hash(named)
    found = known.get(id(module))
    if found is None or found[1] != written:
        # With the module itself, so that its id stays its own.
        found = known[id(module)] = module, written, _hash(named)
    return found[2]


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, buffer in module.named_buffers(remove_duplicate=False):
        if name.rpartition(".")[2] != "num_batches_tracked":
            yield name, buffer


def state_hash(module: nn.Module) -> str:
    """Hash what ``state_dict`` holds: how the laws of older run folders name weights."""
    return _hash(module.state_dict())


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        raw = tensor.detach().cpu().contiguous().flatten()
        digest.update(raw.view(torch.uint8).numpy().tobytes() if raw.numel() else b"")
    return digest.hexdigest()
