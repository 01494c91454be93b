"""The call that every gradient-based sampler makes: finish the generator, score, differentiate."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.score import Score
from gantandem.split import Split
from gantandem.stack import Stack, find_stack


class Guidance:
    """A score behind one layer of the generator, with its gradient there.

    Args:
        split: The generator, cut at the layer.
        score: What scores its samples. It is kept, so that its id stays its own.
        compile: Compile the call, gradient included.
    """

    def __init__(self, split: Split, score: Score, *, compile: bool) -> None:
        self.split, self.score = split, score
        self._whole = torch.compile(self._functional, dynamic=False) if compile else None
        self._stack: Stack | None = None
        self._looked = False

    def __call__(
        self, h: Tensor, carry: tuple[Tensor, ...], cond: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return x, its scores (N,) and their gradient for h; None where there is none.

        Args:
            h: (N, *h_shape) activation.
            carry: What else the tail needs, as the head gave it.
            cond: (N, ...) conditions or None.
        """
        if self._whole is not None:
            with torch.no_grad():
                return self._whole(h, carry, cond)
        leaf = h.detach()
        if self.split.kind == "data":
            stack = self._find_stack(leaf, cond)
            if stack is not None:
                return leaf, *stack(leaf)
        leaf.requires_grad_()
        with torch.enable_grad():
            x = self.split.tail(leaf, carry, cond)
        stack = self._find_stack(x.detach(), cond)
        if stack is None:
            with torch.enable_grad():
                logit = self.score(x, cond)
                total = logit.sum()
        else:
            logit, slope = stack(x)
            with torch.enable_grad():
                # A gradient handed to autograd.grad would make torch import its symbolic shapes.
                total = (x * slope).sum()
        gradient = torch.autograd.grad(total, leaf)[0] if total.requires_grad else None
        return x.detach(), logit.detach(), gradient

    def _find_stack(self, x: Tensor, cond: Tensor | None) -> Stack | None:
        """The score as a stack of layers, if it is one and may be called as such now."""
        if cond is not None or self.score.output == "prob":
            return None
        if not self._looked:
            self._looked = True
            self._stack = find_stack(self.score.network, x)
        return self._stack if self._stack is not None and self._stack.usable(x) else None

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
