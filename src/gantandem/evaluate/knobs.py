"""Knobs of samplers: which settings a sweep varies, how it is spelled, and what it may hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from gantandem.errors import ConfigError, near
from gantandem.files import Loader
from gantandem.samplers.base import Mover, Selector
from gantandem.settings import check, kinds, to_config


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A knob and the values it takes, one after the other.

    Args:
        knob: Name of a setting; dotted inside a nested sampler, for example ``proposal.steps``.
        values: At least one, none twice.

    Raises:
        ConfigError: If there is no value, or one twice.
    """

    knob: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.values:
            raise ConfigError(f"sweep of {self.knob}: no value was given; give one or more")
        for index, value in enumerate(self.values):
            if value in self.values[:index]:
                raise ConfigError(f"sweep of {self.knob}: value {show_value(value)} is given twice")


SWEEPS: dict[str, Sweep] = {
    "direct": Sweep("truncation", (0.5, 1.0, 1.5, 2.0, None)),
    "refine": Sweep("steps", (2, 5, 10, 25, 50)),
    "dgflow": Sweep("steps", (5, 10, 25, 50)),
    "dot": Sweep("steps", (5, 10, 30, 100)),
    "latent_opt": Sweep("steps", (1, 3, 10, 30)),
    "ula": Sweep("steps", (5, 20, 50, 100)),
    "mala": Sweep("steps", (5, 20, 50, 100)),
    "ex2mcmc": Sweep("rounds", (1, 3, 5, 10)),
    "wlgan": Sweep("steps", (20, 50, 100, 200)),
    "metropolis": Sweep("proposals", (2, 5, 10, 20, 50)),
    "rejection": Sweep("log_max", (0.69, 1.61, 2.3, 3.0, 3.91)),  # M = 2, 5, 10, 20, 50
    "drs": Sweep("percentile", (50.0, 80.0, 90.0, 95.0, 99.0)),
    "obrs": Sweep("expected", (1.5, 2.0, 4.0, 8.0, 16.0)),
    "sir": Sweep("proposals", (2, 5, 10, 20, 50)),
    "isir": Sweep("rounds", (1, 2, 5, 10, 20)),
}
"""What a plain ``--sweep`` varies, by the name of the built-in sampler; others are one point.

The knobs of selectors leave the law of the proposals alone, so one ratio serves all their points.
``collaborative`` is an ``obrs`` and swept as one.
"""


class Planned(NamedTuple):
    """One setting to measure."""

    name: str
    knob: str | None
    value: Any
    sampler: Mover | Selector

    @property
    def label(self) -> str:
        """What to call it."""
        if self.knob is None:
            return self.name
        return f"{self.name} {self.knob}={show_value(self.value)}"


def parse_sweep(text: str) -> tuple[str, Sweep]:
    """Read ``SAMPLER.KNOB=VALUE,VALUE,...``; the values are YAML, knobs of a proposal dotted.

    Raises:
        ConfigError: If it is of another form.
    """
    left, equals, raw = text.partition("=")
    start = left.find(":") + 1  # the dots in "module.of:Name" do not part name and knob
    head, _, knob = left[start:].partition(".")
    if not equals or not head or not all(knob.split(".")):
        raise ConfigError(
            f"sweep {text!r}: allowed is SAMPLER.KNOB=VALUE,VALUE,..., for example "
            "obrs.expected=2,4,8,16, or 'default'"
        )
    try:
        values = yaml.load(f"[{raw}]", Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError:
        raise ConfigError(f"sweep {text!r}: {raw!r} is not a list of values") from None
    values = tuple(tuple(one) if isinstance(one, list) else one for one in values)
    return left[:start] + head, Sweep(knob, values)


def default_sweeps(samplers: Mapping[str, Mover | Selector]) -> dict[str, list[Sweep]]:
    """Look up each sampler's entry in ``SWEEPS`` by its kind, whatever it is called."""
    found = {name: SWEEPS.get(to_config(sampler)["name"]) for name, sampler in samplers.items()}
    return {name: [] if one is None else [one] for name, one in found.items()}


def plan(
    samplers: Mapping[str, Mover | Selector], sweeps: Mapping[str, Sequence[Sweep]]
) -> list[Planned]:
    """List the settings of a sweep, all of them checked before any is measured.

    Several knobs of one sampler are varied one at a time, not crossed.

    Args:
        samplers: By name.
        sweeps: By the name of a sampler; one without is a single point.

    Raises:
        ConfigError: If a sampler or a knob is unknown or given twice, or a value is of a wrong
            type.
        InputError: If a value is out of range.
    """
    for name in sweeps:
        if name not in samplers:
            raise ConfigError(f"sweep: unknown sampler {name!r}; {near(name, samplers)}")
    planned: list[Planned] = []
    for name, sampler in samplers.items():
        lines = sweeps.get(name, ())
        knobs = [line.knob for line in lines]
        for knob in sorted({knob for knob in knobs if knobs.count(knob) > 1}):
            raise ConfigError(f"sweep: {name}.{knob} is given twice; give all its values at once")
        for line in lines:
            path = line.knob.split(".")
            planned += [
                Planned(name, line.knob, value, _turn(sampler, f"{name}.{line.knob}", path, value))
                for value in line.values
            ]
        if not lines:
            planned.append(Planned(name, None, None, sampler))
    return planned


def show_value(value: Any) -> str:
    """A knob's value for people."""
    if isinstance(value, tuple):
        return f"({', '.join(map(show_value, value))})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _turn(sampler: Any, where: str, path: Sequence[str], value: Any) -> Any:
    """The sampler with the setting at a path changed."""
    part, *rest = path
    kind = type(sampler)
    names = [field.name for field in dataclasses.fields(sampler) if field.init]
    if part not in names:
        raise ConfigError(
            f"sweep {where}: {sampler.name} has no knob {part!r}; {near(part, names)}"
        )
    inner: Any = getattr(sampler, part)
    nested = dataclasses.is_dataclass(inner)
    if rest and not nested:
        raise ConfigError(f"sweep {where}: {part} is {inner!r}, so it has no knobs inside")
    if nested and not rest:
        inside = ", ".join(f"{part}.{field.name}" for field in dataclasses.fields(inner))
        raise ConfigError(
            f"sweep {where}: {part} is a sampler; allowed are its settings: "
            f"{inside or 'it has none'}"
        )
    if rest:
        return dataclasses.replace(sampler, **{part: _turn(inner, where, rest, value)})
    value = check(f"sweep {where}", kinds(kind).get(part), value)
    return dataclasses.replace(sampler, **{part: value})
