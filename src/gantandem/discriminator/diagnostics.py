"""Can a ratio be trusted? Calibration statistics on data nothing was fitted on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from gantandem.condition import is_labels
from gantandem.data.real import RealData
from gantandem.discriminator.calibration import score_law
from gantandem.gan import GAN
from gantandem.samplers.base import Mover, Selector

BINS = 20


@dataclass(frozen=True)
class Diagnosis:
    """What held-out data say of a ratio.

    Args:
        brier: Mean squared error of the probability of real (Brier 1950).
        brier_parts: Murphy's (1973) ``reliability`` - ``resolution`` + ``uncertainty``, over bins.
        z: Dawid's (1982) statistic sum(y - p) / sqrt(sum(p (1 - p))): positive when the
            probability of real is too low on the whole; standard normal when calibrated.
        ece: Expected calibration error, the mean over bins of abs(frequency - confidence).
        mce: The largest of these, over bins with at least 10 samples.
        auc: Area under the ROC curve; .5 when real and generated cannot be told apart.
        bins: ``low``, ``high``, ``count``, ``confidence`` and ``frequency`` of each bin in use.
        n_real: Real samples.
        n_generated: Proposals.
        law: Whose.
        by_class: The Brier score of each label, for a GAN with class labels.
    """

    brier: float
    brier_parts: dict[str, float]
    z: float
    ece: float
    mce: float
    auc: float
    bins: tuple[dict[str, float], ...]
    n_real: int
    n_generated: int
    law: str = ""
    by_class: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self) | {"bins": list(self.bins)}


def diagnose_probs(prob: np.ndarray, label: np.ndarray, bins: int = BINS) -> Diagnosis:
    """Diagnose (N,) probabilities of real against (N,) labels, 1 for real.

    Raises:
        ValueError: If only one class is present.
    """
    from sklearn.metrics import roc_auc_score

    if not 0 < label.sum() < len(label):
        raise ValueError("diagnose: both real and generated samples are needed")
    edges = np.linspace(0, 1, bins + 1)
    which = np.clip(np.digitize(prob, edges[1:-1]), 0, bins - 1)
    base, size = label.mean(), len(label)
    rows: list[dict[str, float]] = []
    for b in np.unique(which):
        inside = which == b
        rows.append(
            {
                "low": float(edges[b]),
                "high": float(edges[b + 1]),
                "count": int(inside.sum()),
                "confidence": float(prob[inside].mean()),
                "frequency": float(label[inside].mean()),
            }
        )
    share = np.array([r["count"] for r in rows]) / size
    confidence = np.array([r["confidence"] for r in rows])
    frequency = np.array([r["frequency"] for r in rows])
    gap = np.abs(confidence - frequency)
    filled = np.array([r["count"] >= 10 for r in rows])
    variance = (prob * (1 - prob)).sum()
    return Diagnosis(
        brier=float(np.mean((prob - label) ** 2)),
        brier_parts={
            "reliability": float((share * gap**2).sum()),
            "resolution": float((share * (frequency - base) ** 2).sum()),
            "uncertainty": float(base * (1 - base)),
        },
        z=float((label - prob).sum() / math.sqrt(max(variance, 1e-300))),
        ece=float((share * gap).sum()),
        mce=float(gap[filled].max()) if filled.any() else float("nan"),
        auc=float(roc_auc_score(label, prob)),
        bins=tuple(rows),
        n_real=int(label.sum()),
        n_generated=int(size - label.sum()),
    )


def diagnose(
    gan: GAN,
    real: RealData,
    *,
    proposal: Mover | Selector | None = None,
    n: int | None = None,
    width: int | None = None,
) -> Diagnosis:
    """Measure a ratio on test data: is its probability of real what it claims to be?

    The result is also noted on the GAN's ratio, so that selectors stop saying that it was never
    diagnosed. The statistics diagnose a ratio on its own law; they do not choose a guide.

    Args:
        gan: With a ratio for the law.
        real: (N, *x_shape) real samples, the pair of these and their conditions, or a ``Real``;
            its ``test`` part is used.
        proposal: The mover whose law it is; None takes the GAN's, or ``Direct()``.
        n: Generated samples; None for as many as real ones.
        width: Lanes.

    Raises:
        InputError: If the conditions do not fit the GAN.
        LawMismatchError: If no ratio was fitted on that law.
        NotARatioError: If only a critic is at hand.
    """
    scored = score_law(gan, real, "test", proposal, n, width, calibrated=True)
    label = scored.label
    odds = scored.score + math.log(label.sum() / (len(label) - label.sum()))
    prob = 0.5 * (1 + np.tanh(odds / 2))
    law = gan.law(scored.mover)
    diagnosis = replace(diagnose_probs(prob, label), law=law)
    if scored.cond is not None and is_labels(scored.cond):
        error = (prob - label) ** 2
        of = scored.cond.numpy()
        by_class = {str(c): float(error[of == c].mean()) for c in np.unique(of)}
        diagnosis = replace(diagnosis, by_class=by_class)
    gan.ratios[law] = replace(gan.ratios[law], diagnosis=diagnosis)
    return diagnosis
