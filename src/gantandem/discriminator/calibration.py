"""Calibrate a ratio on held-out scores: isotonic (Zadrozny and Elkan 2002) or Platt (1999).

Calibrated values enter acceptance only: an isotonic map has no gradient.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from gantandem.data.real import Real
from gantandem.discriminator.parts import draw_all, split_real
from gantandem.errors import ConfigError, InputError
from gantandem.gan import GAN
from gantandem.samplers.base import Mover, Selector
from gantandem.samplers.direct import Direct
from gantandem.sampling import prepare


class Calibrator(Protocol):
    """Maps (N,) float64 logits to (N,) calibrated log ratios."""

    def __call__(self, logit: Tensor) -> Tensor:
        """Calibrate."""
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

    def __call__(self, logit: Tensor) -> Tensor:
        """Interpolate the probability, then take log odds."""
        x = torch.tensor(self.logits, dtype=torch.float64, device=logit.device)
        y = torch.tensor(self.probs, dtype=torch.float64, device=logit.device)
        right = torch.searchsorted(x, logit.contiguous()).clamp(1, len(x) - 1)
        share = ((logit - x[right - 1]) / (x[right] - x[right - 1])).clamp(0, 1)
        prob = torch.lerp(y[right - 1], y[right], share)
        return torch.where(logit.isnan(), torch.nan, torch.logit(prob) - self.correction)

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
    """

    slope: float
    intercept: float
    bound: float
    correction: float
    kind: ClassVar[str] = "platt"

    def __call__(self, logit: Tensor) -> Tensor:
        """Map and clip."""
        odds = self.slope * logit + self.intercept
        return odds.clamp(-self.bound, self.bound) - self.correction

    def config(self) -> dict[str, Any]:
        """The fitted constants."""
        return {"kind": self.kind, **asdict(self)}


def make_calibrator(config: dict[str, Any]) -> Calibrator:
    """Build a calibrator from what ``config()`` gave.

    Raises:
        ConfigError: If the kind is unknown or a constant is missing.
    """
    kinds = {"isotonic": Isotonic, "platt": Platt}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k != "kind"}
    try:
        return kinds[config["kind"]](**values)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"calibrator: cannot be read from {config} ({error})") from None


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


def fit_platt(logit: np.ndarray, label: np.ndarray) -> Platt:
    """Fit a logistic regression from (N,) logits to (N,) labels."""
    from sklearn.linear_model import LogisticRegression

    size, real = len(label), int(label.sum())
    model = LogisticRegression(C=np.inf).fit(logit[:, None], label)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Platt(slope, intercept, math.log(2 * size - 1), math.log(real / (size - real)))


def calibrate(
    gan: GAN,
    real: Real | Tensor,
    *,
    proposal: Mover | Selector | None = None,
    method: Literal["isotonic", "platt"] = "isotonic",
    n: int | None = None,
    width: int | None = None,
) -> GAN:
    """Put a calibrator on the ratio of a law, fitted on data that fitted nothing else.

    Args:
        gan: With a ratio for the law.
        real: (N, *x_shape) real samples, or a ``Real``; its ``calibrate`` part is used.
        proposal: The mover whose law it is; None takes the GAN's, or ``Direct()``.
        method: ``"isotonic"`` (any monotone error, needs some thousand samples) or ``"platt"``.
        n: Generated samples; None for as many as real ones.
        width: Lanes.

    Returns:
        A new GAN; gradients stay those of the uncalibrated network.

    Raises:
        InputError: If the method is unknown.
        LawMismatchError: If no ratio was fitted on that law.
    """
    fits = {"isotonic": fit_isotonic, "platt": fit_platt}
    if method not in fits:
        raise InputError(f"calibrate method: got {method!r}, allowed are 'isotonic' and 'platt'")
    mover, label, logit, passes = score_law(gan, real, "calibrate", proposal, n, width)
    law = gan.law(mover)
    calibrator = fits[method](logit, label)
    ratio = replace(gan.ratio(mover, quiet=True), calibrator=calibrator, diagnosis=None)
    new = gan.with_ratio(law, ratio)
    new.setup_passes += passes
    return new


def score_law(
    gan: GAN,
    real: Real | Tensor,
    part: Literal["calibrate", "test"],
    proposal: Mover | Selector | None,
    n: int | None,
    width: int | None,
    *,
    calibrated: bool = False,
) -> tuple[Mover, np.ndarray, np.ndarray, int]:
    """Score a part of the real data and as many proposals of a law.

    Returns:
        The prepared mover, (N,) labels (1 real, 0 generated), (N,) logits (or calibrated log
        ratios), and the passes spent.
    """
    held: Tensor = getattr(split_real(real), part)
    chosen = proposal or gan.proposal or Direct()
    mover, _ = prepare(gan, chosen.proposal if isinstance(chosen, Selector) else chosen)
    ratio = gan.ratio(mover, quiet=True)
    drawn = draw_all(gan, mover, n or len(held), part, width=width)
    score = ratio.log_ratio if calibrated else ratio.logit
    with gan.frozen():
        scores = [
            torch.cat([score(x.to(gan.device)).double() for x in values.split(1000)]).cpu().numpy()
            for values in (held, drawn.x)
        ]
    label = np.repeat([1.0, 0.0], [len(scores[0]), len(scores[1])])
    return mover, label, np.concatenate(scores), drawn.passes + len(label)
