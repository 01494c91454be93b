"""Maps from logits to calibrated log ratios: isotonic (Zadrozny and Elkan 2002), Platt (1999)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from gantandem.condition import is_labels
from gantandem.errors import ConfigError, InputError
from gantandem.settings import from_values, show


@runtime_checkable
class Calibrator(Protocol):
    """Maps (N,) float64 logits to (N,) calibrated log ratios."""

    def __call__(self, logit: Tensor, cond: Tensor | None = None) -> Tensor:
        """Calibrate; ``cond`` are the (N, ...) conditions, if there are any."""
        ...

    def config(self) -> dict[str, Any]:
        """The fitted constants as JSON-ready values."""
        ...


@dataclass(frozen=True)
class Isotonic:
    """A monotone map, linear between the fitted knots and constant outside them.

    Args:
        logits: Knots.
        probs: Probability of real at each knot, inside [1/(2n), 1 - 1/(2n)], n the calibration
            size, so that a ratio is never 0 or infinite.
        correction: log(n_real / n_generated) of the calibration set, subtracted.
    """

    logits: tuple[float, ...]
    probs: tuple[float, ...]
    correction: float
    kind: ClassVar[str] = "isotonic"

    def __post_init__(self) -> None:
        """Check that the knots make a map.

        Raises:
            ConfigError: If they do not.
        """
        x, y = self.logits, self.probs
        rising = all(a < b for a, b in pairwise(x)) and all(a <= b for a, b in pairwise(y))
        if len(x) < 2 or len(x) != len(y) or not rising or not all(0 < p < 1 for p in y):
            raise ConfigError(
                f"calibrator: {len(x)} logits and {len(y)} probs do not make an increasing map "
                "into (0, 1)"
            )

    def __call__(self, logit: Tensor, cond: Tensor | None = None) -> Tensor:
        """Interpolate the probability, then take log odds."""
        x, y = self._knots(logit.device)
        right = torch.searchsorted(x, logit.contiguous()).clamp(1, len(x) - 1)
        share = ((logit - x[right - 1]) / (x[right] - x[right - 1])).clamp(0, 1)
        prob = torch.lerp(y[right - 1], y[right], share)
        return torch.where(logit.isnan(), torch.nan, torch.logit(prob) - self.correction)

    def _knots(self, device: torch.device) -> Tensor:
        """Logits and probabilities of the knots, (2, K): kept on a device once they are there."""
        kept = vars(self).setdefault("_kept", {})
        if device not in kept:
            knots = (self.logits, self.probs)
            kept[device] = torch.tensor(knots, dtype=torch.float64, device=device)
        return kept[device]

    def config(self) -> dict[str, Any]:
        """The fitted constants."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Platt:
    """An affine map of the logit: log odds of real = slope * logit + intercept.

    Args:
        slope: Fitted by logistic regression.
        intercept: Likewise.
        bound: Log odds are clipped to [-bound, bound], log(2n - 1) of the calibration size n.
        correction: log(n_real / n_generated) of the calibration set, subtracted.
        top: The log ratio is at most this; None leaves it to ``bound``.
    """

    slope: float
    intercept: float
    bound: float
    correction: float
    top: float | None = None
    kind: ClassVar[str] = "platt"

    def __call__(self, logit: Tensor, cond: Tensor | None = None) -> Tensor:
        """Map and clip."""
        odds = self.slope * logit + self.intercept
        log_ratio = odds.clamp(-self.bound, self.bound) - self.correction
        return log_ratio if self.top is None else log_ratio.clamp(max=self.top)

    def config(self) -> dict[str, Any]:
        """The fitted constants."""
        values = asdict(self)
        if self.top is None:
            del values["top"]
        return {"kind": self.kind, **values}


