"""Samplers by name: alone, in a list, or under names of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from gantandem.errors import ConfigError, InputError, near
from gantandem.gan import GAN
from gantandem.samplers import SAMPLERS, from_config
from gantandem.samplers.base import Mover, Sampler, Selector
from gantandem.samplers.collaborative import collaborative
from gantandem.samplers.direct import Direct
from gantandem.samplers.refine import Refine
from gantandem.settings import check, show, to_config

SamplerLike = str | Mover | Selector
"""A sampler, or its name: a built-in one, ``"collaborative"`` or ``"module:Name"``."""
SamplersLike = SamplerLike | Iterable[SamplerLike] | Mapping[str, SamplerLike]


def named_sampler(gan: GAN, name: str) -> Mover | Selector:
    """Make a sampler of its name, for a GAN.

    ``"refine"`` is the refinement that the GAN was shaped for, without widened starts, and
    ``"collaborative"`` nests it in an acceptance.

    Raises:
        ConfigError: If there is none of that name.
        InputError: If the GAN was not shaped, and a shaped one is needed.
    """
    if name == "collaborative":
        return collaborative(gan)
    if name == "refine" and isinstance(gan.proposal, Refine):
        return dataclasses.replace(gan.proposal, defensive=0.0)
    if name not in SAMPLERS and ":" not in name:
        known = ["collaborative", *SAMPLERS]
        raise ConfigError(f"unknown sampler {name!r}; {near(name, known)}, or 'module:Name'")
    return from_config(name)


def as_sampler(gan: GAN, sampler: SamplerLike) -> Mover | Selector:
    """A sampler as it is, or the one of that name.

    Raises:
        ConfigError: If it is no sampler, or there is none of that name.
        InputError: As :func:`named_sampler`.
    """
    return check(
        "sampler", Sampler, named_sampler(gan, sampler) if isinstance(sampler, str) else sampler
    )


def as_proposal(gan: GAN, proposal: SamplerLike | None) -> Mover:
    """The mover whose law is meant: of a selector its proposal; the GAN's own by default.

    Raises:
        InputError: As :func:`as_sampler`.
    """
    chosen = as_sampler(gan, proposal or gan.proposal or Direct())
    return chosen.proposal if isinstance(chosen, Selector) else chosen


def as_samplers(gan: GAN, samplers: SamplersLike) -> dict[str, Mover | Selector]:
    """Samplers by the name of their row; those in a list are called by what they are.

    Raises:
        InputError: If one is no sampler, or two are the same.
    """
    if isinstance(samplers, str) or not isinstance(samplers, Iterable):
        samplers = [samplers]
    if isinstance(samplers, Mapping):
        pairs = [(str(name), one) for name, one in samplers.items()]
    else:
        pairs = _called(list(samplers))
    if not pairs:
        raise InputError("samplers: got none; give one or more, such as ['direct', OBRS()]")
    found: dict[str, Mover | Selector] = {}
    for name, one in pairs:
        if name in found:
            raise InputError(f"samplers: {name} is given twice")
        try:
            found[name] = named_sampler(gan, one) if isinstance(one, str) else one
        except InputError as error:
            raise type(error)(f"{name}: {error}" if name != one else str(error)) from None
        check(name, Sampler, found[name])
    return found


def _called(samplers: list[SamplerLike]) -> list[tuple[str, SamplerLike]]:
    """Each under the name of its kind; where that is not enough, with its settings."""
    names = [one if isinstance(one, str) else sampler_label(one, brief=True) for one in samplers]
    return [
        (name if isinstance(one, str) or names.count(name) == 1 else sampler_label(one), one)
        for name, one in zip(names, samplers, strict=True)
    ]


def sampler_label(sampler: Any, *, brief: bool = False) -> str:
    """A sampler's name, that of its proposals unless these are plain, and what was set in it.

    Args:
        sampler: A mover or a selector.
        brief: Without what was set.

    Example:
        >>> from gantandem import OBRS, Refine
        >>> sampler_label(OBRS(expected=2.0, proposal=Refine(steps=5)))
        'obrs(refine steps=5) expected=2'
    """
    if not dataclasses.is_dataclass(sampler) or isinstance(sampler, type):
        return show(sampler)
    label, given = to_config(sampler)["name"], []
    for field in dataclasses.fields(sampler):
        value = getattr(sampler, field.name)
        if not field.init or value == _default(field):
            continue
        if isinstance(value, Mover | Selector):
            label += f"({sampler_label(value, brief=brief)})"
        elif not brief:
            given.append(f" {field.name}={f'{value:g}' if isinstance(value, float) else value}")
    return label + "".join(given)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
