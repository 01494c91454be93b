"""When a diagnosis says that a ratio should not judge."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gantandem.discriminator.diagnostics import Diagnosis

OFF = 0.05
"""A calibration error above this, beyond twice what noise makes of it, is a doubt."""


def doubts(diagnosis: Diagnosis) -> list[str]:
    """What speaks against a ratio, in plain words with the numbers; empty if nothing does.

    A doubt is beyond the noise of the test samples: an AUC three standard errors below .5, a
    Brier score worse than that of one ratio for all samples, or a calibration error.
    """
    d, found = diagnosis, []
    size = d.n_real + d.n_generated
    if d.auc < 0.5 - 3 * math.sqrt((size + 1) / (12 * d.n_real * d.n_generated)):
        found.append(f"it ranks generated samples above real ones (AUC {d.auc:.3f})")
    base = d.brier_parts["uncertainty"]
    if d.brier > base + 1.5 / math.sqrt(size):  # no Brier score has a wider standard error
        found.append(f"its Brier score is {d.brier:.3f}, where knowing nothing has {base:.3f}")
    # A bin of n calibrated samples is off by the mean of a half-normal of variance p (1 - p) / n.
    spread = (row["count"] * row["confidence"] * (1 - row["confidence"]) for row in d.bins)
    noise = math.sqrt(2 / math.pi) / size * sum(map(math.sqrt, spread))
    if d.ece > OFF + 2 * noise:
        way = "" if abs(d.z) < 3 else f", too {'low' if d.z > 0 else 'high'} on the whole"
        found.append(f"its probability of real is off by {d.ece:.3f} on average{way}")
    return found
