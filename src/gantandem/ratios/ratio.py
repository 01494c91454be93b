"""The ratios that selectors judge by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from gantandem.nets.hashing import weights_hash
from gantandem.networks.score import Score

if TYPE_CHECKING:
    from gantandem.discriminator.diagnostics import Diagnosis
    from gantandem.ratios.calibrators import Calibrator


@dataclass(frozen=True)
class Ratio:
    """A network that estimates log p_data / p_law for the samples of one law.

    Args:
        score: The network, giving logits.
        correction: Subtracted from the log ratio: log(n_real / n_generated) of its fit.
        calibrator: Maps logits to calibrated log ratios; enters acceptance only.
        origin: ``"shipped"`` (came with the generator) or ``"fitted"``.
        spec: How to rebuild the network, ``{"net": name, **arguments}``; empty if unknown.
        diagnosis: What ``diagnose`` established, if it ran.
        seen: Hashes of the real samples that each step ("fit", "calibrate") fitted it on.
        strength: t, where acceptance uses r^t: below 1 where r led away from held-out data.
        proposal: The sampler whose proposals it judges, in words: its name and what was set in it;
            empty if unknown.
        chosen: ``name`` of the candidate that was kept, and what held-out samples said of each.
    """

    score: Score
    correction: float = 0.0
    calibrator: Calibrator | None = None
    origin: Literal["shipped", "fitted"] = "fitted"
    spec: dict[str, Any] = field(default_factory=dict)
    diagnosis: Diagnosis | None = None
    seen: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)
    strength: float = 1.0
    proposal: str = field(default="", compare=False)
    chosen: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    weights: str = field(default="", init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Note the weights, of which alone calibrator and diagnosis speak."""
        object.__setattr__(self, "weights", weights_hash(self.score.network))
        if self.origin == "shipped":  # it tells real data from the generator's plain samples
            object.__setattr__(self, "proposal", self.proposal or "direct")

    @property
    def stale(self) -> bool:
        """Whether the network was changed after it was fitted, calibrated or diagnosed."""
        return self.stale_with(weights_hash(self.score.network))

    def stale_with(self, weights: str) -> bool:
        """Whether it is stale if its network's weights have this hash now."""
        known = self.origin == "fitted" or self.calibrator or self.diagnosis
        return bool(known) and weights != self.weights

    def logit(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Uncalibrated log odds of real, (N,)."""
        return self.score(x, cond)

    def log_ratio(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Log ratio that acceptance uses, t log r: calibrated and corrected, (N,) float64."""
        return self.from_logit(self.logit(x, cond), cond)

    def from_logit(self, logit: Tensor, cond: Tensor | None = None) -> Tensor:
        """Calibrate and correct this network's own logits and weigh them by t, (N,) float64.

        Args:
            logit: (N,) of this network.
            cond: (N, ...) conditions or None; a calibrator may have one map for each label.
        """
        log_ratio = self.calibrated(logit, cond)
        # An r of 0 stays one, whatever its power.
        return torch.where(log_ratio.isinf(), log_ratio, self.strength * log_ratio)

    def calibrated(self, logit: Tensor, cond: Tensor | None = None) -> Tensor:
        """Calibrate and correct this network's own logits: log r, (N,) float64."""
        if self.calibrator is not None:
            return self.calibrator(logit.double(), cond)
        return logit.double() - self.correction
