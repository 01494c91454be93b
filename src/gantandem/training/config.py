"""Settings of a training run, and what a task must tell of itself to be trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gantandem.errors import ConfigError
from gantandem.training.losses import get_loss


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one GAN training run.

    Args:
        iterations: Updates, each one step of the discriminator and one of the generator.
        batch_size: Real and generated samples in an update.
        optimiser: ``"sgd"`` (no momentum) or ``"adam"``.
        generator_rate: Learning rate of the generator.
        discriminator_rate: Learning rate of the discriminator.
        beta1: First decay of Adam; without meaning for SGD. Default .5.
        checkpoint_every: Iterations between checkpoints. Default 500.
        loss: ``"non-saturating"`` (Goodfellow et al. 2014), or your own as ``"module:name"``.

    Raises:
        ConfigError: If a value is out of range.
    """

    iterations: int
    batch_size: int
    optimiser: Literal["sgd", "adam"]
    generator_rate: float
    discriminator_rate: float
    beta1: float = 0.5
    checkpoint_every: int = 500
    loss: str = "non-saturating"

    def __post_init__(self) -> None:
        get_loss(self.loss)
        for name in ("iterations", "checkpoint_every", "generator_rate", "discriminator_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be above 0")
        if self.batch_size < 2:
            raise ConfigError(f"batch_size is {self.batch_size}: BatchNorm needs 2 or more")
        if self.optimiser not in ("sgd", "adam"):
            raise ConfigError(f"optimiser is {self.optimiser!r}: allowed are 'sgd' and 'adam'")
        if not 0 <= self.beta1 < 1:
            raise ConfigError(f"beta1 is {self.beta1}: it must be in [0, 1)")


class Trainable(Protocol):
    """What the trainer needs to know of a task."""

    @property
    def name(self) -> str:
        """Name of the task."""
        ...

    @property
    def networks(self) -> Mapping[str, Mapping[str, Any]]:
        """Descriptions of ``"generator"`` and ``"discriminator"`` for ``gantandem.nets.build``."""
        ...

    @property
    def latent(self) -> Mapping[str, Any]:
        """``{"kind": "normal" | "uniform", "dim": d, "low": .., "high": ..}``."""
        ...

    @property
    def train(self) -> TrainConfig:
        """Default training settings."""
        ...
