"""Keyed draws from ``torch.distributions``, and their descriptions.

A distribution is drawn from keyed uniforms through its inverse distribution function (torch's, or
SciPy's in float64), or through the normals, gammas and components that it is built of. So a draw is
a function of the key, the id and the attempt alone, and never of what is drawn beside it.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn
from torch import distributions as dist
from torch.distributions import constraints
from torch.distributions.utils import lazy_property

from gantandem.nets.hashing import weights_hash
from gantandem.rng import Key, stable

_ROWS, _ELEMENTS = 64, 32768  # as in rng.stable: whole vectors, on one thread
LISTED = 64
"""A parameter of more numbers than this is described by its shape and a hash."""

INVERSES: dict[type[dist.Distribution], Callable[[Any, Any], Any]] = {
    dist.Gamma: lambda p, u: special.gammaincinv(p("concentration"), u) / p("rate"),
    dist.Beta: lambda p, u: special.betaincinv(p("concentration1"), p("concentration0"), u),
    dist.StudentT: lambda p, u: p("loc") + p("scale") * special.stdtrit(p("df"), u),
    dist.FisherSnedecor: lambda p, u: special.fdtri(p("df1"), p("df2"), u),
    dist.Bernoulli: lambda p, u: u < p("probs"),
}
"""From a law's parameters by name, and uniforms, to its draws: float64 arrays."""

ALLOWED = (
    "a continuous law with an inverse distribution function (icdf), Beta, Gamma, StudentT, "
    "FisherSnedecor, Dirichlet, MultivariateNormal, LowRankMultivariateNormal, Bernoulli, "
    "Categorical, OneHotCategorical, and Independent, transformed or MixtureSameFamily forms of "
    "these"
)


def draw(law: dist.Distribution, key: Key, ids: Tensor, attempts: Tensor | int = 0) -> Tensor:
    """Draw from a law once for each id, (N, *batch_shape, *event_shape).

    Raises:
        NotImplementedError: If the law is not among what can be drawn.
    """
    shape = tuple(law.batch_shape) + tuple(law.event_shape)

    def uniform(purpose: str = "", extra: tuple[int, ...] = shape) -> Tensor:
        own = key.fold(purpose) if purpose else key
        return own.uniform(ids, attempts, shape=extra)

    match law:
        case dist.MultivariateNormal():
            noise = key.normal(ids, attempts, shape=shape)
            return law.loc + (law._unbroadcasted_scale_tril @ noise.unsqueeze(-1)).squeeze(-1)
        case dist.LowRankMultivariateNormal():
            rank = (*law.batch_shape, law.cov_factor.shape[-1], 1)
            common = key.fold("factor").normal(ids, attempts, shape=rank)
            own = law.cov_diag.sqrt() * key.normal(ids, attempts, shape=shape)
            return law.loc + (law.cov_factor @ common).squeeze(-1) + own
        case dist.Independent():
            return draw(law.base_dist, key, ids, attempts)
        case dist.TransformedDistribution() if type(law).icdf is dist.TransformedDistribution.icdf:
            value = draw(law.base_dist, key, ids, attempts)
            for step in law.transforms:
                transform: Any = step  # torch's annotation says that it may return None
                value = by_rows(transform, value)
            return value
        case dist.MixtureSameFamily():
            every = draw(law.component_distribution, key.fold("component"), ids, attempts)
            chosen = _choose(law.mixture_distribution, uniform("choice", tuple(law.batch_shape)))
            index = chosen.view(*chosen.shape, *[1] * (1 + len(law.event_shape)))
            return every.take_along_dim(index, chosen.dim()).squeeze(chosen.dim())
        case dist.Categorical() | dist.OneHotCategorical():
            chosen = _choose(law, uniform("", tuple(law.batch_shape)))
            one_hot = isinstance(law, dist.OneHotCategorical)
            return (nn.functional.one_hot(chosen, shape[-1]) if one_hot else chosen).float()
        case dist.Dirichlet():
            return _dirichlet(law.concentration, uniform(), uniform("power"))
    for kind, inverse in INVERSES.items():
        if isinstance(law, kind):
            return _inverted(law, inverse, uniform())
    return by_rows(law.icdf, uniform())


