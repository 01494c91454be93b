"""Where the weights of one network lie in a file that holds more: its parts and its prefixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from gantandem.errors import WeightsError, near
from gantandem.nets.opening import tensors_in

Role = Literal["generator", "discriminator"]
State = dict[str, Tensor]
Notes = tuple[str, ...]

# Names of parts in small letters, "state_dict" taken off. Averaged weights give better samples.
_AVERAGED = {
    "generator": (
        *("g_ema", "ema_g", "netg_ema", "generator_ema", "ema_generator", "gen_ema"),
        *("avgg", "g_avg", "ge"),
    ),
    "discriminator": (),
}
_OWN = {
    "generator": ("g", "netg", "generator", "gen", "net_g", "g_model", "model_g"),
    "discriminator": (
        *("d", "netd", "discriminator", "disc", "dis", "critic", "net_d", "d_model", "model_d"),
    ),
}
_ANY_AVERAGED = ("ema", "params_ema", "model_ema", "ema_model")
_ANY = ("", "model", "params", "gan", "net", "network", "weights", "module")
_WRAPPERS = ("module.", "_orig_mod.")
_LEVELS = 10
"""How deep weights lie in a file at most; a container may hold itself."""
_OTHER = ("optim", "sched", "scaler", "hyper", "loop", "callback")


def find_states(
    content: Any, where: str, role: Role, key: str | None, strip_prefix: str | None
) -> list[tuple[State, Notes]]:
    """Find the weights of one network in what a file holds.

    Args:
        content: From :func:`gantandem.nets.opening.open_weights`.
        where: The file, for errors.
        role: Which of the networks.
        key: The part that holds it, ``"a"`` or ``"a.b"``, where the names do not tell.
        strip_prefix: What the names of its weights begin with, to be taken off.

    Returns:
        Every way of reading the names, the likeliest first, each with notes in words.

    Raises:
        WeightsError: If there is no such part, or none of that role.
    """
    if role not in _OWN:
        raise WeightsError(f"role {role!r}: allowed is 'generator' or 'discriminator'")
    notes: Notes = ()
    if key is not None:
        content = _part(content, where, key)
    for _ in range(_LEVELS):
        name = _choose(content, role)
        if name is None:
            break
        if _plain(name) in (*_AVERAGED[role], *_ANY_AVERAGED):
            notes = (*notes, f"the averaged weights, {name!r}")
        content = content[name]
    state = _tensors(content)
    if not state:
        raise WeightsError(f"{where} {_nothing(content, role)}")
    state = _unwrapped(state)
    if strip_prefix is not None:
        return [(_without(state, where, strip_prefix), notes)]
    return _readings(state, where, role, notes)


def _part(content: Any, where: str, key: str) -> Any:
    """The part under a key, or under a path of keys."""
    steps = [key] if isinstance(content, Mapping) and key in content else key.split(".")
    for step in steps:
        if not isinstance(content, Mapping) or step not in content:
            held = content.keys() if isinstance(content, Mapping) else ()
            raise WeightsError(f"{where} holds no {key!r}; {near(step, map(str, held))}")
        content = content[step]
    return content


def _choose(content: Any, role: Role) -> str | None:
    """The part to go into; None where this is the state already, or none can be chosen."""
    if not isinstance(content, Mapping):
        return None
    parts = [
        name
        for name, part in content.items()
        if isinstance(name, str) and _holds(part) and not any(w in name.lower() for w in _OTHER)
    ]
    for wanted in (_AVERAGED[role], _OWN[role], _ANY_AVERAGED, _ANY):
        for name in parts:
            if _plain(name) in wanted:
                return name
    taken = {name for names in (*_OWN.values(), *_AVERAGED.values()) for name in names}
    alone = len(parts) == 1 and _plain(parts[0]) not in taken and not _tensors(content)
    return parts[0] if alone else None


def _plain(name: str) -> str:
    name = name.lower().replace("state_dict", "").replace("__", "_")
    return name.strip("_")


def _holds(part: Any) -> bool:
    """Whether a part is a mapping with tensors in it, at any depth."""
    return isinstance(part, Mapping) and next(tensors_in(part), None) is not None


def _tensors(content: Any) -> State:
    if not isinstance(content, Mapping):
        return {}
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _nothing(content: Any, role: Role) -> str:
    """What a file holds instead of weights."""
    if isinstance(content, Mapping):
        parts = [str(name) for name, part in content.items() if _holds(part)]
        if parts:
            return (
                f"does not say which of its parts is the {role}: {near(role, parts)}. Name one "
                f"with key={parts[0]!r} (--key {parts[0]})"
            )
        names = ", ".join(map(repr, list(map(str, content))[:5])) or "nothing"
        return f"holds no weights, but {names}"
    return f"holds a {type(content).__name__}, not weights by name (a state_dict)"


def _unwrapped(state: State) -> State:
    """Without what data parallelism and ``torch.compile`` put before names."""
    while state:
        wrapper = next((w for w in _WRAPPERS if all(n.startswith(w) for n in state)), None)
        if wrapper is None:
            break
        state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return {name.replace("_orig_mod.", ""): value for name, value in state.items()}


def _without(state: State, where: str, prefix: str) -> State:
    dotted = prefix if prefix.endswith(".") else f"{prefix}."
    new = {n.removeprefix(dotted): value for n, value in state.items() if n.startswith(dotted)}
    if not new:
        heads = dict.fromkeys(name.partition(".")[0] for name in state)
        raise WeightsError(f"{where}: no name begins with {dotted!r}; {near(prefix, heads)}")
    return _unwrapped(new)


def _readings(state: State, where: str, role: Role, notes: Notes) -> list[tuple[State, Notes]]:
    """The ways to read names whose first part may be a network's: with it and without it."""
    heads = list(dict.fromkeys(name.partition(".")[0] for name in state))
    whole = (state, notes)
    for names in (_AVERAGED[role], _OWN[role]):
        found = next((head for head in heads if _plain(head) in names), None)
        if found is None or found in state:
            continue
        also = notes
        if names is _AVERAGED[role]:
            also = (*notes, f"the averaged weights, '{found}.'")
        return [(_without(state, where, found), also), whole]
    if len(heads) == 1 and heads[0] not in state:  # "model." may be the network's own or a wrapper
        return [whole, (_without(state, where, heads[0]), notes)]
    return [whole]


def in_full(state: Mapping[str, Tensor]) -> tuple[State, Sequence[str]]:
    """Half precision as float32, and a note that says so."""
    halves = {torch.float16, torch.bfloat16}
    half = any(value.dtype in halves for value in state.values())
    full = {n: v.float() if v.dtype in halves else v for n, v in state.items()}
    return full, ("half precision, read as float32",) if half else ()
