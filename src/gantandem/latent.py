"""Priors over the generator's latent, drawn from a :class:`~gantandem.rng.Key`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch import distributions as dist

from gantandem.errors import ConfigError, InputError
from gantandem.rng import Key, stable
from gantandem.settings import Count, Interval, check


@runtime_checkable
class Latent(Protocol):
    """A prior over z."""

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id: (N,) int64 -> (N, *shape) float32."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of (N, *shape) latents, (N,); -inf outside the support."""
        ...

    def config(self) -> dict[str, Any]:
        """The settings as JSON-ready values; part of every law."""
        ...


@dataclass(frozen=True)
class Normal:
    """The standard normal in ``dim`` dimensions: z of shape (N, dim)."""

    dim: int
    kind: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        """Check the dimension."""
        object.__setattr__(self, "dim", check("latent dim", Count, self.dim))

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id, (N, dim)."""
        return key.normal(ids, attempts, shape=(self.dim,))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, (N,)."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)

    def config(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Uniform:
    """The uniform law on [low, high]^dim: z of shape (N, dim)."""

    dim: int
    low: float = -1.0
    high: float = 1.0
    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        """Check the dimension and the interval."""
        low, high = check("latent (low, high)", Interval, (self.low, self.high))
        for name, value in (("dim", check("latent dim", Count, self.dim)), ("low", low)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "high", high)

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id, (N, dim)."""
        return self.low + (self.high - self.low) * key.uniform(ids, attempts, shape=(self.dim,))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, (N,): -inf outside the box."""
        inside = ((z >= self.low) & (z <= self.high)).flatten(1).all(1)
        level = -self.dim * math.log(self.high - self.low)
        return torch.where(inside, level, -math.inf)

    def config(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Distribution:
    """Any ``torch.distributions`` object, of shape batch_shape + event_shape.

    Draws go through the inverse distribution function, or through the normal, independent and
    transformed distributions it is built of, so that they depend on the key alone.

    Raises:
        InputError: If the object offers neither (for example a mixture). Then write a class with
            ``draw``, ``log_prob`` and ``config``; three methods are all that a latent needs.
    """

    law: dist.Distribution
    kind: ClassVar[str] = "distribution"

    def __post_init__(self) -> None:
        """Check that the distribution can be drawn from a key."""
        try:
            self.draw(Key(0), torch.arange(2))
        except NotImplementedError as error:
            raise InputError(
                f"latent: {self.law} has no inverse distribution function (icdf). Allowed are "
                "distributions with one, MultivariateNormal, and Independent or transformed "
                "forms of these; for others write a class with draw, log_prob and config."
            ) from error

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id, (N, *shape)."""
        return _draw(self.law, key, ids, attempts)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, (N,): -inf outside the support."""
        inside = self.law.support.check(z).reshape(len(z), -1).all(1)  # pyright: ignore
        safe = torch.where(inside.view(-1, *[1] * (z.dim() - 1)), z, _draw_one(self.law, z))
        log_prob = self.law.log_prob(safe)
        return torch.where(inside, log_prob.reshape(len(z), -1).sum(1), -math.inf)

    def config(self) -> dict[str, Any]:
        """The settings as text: the distribution's own description and parameters."""
        values = {
            name: getattr(self.law, name).tolist()
            for name in self.law.arg_constraints
            if isinstance(getattr(self.law, name, None), Tensor)
        }
        return {"kind": self.kind, "law": str(self.law), "parameters": values}


def _draw_one(law: dist.Distribution, z: Tensor) -> Tensor:
    return _draw(law, Key(0), torch.zeros(1, dtype=torch.int64, device=z.device), 0)


def _draw(law: dist.Distribution, key: Key, ids: Tensor, attempts: Tensor | int) -> Tensor:
    shape = tuple(law.batch_shape) + tuple(law.event_shape)
    match law:
        case dist.MultivariateNormal():
            noise = key.normal(ids, attempts, shape=shape)
            return law.loc + (law._unbroadcasted_scale_tril @ noise.unsqueeze(-1)).squeeze(-1)
        case dist.Independent():
            return _draw(law.base_dist, key, ids, attempts)
        case dist.TransformedDistribution() if type(law).icdf is dist.TransformedDistribution.icdf:
            value: Any = _draw(law.base_dist, key, ids, attempts)
            for step in law.transforms:
                transform: Any = step
                by_element = transform.domain.event_dim == 0
                value = stable(transform, value) if by_element else transform(value)
            return value
        case _:
            # (N, *shape) elements beside the law's own parameters, padded by `stable` only where
            # the law is scalar: with parameters by row the shapes must stay aligned.
            uniform = key.uniform(ids, attempts, shape=shape)
            return law.icdf(uniform) if shape else stable(law.icdf, uniform)


def make_latent(config: dict[str, Any]) -> Latent:
    """Build a latent from its configuration, as ``config()`` gives it.

    Raises:
        ConfigError: If the kind is unknown or a setting does not fit.
    """
    kinds = {"normal": Normal, "uniform": Uniform}
    settings = {k: v for k, v in config.items() if k != "kind"}
    try:
        return kinds[config["kind"]](**settings)
    except KeyError:
        raise ConfigError(
            f"latent kind: got {config.get('kind')!r}, allowed are {', '.join(kinds)}"
        ) from None
    except TypeError as error:
        raise ConfigError(f"latent: {error}; got {settings}") from None


def as_latent(latent: Latent | dist.Distribution | int) -> Latent:
    """Take a latent, a ``torch.distributions`` object, or a dimension (standard normal)."""
    if isinstance(latent, int | np.integer):
        return Normal(latent)
    if isinstance(latent, dist.Distribution):
        return Distribution(latent)
    if isinstance(latent, Latent):
        return latent
    raise InputError(
        f"latent: got {type(latent).__name__}; allowed are Normal, Uniform, a torch.distributions "
        "object, or an object with draw, log_prob and config"
    )
