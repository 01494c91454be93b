"""Training of baseline GANs and of the digit classifier."""

from __future__ import annotations

from gantandem.training.gan import TrainConfig, train_gan

__all__ = ["TrainConfig", "train_gan"]
