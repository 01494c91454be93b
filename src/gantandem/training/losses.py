"""GAN losses on logits (the discriminator's value before the sigmoid)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import softplus

from gantandem.errors import look_up


def discriminator_loss(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """Return E[-log D(x)] + E[-log(1 - D(G(z)))], a scalar, for logits of shape (N,).

    Source: Goodfellow et al., NeurIPS 2014, equation 1, with D the sigmoid of the logit.
    """
    return softplus(-real_logit).mean() + softplus(fake_logit).mean()


def generator_loss(fake_logit: Tensor) -> Tensor:
    """Return the non-saturating E[-log D(G(z))], a scalar, for logits of shape (N,).

    Source: Goodfellow et al., NeurIPS 2014, section 3, last paragraph.
    """
    return softplus(-fake_logit).mean()


class Loss(NamedTuple):
    """What a GAN is trained by.

    Attributes:
        discriminator: From (N,) scores of real and of generated samples to a scalar.
        generator: From (N,) scores of generated samples to a scalar.
        output: The kind of score that the discriminator then gives, as ``GAN(output=...)``.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    output: str = "logit"


LOSSES = {"non-saturating": Loss(discriminator_loss, generator_loss)}


def get_loss(name: str) -> Loss:
    """Return a loss by name, or one of your own as ``module:name``.

    Raises:
        ConfigError: If there is none of that name, or it is no :class:`Loss`.
    """
    return look_up("loss", name, LOSSES, Loss, made=True)
