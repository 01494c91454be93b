"""GAN losses on logits (the discriminator's value before the sigmoid)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


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
