"""Scores of a discriminator, and the ratios that selectors judge by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from gantandem.errors import InputError, NotARatioError
from gantandem.networks.copying import unwrapped
from gantandem.networks.sigmoid import BeforeSigmoid

if TYPE_CHECKING:
    from gantandem.discriminator.calibration import Calibrator
    from gantandem.discriminator.diagnostics import Diagnosis

Output = Literal["logit", "prob", "critic", "hinge", "wgan", "lsgan"]
OUTPUTS: tuple[str, ...] = get_args(Output)
_CRITICS = ("hinge", "wgan", "lsgan")
"""Losses whose scores are no log ratio: other names of ``"critic"``."""


def weights_hash(module: nn.Module) -> str:
    """Hash a network's parameters and buffers, names and shapes included.

    Buffers that no file holds count too; how many batches a normalisation has seen does not, nor
    do the wrappers of ``torch.compile`` and of data parallelism.
    """
    module = unwrapped(module)
    named = {**dict(module.named_parameters(remove_duplicate=False)), **dict(_buffers(module))}
    return _hash(named)


def _buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, buffer in module.named_buffers(remove_duplicate=False):
        if name.rpartition(".")[2] != "num_batches_tracked":
            yield name, buffer


def state_hash(module: nn.Module) -> str:
    """Hash what ``state_dict`` holds: how the laws of older run folders name weights."""
    return _hash(module.state_dict())


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        raw = tensor.detach().cpu().contiguous().flatten()
        digest.update(raw.view(torch.uint8).numpy().tobytes() if raw.numel() else b"")
    return digest.hexdigest()


def typed(network: nn.Module, *inputs: Tensor | None) -> list[Tensor]:
    """Inputs as a network takes them: floating ones in the type of its weights, None left out."""
    weight = next(network.parameters(), None)
    given = [value for value in inputs if value is not None]
    if weight is None or not weight.is_floating_point():
        return given
    return [value.to(weight.dtype) if value.is_floating_point() else value for value in given]


def call(network: nn.Module, *inputs: Tensor | None) -> Any:
    """Call a network on samples and conditions of any precision, for scores of full precision.

    Scores of half precision become float32, and of one sample a score without an axis gets it
    back.
    """
    given = typed(network, *inputs)
    raw = network(*given)
    if not isinstance(raw, Tensor):
        return raw
    if raw.dtype in (torch.bfloat16, torch.float16):
        raw = raw.float()
    return raw.reshape(1) if raw.dim() == 0 and len(given[0]) == 1 else raw


@dataclass(frozen=True)
class Score:
    """A network whose answer is converted once: to a logit, or left a critic's energy.

    Args:
        network: Called as ``network(x)`` or ``network(x, condition)``; scores of shape (N,),
            (N, 1) or (N, 1, h, w) are reduced to (N,) by their mean.
        output: ``"logit"`` (before the sigmoid), ``"prob"`` (after it) or ``"critic"`` (any other
            score: ``"hinge"``, ``"wgan"`` and ``"lsgan"`` are read as this).
        seen: Hashes of the real samples that ``shape`` fitted it on.
    """

    network: nn.Module
    output: Output = "logit"
    seen: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)
    _before: BeforeSigmoid | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the kind of output."""
        if self.output not in OUTPUTS:
            raise InputError(
                f"output: got {self.output!r}, allowed are 'logit' (before a sigmoid), 'prob' "
                "(after it) and 'critic' (any other score; 'hinge', 'wgan' and 'lsgan' mean this)"
            )
        if self.output in _CRITICS:
            object.__setattr__(self, "output", "critic")
        if self.output == "prob":
            object.__setattr__(self, "_before", BeforeSigmoid(self.network))

    def __call__(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Score (N, *x_shape) samples: (N,) logits, or a critic's values.

        Of a probability the logit is taken before the last sigmoid of the network. Where there is
        none, the probability is clipped to within one float epsilon of 0 and 1.

        Raises:
            InputError: If the number of scores is not N, or a "prob" lies outside [0, 1].
        """
        network = self.network if self._before is None else self._before
        raw = call(network, x, cond)
        if not isinstance(raw, Tensor) or raw.dim() == 0 or raw.shape[0] != x.shape[0]:
            got = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
            raise InputError(
                f"discriminator {type(self.network).__name__}: scores {got} for {x.shape[0]} "
                "samples; allowed are shapes (N,), (N, 1) and (N, 1, h, w)"
            )
        if not raw.is_floating_point():
            raise InputError(
                f"discriminator {type(self.network).__name__}: scores of {raw.dtype}; allowed are "
                "floating point numbers, such as raw.float()"
            )
        if raw.dim() > 1 and raw.shape[1] != 1:
            raise InputError(
                f"discriminator {type(self.network).__name__}: scores {tuple(raw.shape)}, where "
                "one channel is needed: (N,), (N, 1) or (N, 1, h, w). Wrap it to return the "
                "real-against-generated score alone."
            )
        return raw.flatten(1).mean(1) if raw.dim() > 1 else raw

    def look_again(self) -> None:
        """Forget where the sigmoid of the network is: one of its parts was exchanged."""
        if self._before is not None:
            self._before.forget()

    def as_logits(self, own: nn.Module, where: str) -> nn.Module:
        """A copy of this score's network as one that gives logits, to be trained.

        Args:
            own: The copy; what is returned trains its weights.
            where: For the message.

        Raises:
            InputError: If it gives probabilities, and no sigmoid is the last thing that it does.
        """
        if self._before is None:
            return own
        if not self._before.found:
            raise InputError(
                f"{where}: {type(self.network).__name__} gives probabilities and does not end in "
                "a sigmoid that could be left out, so that it saturates; pass a network that "
                "gives logits (output='logit')"
            )
        return self._before.on(own)

    def need_ratio(self, where: str) -> None:
        """Refuse a raw critic.

        Raises:
            NotARatioError: If this is a critic.
        """
        if self.output == "critic":
            raise NotARatioError(
                f"{where} needs a log ratio, and the discriminator "
                f"{type(self.network).__name__} is a critic (hinge, Wasserstein, least squares: "
                "a score, not a ratio). Fit one: "
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
        strength: t, where acceptance uses r^t: below 1 where r led away from held-out data.
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
    chosen: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    weights: str = field(default="", init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Note the weights, of which alone calibrator and diagnosis speak."""
        object.__setattr__(self, "weights", weights_hash(self.score.network))

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
