"""A network that scores samples, and its answer as a logit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from gantandem.adapt.outputs import shown
from gantandem.adapt.sigmoid import BeforeSigmoid
from gantandem.errors import InputError, NotARatioError
from gantandem.networks.answers import for_output

Output = Literal["logit", "prob", "critic", "hinge", "wgan", "lsgan"]
OUTPUTS: tuple[str, ...] = get_args(Output)
_CRITICS = ("hinge", "wgan", "lsgan")
"""Losses whose scores are no log ratio: other names of ``"critic"``."""


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
                f"output: got {self.output!r}, allowed are, by the loss it was trained with: "
                "'logit' (BCE and non-saturating, before a sigmoid; relativistic, up to a "
                "constant), 'prob' (after a sigmoid) and 'critic' (any other score; 'hinge', "
                "'wgan' and 'lsgan' mean this)"
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
            raise InputError(
                f"discriminator {type(self.network).__name__}: scores {shown(raw)} for "
                f"{x.shape[0]} samples; allowed are shapes (N,), (N, 1) and (N, 1, h, w)"
                f"{for_output(raw, len(x), scores=True)}"
            )
        if not raw.is_floating_point():
            raise InputError(
                f"discriminator {type(self.network).__name__}: scores of {raw.dtype}; allowed are "
                "floating point numbers, such as raw.float()"
            )
        if raw.dim() > 1 and raw.shape[1] != 1:
            raise InputError(
                f"discriminator {type(self.network).__name__}: scores {tuple(raw.shape)}, where "
                "one channel is needed: (N,), (N, 1) or (N, 1, h, w)"
                f"{for_output(raw, len(x), scores=True)}"
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
                f"{where}: {type(self.network).__name__} returns probabilities and has no sigmoid "
                "at its end that could be removed, so it saturates; pass a network that returns "
                "logits (output='logit')"
            )
        return self._before.on(own)

    def need_ratio(self, where: str) -> None:
        """Refuse a raw critic.

        Raises:
            NotARatioError: If this is a critic.
        """
        if self.output == "critic":
            raise NotARatioError(
                f"{where} needs a log ratio, and the discriminator {type(self.network).__name__} "
                "is a critic (hinge, Wasserstein or least squares), whose score is not a log "
                "ratio. Fit a ratio: gan = fit_ratio(gan, real, proposal=Direct())"
            )
