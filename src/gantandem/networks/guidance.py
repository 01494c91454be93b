"""The call that every gradient-based sampler makes: finish the generator, score, differentiate."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.networks.cut import Cut
from gantandem.networks.score import Score


class Guidance:
    """A score behind one layer of the generator, with its gradient there.

    Args:
        cut: The generator, cut at the layer.
        score: What scores its samples. It is kept, so that its id stays its own.
        compile: Compile the call, gradient included.
    """

    def __init__(self, cut: Cut, score: Score, *, compile: bool = False) -> None:
        self.cut, self.score = cut, score
        self._compiled = torch.compile(self._functional, dynamic=False) if compile else None

    def __call__(
        self, h: Tensor, carry: tuple[Tensor, ...], cond: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return x, its scores (N,) and their gradient for h; None where there is none.

        Args:
            h: (N, *h_shape) activation.
            carry: What else the tail needs, as the head gave it.
            cond: (N, ...) conditions or None.
        """
        if self._compiled is not None:
            with torch.no_grad():
                return self._compiled(h, carry, cond)
        leaf = h.detach().requires_grad_()
        with torch.enable_grad():
            x = self.cut.tail(leaf, carry, cond)
            logit = self.score(x, cond)
            # A sum, since a gradient handed to autograd.grad makes torch import a compiler.
            total = logit.sum()
        gradient = torch.autograd.grad(total, leaf)[0] if total.requires_grad else None
        return x.detach(), logit.detach(), gradient

    def _functional(
        self, h: Tensor, carry: tuple[Tensor, ...], cond: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        # The gradient is part of what is compiled. A compiled forward that autograd went back
        # through would save a mask of bools for every ReLU, and was slower than eager.
        def scored(h: Tensor) -> tuple[Tensor, Tensor]:
            x = self.cut.tail(h, carry, cond)
            return self.score(x, cond), x

        logit, back, x = torch.func.vjp(scored, h, has_aux=True)  # pyright: ignore
        return x, logit, back(torch.ones_like(logit))[0]
