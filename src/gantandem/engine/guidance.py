"""The call that every gradient-based sampler makes: finish the generator, score, differentiate."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.engine.split import Split
from gantandem.engine.stack import Stack
from gantandem.ratios.score import Score


class Guidance:
    """A score behind one layer of the generator, with its gradient there.

    Args:
        split: The generator, cut at the layer.
        score: What scores its samples. It is kept, so that its id stays its own.
        stack: The score as a plain stack of layers, if it is one.
        compile: Compile the call, gradient included.
    """

    def __init__(
        self, split: Split, score: Score, stack: Stack | None = None, *, compile: bool = False
    ) -> None:
        self.split, self.score, self._stack = split, score, stack
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
        leaf = h.detach()
        stack = self._stack if self._stack is not None and self._stack.usable(h) else None
        if stack is not None and self.split.kind == "data":
            return leaf, *stack(leaf)
        if self._compiled is not None:
            with torch.no_grad():
                return self._compiled(h, carry, cond)
        leaf.requires_grad_()
        with torch.enable_grad():
            x = self.split.tail(leaf, carry, cond)
            if stack is None:
                logit = self.score(x, cond)
                total = logit.sum()
            else:
                logit, slope = stack(x)
                # A gradient handed to autograd.grad would make torch import its symbolic shapes.
                total = (x * slope).sum()
        gradient = torch.autograd.grad(total, leaf)[0] if total.requires_grad else None
        return x.detach(), logit.detach(), gradient

    def _functional(
        self, h: Tensor, carry: tuple[Tensor, ...], cond: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        # The gradient is part of what is compiled. A compiled forward that autograd went back
        # through would save a mask of bools for every ReLU, and was slower than eager.
        def scored(h: Tensor) -> tuple[Tensor, Tensor]:
            x = self.split.tail(h, carry, cond)
            return self.score(x, cond), x

        logit, back, x = torch.func.vjp(scored, h, has_aux=True)  # pyright: ignore
        return x, logit, back(torch.ones_like(logit))[0]
