"""Weights of others' networks: found in their files, put under the names of a network, loaded."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from gantandem.adapt.base import unwrapped
from gantandem.errors import ConfigError, WeightsError
from gantandem.nets import build
from gantandem.nets.normed import normalised
from gantandem.nets.opening import open_weights
from gantandem.nets.published import PUBLISHED
from gantandem.nets.unwrapping import Notes, Role, State, find_states, in_full
from gantandem.nets.weights import assign, differences, tell

_MIMICRY = {"model_state_dict", "optimizer_state_dict", "global_step"}
"""What mimicry's own trainer writes: the shapes do not tell whether it was that."""


def read_weights(
    path: str | Path, role: Role, *, key: str | None = None, strip_prefix: str | None = None
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read the weights of one network from a file as others publish them.

    Args:
        path: A ``.safetensors`` file, or what ``torch.save`` wrote (read with
            ``weights_only=True``).
        role: Which network is wanted, where the file holds several.
        key: The part of the file that holds it, where the names do not tell.
        strip_prefix: What the names of its weights begin with, to be taken off.

    Returns:
        The weights by name, without wrappers and prefixes, half precision as float32; and notes
        in words on what was chosen, such as ``"the averaged weights, 'g_ema'"``.

    Raises:
        WeightsError: If the file is missing, damaged, no weight file, or holds pickled objects; or
            if the network cannot be found in it.
    """
    return next(_readings(path, role, key, strip_prefix))


def load_foreign(
    network: nn.Module,
    path: str | Path,
    role: Role,
    *,
    key: str | None = None,
    strip_prefix: str | None = None,
) -> tuple[str, ...]:
    """Load a file as others publish it into a network, completely or not at all.

    Spectral and weight norm are put into the network's own form; a network without gets the
    weights that the original computes in eval mode.

    Args:
        network: Is changed in place.
        path: A ``.safetensors`` file, or what ``torch.save`` wrote.
        role: Which network is wanted, where the file holds several.
        key: The part of the file that holds it, where the names do not tell.
        strip_prefix: What the names of its weights begin with, to be taken off.

    Returns:
        Notes in words on what was chosen.

    Raises:
        WeightsError: As :func:`read_weights`; or if names or shapes do not fit, with a short
            difference and the built-in architecture that comes nearest.
    """
    network = unwrapped(network)
    wanted = network.state_dict()
    best: dict[str, list[str]] | None = None
    content = open_weights(path)
    for state, notes in _readings(path, role, key, strip_prefix, content):
        state = _fitted(state, network)
        problems = differences(wanted, state)
        if not problems:
            assign(network, state, str(path))
            return (*notes, *_origin(content, network))
        if best is None or _count(problems) < _count(best):
            best = problems
    assert best is not None
    hint = _hint(path, role, key, strip_prefix)
    raise WeightsError(f"{path} does not fit {type(network).__name__}: {tell(best)}. {hint}")


def find_arguments(
    path: str | Path, role: Role, name: str, *, key: str | None, strip_prefix: str | None
) -> dict[str, Any]:
    """How a built-in architecture is built for the weights of a file.

    Args:
        path: As for :func:`find_architecture`.
        role: Likewise.
        name: The architecture.
        key: As for :func:`find_architecture`.
        strip_prefix: Likewise.

    Returns:
        ``{"net": name, **arguments}``: what is no default, read off the shapes where they fit.

    Raises:
        WeightsError: As :func:`read_weights`.
    """
    found = _nearest(path, role, key, strip_prefix, {name: PUBLISHED[role][name]})
    return {"net": name} if found is None or found[1] else found[0]


def find_architecture(
    path: str | Path, role: Role, *, key: str | None = None, strip_prefix: str | None = None
) -> dict[str, Any]:
    """Find the built-in architecture whose names and shapes a file has.

    Args:
        path: A ``.safetensors`` file, or what ``torch.save`` wrote.
        role: Which network is wanted, where the file holds several.
        key: The part of the file that holds it, where the names do not tell.
        strip_prefix: What the names of its weights begin with, to be taken off.

    Returns:
        ``{"net": name, **arguments}`` for ``gantandem.nets.build``: what is no default, read off
        the shapes.

    Raises:
        WeightsError: As :func:`read_weights`; or if none fits: the message names the nearest.
    """
    found = _nearest(path, role, key, strip_prefix)
    if found is not None and not found[1]:
        return found[0]
    hint = f"The nearest is {_describe(found[0])}: {tell(found[1])}. " if found else ""
    other: Role = "discriminator" if role == "generator" else "generator"
    swapped = _nearest(path, other, key, strip_prefix)
    if swapped is not None and not swapped[1]:
        hint = f"It fits the {other} {_describe(swapped[0])}: are the two files swapped? "
    raise WeightsError(
        f"{path} fits no built-in {role}. {hint}Give the class of the network, 'module:Class'"
    )


def _readings(
    path: str | Path,
    role: Role,
    key: str | None,
    strip_prefix: str | None,
    content: Any = None,
) -> Iterator[tuple[State, Notes]]:
    content = open_weights(path) if content is None else content
    for state, notes in find_states(content, str(path), role, key, strip_prefix):
        full, also = in_full(state)
        yield full, (*notes, *also)


def _fitted(state: State, network: nn.Module) -> State:
    """Names as a network has them, where a file of another version says the same otherwise."""
    wanted = network.state_dict()
    state = normalised(state, wanted)
    for name in [name for name in state if name not in wanted]:
        head, _, last = name.rpartition(".")
        if f"{head}.module.{last}" in wanted:  # pytorch_GAN_zoo, before 2019
            state[f"{head}.module.{last}"] = state.pop(name)
        elif last in _STATISTICS and _without_statistics(network, head):
            del state[name]
    for name, value in wanted.items():
        if name.endswith("num_batches_tracked"):  # not in files from before torch 0.4.1
            state.setdefault(name, value)
    return state


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def _without_statistics(network: nn.Module, name: str) -> bool:
    """Whether a layer is a norm by instance, of which torch before 0.4 wrote statistics."""
    layer = dict(network.named_modules()).get(name)
    return isinstance(layer, _InstanceNorm) and not layer.track_running_stats


def _origin(content: Any, network: nn.Module) -> Notes:
    """What to say where names and shapes fit and the course of the computation may not."""
    if _of_mimicry(content) and vars(network).get("mimicry") is False:
        return ("written by mimicry, whose networks compute differently: build with mimicry=true",)
    return ()


def _of_mimicry(content: Any) -> bool:
    return isinstance(content, Mapping) and _MIMICRY <= content.keys()


def _count(problems: Mapping[str, list[str]]) -> int:
    return sum(map(len, problems.values()))


def _nearest(
    path: str | Path,
    role: Role,
    key: str | None,
    strip_prefix: str | None,
    among: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, list[str]]] | None:
    """The built-in architecture with the fewest differences, and these; None if none is near."""
    best: tuple[dict[str, Any], dict[str, list[str]]] | None = None
    content = open_weights(path)
    for state, _ in _readings(path, role, key, strip_prefix, content):
        plain = normalised(state)
        shapes = {name: tuple(value.shape) for name, value in plain.items()}
        for name, kind in (among or PUBLISHED[role]).items():
            try:
                arguments = kind.read_arguments(shapes)
            except (KeyError, IndexError, ValueError):
                continue
            if _of_mimicry(content) and "mimicry" in inspect.signature(kind).parameters:
                arguments["mimicry"] = True
            spec = {"net": name, **_not_default(kind, arguments)}
            try:
                network = _sketched(spec)
            except ConfigError:  # sizes that no such network has
                continue
            problems = differences(network.state_dict(), _fitted(plain, network))
            if best is None or _count(problems) < _count(best[1]):
                best = spec, problems
            if not problems:
                return best
    return best


def _sketched(spec: Mapping[str, Any]) -> nn.Module:
    """A network of names and shapes alone."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # layers of no channels, of a network that does not fit
        return build(spec)


def _hint(path: str | Path, role: Role, key: str | None, strip_prefix: str | None) -> str:
    found = _nearest(path, role, key, strip_prefix)
    if found is None:
        return f"It resembles no built-in {role}"
    spec, problems = found
    if problems:
        return f"The nearest built-in {role} is {_describe(spec)}: {tell(problems)}"
    return f"It fits the built-in {role} {_describe(spec)}"


def _describe(spec: Mapping[str, Any]) -> str:
    arguments = "".join(f", {name}={value}" for name, value in spec.items() if name != "net")
    return f"{spec['net']!r}{arguments}"


def _not_default(kind: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    defaults = inspect.signature(kind).parameters
    return {n: value for n, value in arguments.items() if value != defaults[n].default}
