"""Can a ratio be trusted? Calibration statistics on data nothing was fitted on."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gantandem.condition import is_labels
from gantandem.data.real import RealData
from gantandem.discriminator.calibration import score_law
from gantandem.discriminator.verdict import tell
from gantandem.errors import ConfigError
from gantandem.files import first_fault
from gantandem.gan import GAN
from gantandem.nets.hashing import hashed_once
from gantandem.ratios.doubts import doubts
from gantandem.samplers.named import SamplerLike
from gantandem.settings import check, check_names, show

BINS = 20
RESAMPLES = 50
"""Of the test samples, for standard errors."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What held-out data say of a ratio; ``print`` tells what to trust it for, and what to do next.

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
        log_loss: Mean of the logistic losses on real and on generated samples, in nats; a ratio
            of 1 everywhere has log 2.
        mean_ratio: Mean of r over the proposals. That of the true ratio is 1.
        effective_share: (sum r)^2 / (n sum r^2): which share of the proposals weighs as much as
            all of them do under r (Kish 1965). Small where few proposals carry all the weight.
        strength: t, where acceptance uses r^t.
        standard_errors: Of the numbers above, by name; Z has 1 by its definition.
        seen: Share of the real samples that the ratio was fitted on.
        proposal: Name of the mover whose proposals it judges.
    """

    brier: float
    brier_parts: dict[str, float]
    z: float
    ece: float
    mce: float
    auc: float
    bins: tuple[dict[str, int | float], ...]
    n_real: int
    n_generated: int
    law: str = ""
    by_class: dict[str, float] = field(default_factory=dict)
    log_loss: float = math.nan
    mean_ratio: float = math.nan
    effective_share: float = math.nan
    strength: float = 1.0
    standard_errors: dict[str, float] = field(default_factory=dict)
    seen: float = 0.0
    proposal: str = ""

    def __repr__(self) -> str:
        """Where it stands, in a line."""
        of = f"{self.proposal}, " if self.proposal else ""
        doubts = len(self.warnings)
        told = f"{doubts} doubt{'s' * (doubts > 1)}" if doubts else "no doubts"
        return f"Diagnosis({of}AUC {self.auc:.3g}, ECE {self.ece:.2g}, Z {self.z:.2g}, {told})"

    def __str__(self) -> str:
        """What to trust the ratio for, what to do next, and the numbers."""
        return tell(self)

    @property
    def warnings(self) -> list[str]:
        """What speaks against using the ratio, in plain words; empty if nothing does."""
        return doubts(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self) | {"bins": list(self.bins), "warnings": self.warnings}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Diagnosis:
        """Read what :meth:`to_dict` gave.

        Raises:
            ConfigError: If a value is missing, unknown or of another kind.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"diagnosis: got {show(values)}, allowed are numbers by name")
        own = {name: value for name, value in values.items() if name != "warnings"}
        check_names("diagnosis", cls, own)
        try:
            return TypeAdapter(cls).validate_python(own)
        except ValidationError as error:
            raise ConfigError(f"diagnosis {first_fault(error)}") from None


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
    rows: list[dict[str, int | float]] = []
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


