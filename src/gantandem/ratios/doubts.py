"""When a diagnosis says that a ratio should not judge."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from gantandem.discriminator.diagnostics import Diagnosis

OFF = 0.05
"""A calibration error above this, beyond twice what noise makes of it, is a doubt."""
MEAN_OFF = 0.15
"""A mean ratio this far from 1, and three standard errors, is one."""
FEW = 0.05
"""Under a ratio of which less than this share of the proposals carries the weight, chains and
resampling return few of them again and again."""


class Doubt(NamedTuple):
    """What speaks against a ratio.

    Args:
        kind: ``"useless"`` (worse than no ratio), ``"off"`` (calibration may mend it), ``"tail"``
            (few proposals carry the weight) or ``"weak"`` (used at less than its strength).
        said: In plain words with the numbers.
    """

    kind: Literal["useless", "off", "tail", "weak"]
    said: str


def doubts(diagnosis: Diagnosis) -> list[str]:
    """What speaks against a ratio, in plain words with the numbers; empty if nothing does."""
    return [doubt.said for doubt in find_doubts(diagnosis)]


def find_doubts(diagnosis: Diagnosis) -> list[Doubt]:
    """What speaks against a ratio, and of what kind it is.

    A doubt is beyond the noise of the test samples: an AUC three standard errors below .5, a
    Brier score worse than that of one ratio for all samples, a calibration error, a mean ratio
    that is not 1, or weight that rests on few proposals. And what was fitted here and is used at
    less than its strength, since accepted samples were farther from the data at full strength.
    """
    d = diagnosis
    found: list[Doubt] = []
    size = d.n_real + d.n_generated
    if d.auc < 0.5 - 3 * math.sqrt((size + 1) / (12 * d.n_real * d.n_generated)):
        said = f"it ranks generated samples above real ones (AUC {d.auc:.3f})"
        found.append(Doubt("useless", said))
    base = d.brier_parts["uncertainty"]
    if d.brier > base + 1.5 / math.sqrt(size):  # no Brier score has a wider standard error
        said = f"its Brier score is {d.brier:.3f}, but that of a constant is {base:.3f}"
        found.append(Doubt("useless", said))
    # A bin of n calibrated samples is off by the mean of a half-normal of variance p (1 - p) / n.
    spread = (row["count"] * row["confidence"] * (1 - row["confidence"]) for row in d.bins)
    noise = math.sqrt(2 / math.pi) / size * sum(map(math.sqrt, spread))
    if d.ece > OFF + 2 * noise:
        way = "" if abs(d.z) < 3 else f", too {'low' if d.z > 0 else 'high'} on the whole"
        said = f"its probability of real is off by {d.ece:.3f} on average{way}"
        found.append(Doubt("off", said))
    if abs(d.mean_ratio - 1) > max(MEAN_OFF, 3 * d.standard_errors.get("mean_ratio", 0.0)):
        said = f"its mean over the proposals is {d.mean_ratio:.3g}, but the true ratio has 1"
        found.append(Doubt("off", said))
    if d.effective_share + 2 * d.standard_errors.get("effective_share", 0.0) < FEW:
        said = (
            f"{100 * d.effective_share:.2g}% of the proposals carry all of its weight: its tail "
            "is heavy. OBRS limits the tail and suits it better than chains or resampling"
        )
        found.append(Doubt("tail", said))
    if d.strength < 1:
        nothing = "" if d.strength else ", which changes nothing"
        why = "led accepted samples away from held-out data" if d.strength else "did not help"
        said = f"acceptance uses r^{d.strength:g}{nothing}: when it was fitted, the whole r {why}"
        found.append(Doubt("weak", said))
    return found


def verdict(diagnosis: Diagnosis) -> str:
    """What the ratio can be trusted for, in a sentence."""
    kinds = {doubt.kind for doubt in find_doubts(diagnosis)}
    error = diagnosis.standard_errors.get("auc", 0.0)
    if not kinds and abs(diagnosis.auc - 0.5) < max(2 * error, 0.01):
        return "No fault was found, but acceptance by it changes little."
    if not kinds:
        return "Trust it, as far as these data show: any selector may accept samples by it."
    if "useless" in kinds:
        return "Do not trust it: a ratio of 1 for all samples would judge better."
    if "off" in kinds:
        return "Do not trust it as it is: it may rank samples well, but its values are wrong."
    if "weak" in kinds and not diagnosis.strength:
        return "It is 1 everywhere, so acceptance changes nothing."
    if "tail" in kinds:
        return (
            "Trust it for OBRS. Do not trust it for chains and resampling (Metropolis, SIR, MALA)."
        )
    return "Trust it to improve samples. Do not trust it to bring them all the way to the data."


def advice(diagnosis: Diagnosis) -> str:
    """What to do next."""
    kinds = {doubt.kind for doubt in find_doubts(diagnosis)}
    if "useless" in kinds or ("weak" in kinds and not diagnosis.strength):
        return "fit another ratio (fit_ratio), on more data if you have them, and diagnose it"
    if "off" in kinds:
        return (
            "calibrate it and diagnose it again; if this does not help, fit another ratio "
            "(fit_ratio)"
        )
    if "tail" in kinds:
        return "sample with OBRS; refined proposals (shape, then fit_ratio) have a lighter tail"
    if kinds:
        return (
            "compare its samples with plain samples (compare); if you have more data, fit "
            "another ratio"
        )
    return "sample with it, for example by OBRS, and compare the samples with plain ones (compare)"
