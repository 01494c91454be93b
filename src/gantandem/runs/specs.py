"""How each network of a GAN is built anew: asked, found out, and tried."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, ValuesView
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gantandem.adapt.base import unwrapped
from gantandem.discriminator.latent_weights import ReweightedLatent
from gantandem.errors import ConfigError, InputError, imports, trusted
from gantandem.gan import GAN
from gantandem.nets import TORCH, Given, build
from gantandem.nets.describing import class_name, find_spec, importable
from gantandem.networks.score import call

logger = logging.getLogger(__name__)

Spec = dict[str, Any]
Inputs = tuple[Tensor] | tuple[Tensor, Tensor | None]
CLOSE = 1e-4
"""Outputs of a network and of the one built anew differ by no more, as a share of the largest."""


class _Role(NamedTuple):
    """A network, what it is tried on, and what is said of it: in the call, and by the GAN."""

    name: str
    network: nn.Module
    inputs: Inputs
    asked: list[Spec]
    known: list[Spec]


def find_specs(gan: GAN, given: Mapping[str, Spec] | None = None) -> dict[str, Spec]:
    """Describe every network of a GAN, each description tried.

    Args:
        gan: Its ``specs`` and those of its ratios come first, then what the networks themselves
            tell.
        given: Descriptions that come before these, by the names of ``gan.specs``.

    Returns:
        For "generator", "guide", "reweighted" and the law of each ratio, what ``build`` takes.

    Raises:
        InputError: If some are not known. All are named, with what to pass.
    """
    specs: dict[int, Spec] = {}
    found: dict[str, Spec] = {}
    problems: dict[int, str] = {}
    wanted: dict[str, Spec] = {}
    with gan.networks.frozen():
        for role in _roles(gan, given or {}):
            key = id(role.network)
            try:
                specs[key] = found[role.name] = specs.get(key) or _described(role)
            except InputError as error:
                if key not in problems:
                    name = class_name(type(unwrapped(role.network)))
                    problems[key] = f"{name} ({error})"
                    said = "discriminator" if role.name == "guide" else role.name
                    wanted[said] = {"net": name, "...": "its arguments"}
    if problems:
        why = "; ".join(problems.values())
        raise InputError(
            f"save: it is not known how to rebuild these networks: {why}. Describe them: "
            f"specs={wanted}, or keep every argument of a network in an attribute of the same "
            "name"
        )
    for name in sorted({name for spec in found.values() for name in _names(spec)}):
        if not importable(name):
            logger.warning(
                "save: %s was defined in a script or a function, which no other program can "
                "import; its weights are kept. Give the network when you load: "
                "GAN.load(path, generator=..., discriminator=...)",
                name,
            )
    return found


def _names(spec: Any) -> Iterator[str]:
    """The classes that a description names, those of networks among its arguments too."""
    if isinstance(spec, Mapping) and isinstance(spec.get("net"), str):
        yield spec["net"]
    parts = spec.values() if isinstance(spec, Mapping) else spec
    for part in parts if isinstance(parts, list | tuple | ValuesView) else ():
        yield from _names(part)


def _roles(gan: GAN, given: Mapping[str, Spec]) -> list[_Role]:
    def role(
        name: str, network: nn.Module, inputs: Inputs, *names: str, own: Spec | None = None
    ) -> _Role:
        asked = [dict(given[one]) for one in (name, *names) if given.get(one)]
        known = [own or {}, *(dict(gan.specs.get(one, {})) for one in (name, *names))]
        return _Role(name, network, inputs, asked, [spec for spec in known if spec])

    z, cond = gan.networks.examples()
    x = gan.decode(z, cond)
    roles = [role("generator", gan.generator, (z, cond))]
    if gan.guide is not None:
        roles.append(role("guide", gan.guide.network, (x, cond), "discriminator"))
    for law, ratio in gan.ratios.items():
        names = ("discriminator", "guide")
        roles.append(role(law, ratio.score.network, (x, cond), *names, own=ratio.spec))
    if isinstance(gan.reweighted, ReweightedLatent):
        roles.append(role("reweighted", gan.reweighted.network, (z.flatten(1),)))
    return roles


def _described(role: _Role) -> Spec:
    """The first description that gives this network back.

    Raises:
        InputError: If none does; why the first one does not.
    """
    network = unwrapped(role.network)
    errors = list[InputError]()
    offered = role.asked or list(role.known)
    if not role.asked:
        try:
            offered.append(find_spec(network))
        except InputError as error:
            errors.append(error)
    for spec in offered:
        try:
            return _tried(json.loads(json.dumps(spec)), network, role.inputs)
        except InputError as error:
            errors.append(error)
    if not role.asked and not all(map(importable, _names(offered[-1] if offered else None))):
        return offered[-1]  # it is given when the GAN is loaded
    raise errors[0]


def _tried(spec: Spec, network: nn.Module, inputs: Inputs) -> Spec:
    """Refuse a description that would not give this network back."""
    kind = type(network).__name__
    with torch.random.fork_rng(devices=[]):  # initial weights are overwritten
        again = build(spec)
    state = network.state_dict()
    wanted, had = (
        {name: tuple(value.shape) for name, value in module.items()}
        for module in (state, again.state_dict())
    )
    if wanted != had:
        raise InputError(
            f"{spec} does not describe this {kind}: the names and shapes of its weights differ"
        )
    kinds = {value.dtype for value in state.values() if value.is_floating_point()}
    again.to(inputs[0].device, kinds.pop() if len(kinds) == 1 else None).load_state_dict(state)
    with torch.no_grad():
        here, there = (call(module, *inputs) for module in (network, again.eval()))
    if not _same(here, there):
        raise InputError(
            f"{spec} does not describe this {kind}: with the same weights it computes something "
            "else, so part of the network does not follow from its arguments"
        )
    return spec


def _same(here: Any, there: Any) -> bool:
    if not isinstance(here, Tensor) or not isinstance(there, Tensor) or here.shape != there.shape:
        return False
    size = float(here.double().abs().nan_to_num(0, 0, 0).max()) if here.numel() else 0.0
    return torch.allclose(here.double(), there.double(), CLOSE, CLOSE * size, equal_nan=True)


def check_names(content: Any, trust: bool) -> None:
    """Refuse to build networks that a file describes, if that imports what is not built in.

    Args:
        content: A description of networks, at any depth.
        trust: Whether the user trusts the file.

    Raises:
        ConfigError: Naming what would be imported.
    """
    if isinstance(content, Mapping):
        if isinstance(name := content.get("net"), str):
            other = ", or give the networks yourself: GAN.load(path, generator=..., "
            trusted("network", name, trust, TORCH, f"{other}discriminator=...)")
        content = list(content.values())
    for value in content if isinstance(content, list | tuple) else ():
        check_names(value, trust)


def check_texts(content: Any, trust: bool, where: str, typed: Collection[str] = ()) -> None:
    """Refuse every text of a file that may be a name to import, wherever it stands.

    Args:
        content: Of a file, or a part of it.
        trust: Whether the user trusts the file.
        where: The dotted keys that lead there.
        typed: Dotted keys that the user set.

    Raises:
        ConfigError: Naming what would be imported.
    """
    if where in typed or where == "data":
        return
    if imports(content):
        trusted(where, content, trust, TORCH)
    elif isinstance(content, Mapping):
        for key, value in content.items():
            check_texts(value, trust, f"{where}.{key}".lstrip("."), typed)
    elif isinstance(content, list | tuple):
        for value in content:
            check_texts(value, trust, where, typed)


def rebuilt(spec: Spec, *, given: Given = (), trust: bool = False) -> nn.Module:
    """Build a network that a file describes; initial weights come of no global seed.

    Args:
        spec: The description.
        given: Networks that the user gave, by the descriptions of the file.
        trust: Whether the file is trusted.

    Raises:
        ConfigError: If it cannot be built, or would import what is not trusted.
    """
    own = not any(known == spec for known, _ in given)
    try:
        if own:
            check_names(_without(spec, given), trust)
        with torch.random.fork_rng(devices=[]):
            return build(spec, given)
    except ConfigError:
        name = next((one for one in _names(spec) if not importable(one)), None)
        if not own or name is None:
            raise
        raise ConfigError(
            f"{name} was defined in a script, a notebook or a function, so it cannot be imported. "
            "Make a network of the same sizes and pass it: GAN.load(path, generator=...) or "
            "discriminator=...; a copy of it gets the weights"
        ) from None


def _without(spec: Any, given: Given) -> Any:
    """A description without the parts that the user gave."""
    if not isinstance(spec, Mapping):
        return spec
    parts = spec.items()
    return {k: _without(v, given) for k, v in parts if not any(v == one for one, _ in given)}