@hashed_once()
def diagnose(
    gan: GAN,
    real: RealData,
    *,
    proposal: SamplerLike | None = None,
    n: int | None = None,
    width: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Diagnosis:
    """Measure a ratio on test data: is its probability of real what it claims to be?

    The statistics diagnose a ratio on its own law, each with its standard error. They are not meant
    to choose a guide, and none of them alone shows that a ratio is right: Z is 0 for a ratio of 1
    everywhere, and a better Brier score can come with worse accepted samples. ``fit_ratio`` chooses
    by the accepted samples. Faults of the ratio are logged, and ``warnings`` holds them. The GAN is
    not changed; ``gan.with_diagnosis(diagnosis)`` makes a GAN that holds the diagnosis, and its
    selectors no longer warn that the ratio was never diagnosed.

    Args:
        gan: With a ratio for the law.
        real: (N, *x_shape) real samples, the pair of these and their conditions, or a ``Real``;
            its ``test`` part is used.
        proposal: The sampler whose proposals it judges, or its name; None takes the GAN's own, or
            ``Direct()``.
        n: Generated samples; None for as many as real ones.
        width: Lanes.
        seed: Of the generated samples.
        progress: Show a progress bar.

    Raises:
        InputError: If the conditions do not fit the GAN.
        LawMismatchError: If no ratio was fitted on that law.
        NotARatioError: If only a critic is at hand.
    """
    check("diagnose gan", GAN, gan)
    scored = score_law(
        gan, real, "test", proposal, n, width=width, seed=seed, progress=progress, calibrated=True
    )
    label = scored.label
    diagnosis, prob = diagnose_log_ratios(scored.score, label)
    law = gan.law(scored.mover)
    diagnosis = replace(
        diagnosis,
        law=law,
        strength=gan.ratios[law].strength,
        seen=scored.seen,
        proposal=scored.mover.name,
    )
    if scored.cond is not None and is_labels(scored.cond):
        error = (prob - label) ** 2
        of = scored.cond.numpy()
        by_class = {str(c): float(error[of == c].mean()) for c in np.unique(of)}
        diagnosis = replace(diagnosis, by_class=by_class)
    for warning in diagnosis.warnings:
        logger.warning("diagnose: the ratio should be used with care: %s", warning)
    return diagnosis


def diagnose_log_ratios(log_ratio: np.ndarray, label: np.ndarray) -> tuple[Diagnosis, np.ndarray]:
    """Diagnose (N,) calibrated log ratios against (N,) labels, 1 for real.

    Returns:
        The diagnosis, and the (N,) probabilities of real.
    """
    odds = log_ratio + math.log(label.sum() / (len(label) - label.sum()))
    prob = 0.5 * (1 + np.tanh(odds / 2))
    diagnosis = diagnose_probs(prob, label)
    numbers, errors = _weights(log_ratio, label)
    errors = errors | _errors(prob, label)
    return replace(diagnosis, **numbers, standard_errors=errors), prob


def _weights(log_ratio: np.ndarray, label: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """What r says of real samples and does to proposals, and the standard errors."""
    on_real, on_made = (
        np.logaddexp(0, -log_ratio[label == 1]),
        np.logaddexp(0, log_ratio[label == 0]),
    )
    made = log_ratio[label == 0]
    scale = max(float(made.max()), 0.0)
    r = np.exp(made - scale)
    mean = float(r.mean() * math.exp(min(scale, 700.0)))
    share = float(r.sum() ** 2 / max((r**2).sum(), 1e-300) / len(r))
    pick = np.random.default_rng(0).integers(len(r), size=(RESAMPLES, len(r)))
    again = r[pick]
    shares = again.sum(1) ** 2 / np.maximum((again**2).sum(1), 1e-300) / len(r)
    loss_error = math.sqrt(on_real.var() / len(on_real) + on_made.var() / len(on_made)) / 2
    numbers = {
        "log_loss": float(on_real.mean() + on_made.mean()) / 2,
        "mean_ratio": mean,
        "effective_share": share,
    }
    return numbers, {
        "log_loss": loss_error,
        "mean_ratio": float(r.std() / math.sqrt(len(r)) * math.exp(min(scale, 700.0))),
        "effective_share": float(shares.std()),
    }


def _errors(prob: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Standard errors of Brier score, ECE and AUC by resampling each kind of sample; of Z, 1."""
    noise = np.random.default_rng(0)
    kinds = [np.flatnonzero(label == kind) for kind in (1, 0)]
    found = []
    for _ in range(RESAMPLES):
        pick = np.concatenate([kind[noise.integers(len(kind), size=len(kind))] for kind in kinds])
        again = diagnose_probs(prob[pick], label[pick])
        found.append((again.brier, again.ece, again.auc))
    spread = np.std(found, 0)
    names = ("brier", "ece", "auc")
    return {"z": 1.0} | {name: float(one) for name, one in zip(names, spread, strict=True)}
