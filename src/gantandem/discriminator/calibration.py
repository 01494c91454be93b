"""Calibrate a ratio on held-out scores: isotonic (Zadrozny and Elkan 2002) or Platt (1999).

Calibrated values enter acceptance only: an isotonic map has no gradient.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from gantandem.condition import is_labels
from gantandem.data.real import RealData
from gantandem.discriminator.checks import check_discriminator
from gantandem.discriminator.held_out import check_unseen, remember
from gantandem.discriminator.parts import asked_alike, draw_all, parts_for
from gantandem.engine.sampling import prepare
from gantandem.errors import ConfigError, InputError, NonFiniteError
from gantandem.gan import GAN
from gantandem.samplers.base import Mover, Selector
from gantandem.samplers.direct import Direct
from gantandem.settings import Count, check

logger = logging.getLogger(__name__)

ISOTONIC_FROM = 4000
"""``method="auto"`` takes an isotonic map from so many real and generated samples on."""
CLASS_MIN = 100
"""Fewer real or generated samples of a label do not make a map of their own."""


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

    def __call__(self, logit: Tensor, cond: Tensor | None = None) -> Tensor:
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
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k != "kind"}
    try:
        if config["kind"] == PerClass.kind:
            values["maps"] = tuple(map(make_calibrator, config["maps"]))
            values["pooled"] = make_calibrator(config["pooled"])
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


def calibrate(
    gan: GAN,
    real: RealData,
    *,
    proposal: Mover | Selector | None = None,
    method: Literal["auto", "isotonic", "platt"] = "auto",
    per_class: bool = False,
    n: int | None = None,
    width: int | None = None,
) -> GAN:
    """Put a calibrator on the ratio of a law, fitted on data that fitted nothing else.

    Args:
        gan: With a ratio for the law.
        real: (N, *x_shape) real samples, the pair of these and their conditions, or a ``Real``;
            its ``calibrate`` part is used.
        proposal: The mover whose law it is; None takes the GAN's, or ``Direct()``.
        method: ``"isotonic"`` (any monotone error, needs some thousand samples) or ``"platt"``
            (two numbers); ``"auto"`` takes Platt's below 4,000 real or generated samples.
        per_class: Fit a map for each label of a GAN with class labels. A label with fewer than
            100 real or 100 generated samples keeps the map fitted on all classes, which is logged.
        n: Generated samples; None for as many as real ones.
        width: Lanes.

    Returns:
        A new GAN; gradients stay those of the uncalibrated network.

    Raises:
        InputError: If the method is unknown, the conditions do not fit the GAN, or
            ``per_class`` is asked where conditions are no labels.
        LawMismatchError: If no ratio was fitted on that law.
    """
    fits = {"isotonic": fit_isotonic, "platt": fit_platt}
    if method not in (*fits, "auto"):
        raise InputError(
            f"calibrate method: got {method!r}, allowed are 'auto', 'isotonic' and 'platt'"
        )
    check("calibrate gan", GAN, gan)
    scored = score_law(gan, real, "calibrate", proposal, n, width)
    if method == "auto":
        few = min(scored.label.sum(), len(scored.label) - scored.label.sum()) < ISOTONIC_FROM
        method = "platt" if few else "isotonic"
    calibrator: Calibrator = fits[method](scored.score, scored.label)
    if per_class:
        calibrator = _fit_per_class(fits[method], calibrator, scored)
    ratio = gan.ratio(scored.mover, quiet=True, stale=True)
    ratio = replace(ratio, calibrator=calibrator, diagnosis=None)
    ratio = remember(ratio, "calibrate", scored.held)
    new = gan.with_ratio(gan.law(scored.mover), ratio)
    new.setup_passes += scored.passes
    return new


def _fit_per_class(
    fit: Callable[[np.ndarray, np.ndarray], Calibrator], pooled: Calibrator, scored: Scored
) -> PerClass:
    if scored.cond is None or not is_labels(scored.cond):
        raise InputError(
            "calibrate per_class: allowed where the GAN's condition is a class label, (N,) int64; "
            f"this GAN has {'no condition' if scored.cond is None else 'tensors'}"
        )
    maps: dict[int, Calibrator] = {}
    few: list[int] = []
    for label in scored.cond.unique().tolist():
        own = (scored.cond == label).numpy()
        real = int(scored.label[own].sum())
        if min(real, int(own.sum()) - real) < CLASS_MIN:
            few.append(label)
        else:
            maps[label] = fit(scored.score[own], scored.label[own])
    if few:
        logger.warning(
            "calibrate per_class: labels %s have fewer than %d real or generated samples and keep "
            "the map of all classes together",
            few,
            CLASS_MIN,
        )
    return PerClass(tuple(maps), tuple(maps.values()), pooled)


class Scored(NamedTuple):
    """Scores of real samples and proposals.

    ``mover`` is prepared, ``label`` (N,) 1 for real and 0 for generated, ``score`` (N,) logits or
    calibrated log ratios, ``cond`` (N, ...) conditions or None, ``passes`` what was spent,
    ``held`` the real samples, ``seen`` the share of them that the ratio was fitted on.
    """

    mover: Mover
    label: np.ndarray
    score: np.ndarray
    cond: Tensor | None
    passes: int
    held: Tensor
    seen: float


def score_law(
    gan: GAN,
    real: RealData,
    part: Literal["calibrate", "test"],
    proposal: Mover | Selector | None,
    n: int | None,
    width: int | None,
    *,
    calibrated: bool = False,
) -> Scored:
    """Score a part of the real data and as many proposals of a law, under the same conditions."""
    n = check("n", Count | None, n)
    parts = parts_for(gan, real, f"{part} real")
    check_discriminator(gan, parts)
    held = parts.rows(part)
    chosen = proposal or gan.proposal or Direct()
    mover, _ = prepare(gan, chosen.proposal if isinstance(chosen, Selector) else chosen)
    ratio = gan.ratio(mover, quiet=True, stale=True)
    if calibrated and ratio.calibrator is not None:
        ratio = gan.ratio(mover, quiet=True)  # its calibrator must speak of these weights
    asked = asked_alike(gan, held, part)
    drawn = draw_all(asked, mover, n or len(held.x), part, width=width)
    seen = check_unseen(
        ratio, held.x, "calibrate" if part == "calibrate" else "diagnose", drawn.x, gan.guide
    )

    def score(x: Tensor, cond: Tensor | None) -> Tensor:
        logit = ratio.logit(x, cond)
        return ratio.calibrated(logit, cond) if calibrated else logit.double()

    with gan.frozen():
        scores = [
            torch.cat([score(*rows.to(gan.device)) for rows in both.split(1000)])
            for both in (held, drawn.rows)
        ]
    broken = sum(int((one.isnan() | (one == torch.inf)).sum()) for one in scores)
    if broken:
        raise NonFiniteError(
            f"{'calibrate' if part == 'calibrate' else 'diagnose'}: the ratio's network "
            f"{type(ratio.score.network).__name__} gives NaN or infinity for {broken:,} of "
            f"{sum(map(len, scores)):,} samples. Check its weights, its normalisation statistics "
            "and the range of its input"
        )
    label = np.repeat([1.0, 0.0], [len(scores[0]), len(scores[1])])
    cond = None
    if held.cond is not None and drawn.cond is not None:
        cond = torch.cat([held.cond.cpu(), drawn.cond.cpu()])
    spent = drawn.passes + len(label)
    return Scored(mover, label, torch.cat(scores).cpu().numpy(), cond, spent, held.x, seen)
