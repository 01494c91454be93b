"""How to build a network anew, read off the network itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from gantandem.adapt.base import unwrapped
from gantandem.errors import InputError
from gantandem.nets import BUILT_FROM, NETS
from gantandem.settings import plain

_NAMES: dict[Any, str] = {kind: name for name, kind in NETS.items()}
_PLAIN = (bool, int, float, str, type(None))
NOTHING = object()


def class_name(kind: type) -> str:
    """The name by which ``build`` finds a class: a built-in one, or ``"module:Class"``."""
    if kind in _NAMES:
        return _NAMES[kind]
    torch_layer = getattr(nn, kind.__name__, None) is kind
    return f"{'torch.nn' if torch_layer else kind.__module__}:{kind.__qualname__}"


def importable(name: str) -> bool:
    """Whether another program can import a class: not one of a script, a notebook or a function."""
    module, _, attribute = name.rpartition(":")
    return module != "__main__" and "." not in attribute


def find_spec(network: nn.Module) -> dict[str, Any]:
    """Describe a network for ``build``: its class, and what its attributes say of the arguments.

    An argument is looked for in the attribute of its name, which is how layers of torch keep
    theirs; one that no attribute holds has its default. Whether the description is right is for
    the caller to see: by building it.

    Raises:
        InputError: If an argument has no default and no attribute holds it.
    """
    network = unwrapped(network)
    known = vars(network).get(BUILT_FROM)
    if known is not None:
        return dict(known)
    kind = type(network)
    if kind is nn.Sequential:
        return {"net": "sequential", **{n: find_spec(m) for n, m in network._modules.items() if m}}
    spec: dict[str, Any] = {"net": class_name(kind)}
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        for attribute in (name, f"_{name}"):
            found = _argument(getattr(network, attribute, NOTHING), parameter)
            if found is not NOTHING:
                break
        else:
            if parameter.default is parameter.empty and not importable(spec["net"]):
                return {"net": spec["net"]}  # nobody can build it by a description
            if parameter.default is parameter.empty:
                raise InputError(f"{kind.__name__} has no attribute for its argument {name!r}")
            continue
        if parameter.default is parameter.empty or found != parameter.default:
            spec[name] = found
    return spec


def _argument(value: Any, parameter: inspect.Parameter) -> Any:
    """What an attribute says of the argument of its name; ``NOTHING`` if it says nothing."""
    value = plain(value)
    if isinstance(parameter.default, bool) and not isinstance(value, bool):
        # ``bias=True`` makes a parameter of that name, and ``norm=True`` a layer.
        yes = isinstance(value, Tensor | nn.Module)
        return yes if yes or value is None else NOTHING
    simple = isinstance(parameter.default, int | float | str | tuple)
    if isinstance(value, nn.Module):
        named = str(getattr(parameter.annotation, "__name__", parameter.annotation))
        return NOTHING if simple or named in ("int", "float", "str") else find_spec(value)
    return value if _is_plain(value) else NOTHING


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)
