"""Scores of a discriminator, and the ratios that selectors judge by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from gantandem.errors import InputError, NotARatioError

if TYPE_CHECKING:
    from gantandem.discriminator.calibration import Calibrator
    from gantandem.discriminator.diagnostics import Diagnosis

Output = Literal["logit", "prob", "critic"]


def weights_hash(module: nn.Module) -> str:
    """Hash a network's parameters and buffers, names and shapes included."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        raw = tensor.detach().cpu().contiguous().flatten()
        digest.update(raw.view(torch.uint8).numpy().tobytes() if raw.numel() else b"")
    return digest.hexdigest()


@dataclass(frozen=True)
class Score:
    """A network whose answer is converted once: to a logit, or left a critic's energy.

    Args:
        network: Called as ``network(x)`` or ``network(x, condition)``; scores of shape (N,),
            (N, 1) or (N, 1, h, w) are reduced to (N,) by their mean.
        output: ``"logit"`` (before the sigmoid), ``"prob"`` (after it) or ``"critic"`` (WGAN).
    """

    network: nn.Module
    output: Output = "logit"

    def __post_init__(self) -> None:
        """Check the kind of output."""
        if self.output not in get_args(Output):
            raise InputError(
                f"output: got {self.output!r}, allowed are 'logit', 'prob' and 'critic'"
            )

    def __call__(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Score (N, *x_shape) samples: (N,) logits, or a critic's values.

        A probability is clipped to within one float epsilon of 0 and 1 before the logit: beyond
        it a sigmoid output holds no more information.

        Raises:
            InputError: If the number of scores is not N, or a "prob" lies outside [0, 1].
        """
        raw = self.network(x) if cond is None else self.network(x, cond)
        if not isinstance(raw, Tensor) or raw.dim() == 0 or raw.shape[0] != x.shape[0]:
            got = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
            raise InputError(
                f"discriminator {type(self.network).__name__}: scores {got} for {x.shape[0]} "
                "samples; allowed are shapes (N,), (N, 1) and (N, 1, h, w)"
            )
        if raw.dim() > 1 and raw.shape[1] != 1:
            raise InputError(
                f"discriminator {type(self.network).__name__}: scores {tuple(raw.shape)}, where "
                "one channel is needed: (N,), (N, 1) or (N, 1, h, w). Wrap it to return the "
                "real-against-generated score alone."
            )
        if self.output == "prob":
            if not torch.compiler.is_compiling() and bool(((raw < 0) | (raw > 1)).any()):
                low, high = float(raw.min()), float(raw.max())
                raise InputError(
                    f"discriminator {type(self.network).__name__}: output='prob', but values "
                    f"from {low:.3g} to {high:.3g} came; a probability lies in [0, 1]. Pass "
                    "output='logit' (before the sigmoid) or 'critic'"
                )
            raw = torch.logit(raw, eps=torch.finfo(raw.dtype).eps)
        return raw.flatten(1).mean(1) if raw.dim() > 1 else raw

    def need_ratio(self, where: str) -> None:
        """Refuse a raw critic.

        Raises:
            NotARatioError: If this is a critic.
        """
        if self.output == "critic":
            raise NotARatioError(
                f"{where} needs a log ratio, and the discriminator "
                f"{type(self.network).__name__} is a critic (an energy, not a ratio). Fit one: "
                "gan = fit_ratio(gan, real, proposal=Direct())"
            )


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
    """

    score: Score
    correction: float = 0.0
    calibrator: Calibrator | None = None
    origin: Literal["shipped", "fitted"] = "fitted"
    spec: dict[str, Any] = field(default_factory=dict)
    diagnosis: Diagnosis | None = None
    seen: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def logit(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Uncalibrated log odds of real, (N,)."""
        return self.score(x, cond)

    def log_ratio(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Calibrated and corrected log ratio, (N,) float64."""
        return self.from_logit(self.logit(x, cond), cond)

    def from_logit(self, logit: Tensor, cond: Tensor | None = None) -> Tensor:
        """Calibrate and correct this network's own logits, (N,) float64.

        Args:
            logit: (N,) of this network.
            cond: (N, ...) conditions or None; a calibrator may have one map for each label.
        """
        if self.calibrator is not None:
            return self.calibrator(logit.double(), cond)
        return logit.double() - self.correction
