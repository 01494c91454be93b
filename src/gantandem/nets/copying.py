"""Copies of networks, those with computed weights included."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.adapt.base import unwrapped
from gantandem.errors import InputError


def copy_network(network: nn.Module) -> nn.Module:
    """Copy a network, without the wrapper of ``torch.compile`` or of data parallelism.

    ``copy.deepcopy`` refuses tensors that were computed with a gradient: the weights of old
    ``weight_norm`` and ``spectral_norm``, and activations that a module keeps. Their numbers are
    copied; they are computed anew at the next call.

    Raises:
        InputError: If something in the network cannot be copied, such as a lock or an open file.
    """
    network = unwrapped(network)
    memo: dict[int, Any] = {}
    for module in network.modules():
        if not isinstance(module, torch.jit.ScriptModule):
            _note_computed(vars(module), memo)
    try:
        with torch.no_grad():  # a copy of a scripted module would be computed from it
            return copy.deepcopy(network, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise InputError(
            f"network {type(network).__name__}: it cannot be copied ({error}). Add a __deepcopy__ "
            "method, or remove the attribute that cannot be copied"
        ) from error


def _note_computed(value: Any, memo: dict[int, Any]) -> None:
    """Enter detached copies of the tensors that are no leaves into the memo of a deep copy."""
    if isinstance(value, Tensor):
        if not value.is_leaf:
            memo[id(value)] = value.detach().clone()
    elif isinstance(value, dict):
        for part in value.values():
            _note_computed(part, memo)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _note_computed(part, memo)