def truncated_normal(uniform: Tensor, psi: float) -> Tensor:
    """Map uniforms in (0, 1) to the standard normal law given |z| < psi.

    Its distribution function is (1 + erf(z / sqrt 2) / erf(psi / sqrt 2)) / 2, inverted here.

    Args:
        uniform: Of any shape, float32.
        psi: Threshold in standard deviations.

    Returns:
        Float32 of the same shape.
    """
    inside = math.erf(psi / math.sqrt(2))
    return stable(torch.erfinv, (2 * uniform.double() - 1) * inside).mul(math.sqrt(2)).float()


def by_rows(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function of rows so that a row's bits do not depend on its place (see rng.stable).

    Args:
        function: From (M, ...) to M rows, for any M; it may treat the columns differently.
        x: (N, ...).
    """
    padding = x.new_full((-len(x) % _ROWS, *x.shape[1:]), 0.5)
    rows = max(1, _ELEMENTS // (_ROWS * math.prod(x.shape[1:]))) * _ROWS
    parts = torch.cat([x, padding]).split(rows)
    return torch.cat([function(part) for part in parts])[: len(x)]


def _inverted(law: Any, inverse: Callable[[Any, Any], Any], uniform: Tensor) -> Tensor:
    def parameter(name: str) -> np.ndarray:
        return getattr(law, name).detach().double().cpu().numpy()

    value = torch.from_numpy(np.asarray(inverse(parameter, uniform.double().cpu().numpy())))
    like = getattr(law, next(iter(law.arg_constraints)))
    return _within(law.support, value.to(like.device, like.dtype))


def _within(support: Any, value: Tensor) -> Tensor:
    """Off a border that only rounding reaches, where a density may be infinite, as torch does."""
    info = torch.finfo(value.dtype)
    if support is constraints.unit_interval:
        return value.clamp(info.tiny, 1 - info.eps / 2)
    low = getattr(support, "lower_bound", None)
    return value.clamp(min=info.tiny) if low == 0 and not support.is_discrete else value


def _dirichlet(concentration: Tensor, uniform: Tensor, power: Tensor) -> Tensor:
    """Gammas over their sum; of a, as one of a + 1 times u^(1/a), in logs: a may be small."""
    a = concentration.detach().double().cpu().numpy()
    gamma = special.gammaincinv(a + 1, uniform.double().cpu().numpy())
    log_gamma = np.log(gamma) + np.log(power.double().cpu().numpy()) / a
    share = special.softmax(log_gamma, axis=-1)
    value = torch.from_numpy(share).to(concentration.device, concentration.dtype)
    return value.clamp(min=torch.finfo(value.dtype).tiny)


def _choose(law: Any, uniform: Tensor) -> Tensor:
    """Categories by their cumulated probabilities, int64 of the uniforms' shape."""
    below = law.probs.detach().double().cumsum(-1)[..., :-1]
    return (uniform.double().unsqueeze(-1) >= below).sum(-1)


def describe(value: Any) -> Any:
    """A distribution and all it is built of, as JSON-ready values."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Tensor():
            if value.numel() <= LISTED:
                return describe(value.tolist())
            raw = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
            digest = hashlib.blake2b(raw, digest_size=8).hexdigest()
            return {"shape": list(value.shape), "digest": digest}
        case nn.Module():
            return {"law": type(value).__qualname__, "weights": weights_hash(value)}
        case list() | tuple():
            return [describe(one) for one in value]
        case dist.Distribution() | dist.Transform():
            return {"law": type(value).__qualname__, "parameters": _parameters(value)}
    return type(value).__qualname__


def _parameters(value: Any) -> dict[str, Any]:
    """What it was made of; of two forms of one parameter, such as probs and logits, the first."""
    kind = type(value)
    lazy = {n for n in dir(kind) if isinstance(inspect.getattr_static(kind, n), lazy_property)}
    kept = {name for name in vars(value) if not name.startswith("_")} - lazy
    kept |= set(getattr(value, "arg_constraints", {})) - (lazy - {"probs", "scale_tril"})
    if "probs" in kept:
        kept.discard("logits")
    if isinstance(value, dist.MixtureSameFamily):
        kept |= {"mixture_distribution", "component_distribution"}
    return {name: describe(getattr(value, name, None)) for name in sorted(kept)}