@dataclass(frozen=True)
class PerClass:
    """A map of its own for each label, and one fitted on all classes together for the others.

    Args:
        labels: With a map of their own.
        maps: In the order of ``labels``.
        pooled: For every other label.
    """

    labels: tuple[int, ...]
    maps: tuple[Calibrator, ...]
    pooled: Calibrator
    kind: ClassVar[str] = "per-class"

    def __post_init__(self) -> None:
        """Check that every label has a map.

        Raises:
            ConfigError: If not.
        """
        if len(self.labels) != len(self.maps):
            raise ConfigError(f"calibrator: {len(self.maps)} maps for {len(self.labels)} labels")

    def __call__(self, logit: Tensor, cond: Tensor | None = None) -> Tensor:
        """Map every logit by the map of its label.

        Raises:
            InputError: If the labels are missing.
        """
        if cond is None or not is_labels(cond):
            raise InputError("a calibration per class needs the label of every sample, (N,) int64")
        log_ratio = self.pooled(logit)
        for label, single in zip(self.labels, self.maps, strict=True):
            log_ratio = torch.where(cond == label, single(logit), log_ratio)
        return log_ratio

    def config(self) -> dict[str, Any]:
        """The fitted constants."""
        return {
            "kind": self.kind,
            "labels": list(self.labels),
            "maps": [single.config() for single in self.maps],
            "pooled": self.pooled.config(),
        }


def make_calibrator(config: dict[str, Any]) -> Calibrator:
    """Build a calibrator from what ``config()`` gave.

    Raises:
        ConfigError: If the kind is unknown or a constant is missing.
    """
    kinds: dict[str, Any] = {"isotonic": Isotonic, "platt": Platt, "per-class": PerClass}
    values = dict(config) if isinstance(config, Mapping) else {}
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"calibrator: got {show(config)}, allowed kinds are {', '.join(kinds)}")
    if kind == PerClass.kind and isinstance(values.get("maps"), list | tuple):
        values["maps"] = tuple(map(make_calibrator, values["maps"]))
        values["pooled"] = make_calibrator(values.get("pooled", {}))
    return from_values("calibrator", kinds[kind], values)


def fit_isotonic(logit: np.ndarray, label: np.ndarray) -> Isotonic:
    """Fit a monotone map from (N,) logits to (N,) labels, 1 for real and 0 for generated.

    One imagined generated sample joins the highest logit and one real sample the lowest. Without
    them the best few real samples make a block of their own whose ratio is 2n whatever the truth:
    on closed-form targets with ratios up to 4 that gave up to 20,000, and a mean of 1 to 4 for 1.
    """
    from sklearn.isotonic import IsotonicRegression

    size, real = len(label), int(label.sum())
    margin = 1 / (2 * size)
    model = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
    ends = [logit.min(), logit.max()]
    model.fit(np.concatenate([logit, ends]), np.concatenate([label, [1.0, 0.0]]))
    x, y = model.X_thresholds_, model.y_thresholds_
    if len(x) == 1:
        x, y = np.array([x[0], x[0] + 1.0]), np.array([y[0], y[0]])
    correction = math.log(real / (size - real))
    return Isotonic(tuple(map(float, x)), tuple(map(float, y)), correction)


def fit_platt(logit: np.ndarray, label: np.ndarray, *, least: int | None = None) -> Platt:
    """Fit a logistic regression from (N,) logits to (N,) labels, 1 for real and 0 for generated.

    Args:
        logit: Of any scale; a critic's scores will do.
        label: Of each.
        least: Bound the log ratio by what the samples bear out: the largest ratio, with a pseudo
            count for the generated ones, of the two kinds' shares above a logit that at least so
            many real samples reach. None sets no such bound.
    """
    from sklearn.linear_model import LogisticRegression

    size, real = len(label), int(label.sum())
    correction = math.log(real / (size - real))
    mean, scale = float(logit.mean()), float(logit.std()) or 1.0
    scaled = ((logit - mean) / scale)[:, None]
    model = LogisticRegression(C=np.inf if np.ptp(scaled) else 1.0, max_iter=1000)
    model.fit(scaled, label)
    slope = float(np.ravel(model.coef_)[0]) / scale
    intercept = float(np.ravel(model.intercept_)[0]) - slope * mean
    fitted = Platt(slope, intercept, math.log(2 * size - 1), correction)
    if least is None:
        return fitted
    odds = slope * logit
    levels, made = np.sort(odds[label == 1])[::-1], np.sort(odds[label == 0])
    reached = np.arange(1, real + 1)
    above = len(made) - np.searchsorted(made, levels) + 1
    shares = (reached / real) / (above / len(made))
    bound = math.log(shares[min(least, real) - 1 :].max())
    return replace(fitted, top=max(bound, 0.0))
