"""Priors over the generator's latent, drawn from a :class:`~gantandem.rng.Key`."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch import distributions as dist

from gantandem.errors import ConfigError, InputError
from gantandem.latent.base import Latent
from gantandem.latent.distributions import ALLOWED, describe, draw, truncated_normal
from gantandem.latent.inputs import Inputs
from gantandem.rng import Key
from gantandem.settings import Count, Interval, Rule, check, show

PRIORS = "gt.Normal(2), gt.Normal((100, 1, 1)), gt.Uniform(62, -1, 1)"
"""As they are written, for messages."""

Shape = tuple[int, ...]
Dim: Any = Count | Annotated[tuple[Count, ...], Rule("a shape such as (100, 1, 1)", bool)]


def _as_shape(dim: int | Shape) -> Shape:
    return (dim,) if isinstance(dim, int) else dim


@dataclass(frozen=True)
class Normal(Latent):
    """The standard normal: z of shape (N, dim), or (N, *dim) where ``dim`` is a shape."""

    dim: int | Shape
    kind: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        """Check the dimension."""
        object.__setattr__(self, "dim", check("latent dim", Dim, self.dim))

    @property
    def shape(self) -> Shape:
        """Of one latent."""
        return _as_shape(self.dim)

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id, (N, *shape)."""
        return key.normal(ids, attempts, shape=self.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, (N,)."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)

    def log_prob_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Log density, (N,) float64, and its gradient -z."""
        return self.log_prob(z.double()), -z

    @property
    def mean(self) -> float:
        """0, of every coordinate."""
        return 0.0

    @property
    def spherical(self) -> bool:
        """No rotation changes it."""
        return True

    def truncated(self, key: Key, ids: Tensor, attempts: Tensor | int, psi: float) -> Tensor:
        """Draw with every coordinate within psi of 0, (N, *shape)."""
        return truncated_normal(key.uniform(ids, attempts, shape=self.shape), psi)

    def clipped(self, z: Tensor, psi: float) -> Tensor:
        """Clip every coordinate to within psi of 0."""
        return z.clamp(-psi, psi)

    def keep_inside(self, z: Tensor, before: Tensor) -> Tensor:
        """It has no border."""
        return z

    def config(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Uniform(Latent):
    """The uniform law on [low, high]: z of shape (N, dim), or (N, *dim) where it is a shape."""

    dim: int | Shape
    low: float = -1.0
    high: float = 1.0
    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        """Check the dimension and the interval."""
        low, high = check("latent (low, high)", Interval, (self.low, self.high))
        for name, value in (("dim", check("latent dim", Dim, self.dim)), ("low", low)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "high", high)

    @property
    def shape(self) -> Shape:
        """Of one latent."""
        return _as_shape(self.dim)

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id, (N, *shape)."""
        return self.low + (self.high - self.low) * key.uniform(ids, attempts, shape=self.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, (N,): -inf outside the box."""
        inside = ((z >= self.low) & (z <= self.high)).flatten(1).all(1)
        level = -math.prod(self.shape) * math.log(self.high - self.low)
        return torch.where(inside, level, -math.inf)

    @property
    def mean(self) -> float:
        """The middle of the interval, of every coordinate."""
        return 0.5 * (self.low + self.high)

    def keep_inside(self, z: Tensor, before: Tensor) -> Tensor:
        """Clip to the box, as the authors of DOT and LOGAN do."""
        return z.clamp(self.low, self.high)

    def config(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Distribution(Latent):
    """Any ``torch.distributions`` object, of shape batch_shape + event_shape.

    Draws are keyed: through the inverse distribution function, or through the normals, gammas,
    components and transforms it is built of (see ``gantandem.latent.distributions``).

    Raises:
        InputError: If the object offers neither (for example VonMises). Then write a subclass of
            :class:`Latent`; three methods are all that it needs.
    """

    law: dist.Distribution
    kind: ClassVar[str] = "distribution"

    def __post_init__(self) -> None:
        """Check that the distribution can be drawn from a key."""
        try:
            self.draw(Key(0), torch.arange(2))
        except NotImplementedError as error:
            raise InputError(
                f"latent: {self.law} cannot be drawn from a key. Allowed is {ALLOWED}; for "
                "another law write a subclass of gantandem.Latent with draw, log_prob and config"
            ) from error

    def draw(self, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
        """Draw one latent for each id, (N, *shape)."""
        return draw(self.law, key, ids, attempts)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, (N,): -inf outside the support."""
        inside = self.law.support.check(z).reshape(len(z), -1).all(1)  # pyright: ignore
        one = self.draw(Key(0), torch.zeros(1, dtype=torch.int64, device=z.device))
        safe = torch.where(inside.view(-1, *[1] * (z.dim() - 1)), z, one)
        log_prob = self.law.log_prob(safe)
        return torch.where(inside, log_prob.reshape(len(z), -1).sum(1), -math.inf)

    @property
    def mean(self) -> Tensor | None:
        """The law's, where it is continuous and has a finite one."""
        with contextlib.suppress(NotImplementedError):  # transformed laws may not know theirs
            mean = self.law.mean
            if bool(mean.isfinite().all()) and not self.discrete:
                return mean
        return None

    @property
    def discrete(self) -> bool:
        """As the law's support says, if it does."""
        with contextlib.suppress(NotImplementedError):
            return bool(self.law.support.is_discrete)  # pyright: ignore
        return False

    def truncated(self, key: Key, ids: Tensor, attempts: Tensor | int, psi: float) -> Tensor:
        """Draw from independent normals within psi standard deviations, (N, *shape)."""
        law = self._normal
        if law is None:
            return super().truncated(key, ids, attempts, psi)
        uniform = key.uniform(ids, attempts, shape=tuple(law.batch_shape))
        return law.loc + law.scale * truncated_normal(uniform, psi)

    def clipped(self, z: Tensor, psi: float) -> Tensor:
        """Clip independent normals to within psi standard deviations."""
        law = self._normal
        if law is None:
            return super().clipped(z, psi)
        return z.clamp(law.loc - psi * law.scale, law.loc + psi * law.scale)

    @property
    def _normal(self) -> dist.Normal | None:
        """The law of independent normals that it is, if it is one."""
        law = self.law
        while isinstance(law, dist.Independent):
            law = law.base_dist
        return law if isinstance(law, dist.Normal) else None

    def __str__(self) -> str:
        """The law as torch shows it."""
        return str(self.law)

    def config(self) -> dict[str, Any]:
        """The distribution and all it is built of, with their parameters."""
        return {"kind": self.kind, **describe(self.law)}


def make_latent(config: dict[str, Any]) -> Latent:
    """Build a latent from its configuration, as ``config()`` gives it.

    Raises:
        ConfigError: If the kind is unknown or a setting does not fit.
    """
    kinds = {"normal": Normal, "uniform": Uniform}
    settings = {k: v for k, v in config.items() if k != "kind"}
    if config.get("kind") == "inputs" and isinstance(config.get("folder"), str):
        size = config.get("size")
        return Inputs(config["folder"], config.get("order", "each"), size and tuple(size))
    if not isinstance(config.get("kind"), str) or config["kind"] not in kinds:
        what = " ".join(str(config[part]) for part in ("kind", "law") if part in config)
        raise ConfigError(
            f"latent kind: got {what!r}; allowed in a file are {', '.join(kinds)}. Pass another "
            "prior when you load: GAN.load(path, latent=...)"
        )
    try:
        return kinds[config["kind"]](**settings)
    except TypeError as error:
        raise ConfigError(f"latent: {error}; got {settings}") from None


def check_latent(latent: Latent, device: torch.device) -> None:
    """Try a prior of the user's own: rows from the key alone, densities by row, JSON settings.

    Raises:
        InputError: Naming the method that does not do what :class:`Latent` says.
    """
    if isinstance(latent, Normal | Uniform | Distribution | Inputs):
        return
    name, key = f"latent {type(latent).__name__}", Key(0).fold("example")
    ids = torch.arange(64, device=device)
    try:
        z, later, part = (latent.draw(key, *of) for of in ((ids, 0), (ids, 1), (ids[9:20], 0)))
        shape = tuple(latent.log_prob(z).shape)
        json.dumps(dict(latent.config()))
    except Exception as error:
        raise InputError(
            f"{name}: a call failed ({type(error).__name__}: {error}); a prior needs draw(key, "
            "ids, attempts) and log_prob(z), which return a tensor with one row for each id or "
            "latent, and config(), which returns values that JSON can hold"
        ) from error
    if z.shape[:1] != ids.shape or shape != ids.shape:
        raise InputError(
            f"{name}: for 64 ids, draw returns {tuple(z.shape)} and log_prob {shape}; allowed are "
            "(64, ...) and (64,)"
        )
    if part.shape != z[9:20].shape or not torch.allclose(part, z[9:20], rtol=1e-3, atol=1e-5):
        raise InputError(
            f"{name}: draw returns different latents for the same id in two calls. Use only "
            "random numbers of the key, key.uniform(ids, attempts, shape=...), and compute each "
            "row independently"
        )
    if bool((z != z[:1]).any()) and torch.equal(z, later):
        raise InputError(
            f"{name}: draw returns the same latent for every attempt of an id; it must depend on "
            "attempts"
        )
    if not bool((latent.log_prob(z) > -torch.inf).all()):
        raise InputError(f"{name}: log_prob is NaN or -inf for latents from draw")


def as_latent(latent: Latent | dist.Distribution | int | Shape) -> Latent:
    """Take a latent, a ``torch.distributions`` object, or a size or shape (standard normal)."""
    if isinstance(latent, int | np.integer | tuple | list):
        return Normal(latent)
    if isinstance(latent, dist.Distribution):
        return Distribution(latent)
    if isinstance(latent, Latent):
        return latent
    got = show(latent) if isinstance(latent, str) else type(latent).__name__
    raise InputError(
        f"latent: got {got}; allowed are priors such as {PRIORS}, a size or a shape of a standard "
        "normal, a torch.distributions object, Inputs(...) of images or other inputs of the "
        "generator, or an instance of your own subclass of gantandem.Latent with draw, log_prob "
        "and config"
    )
