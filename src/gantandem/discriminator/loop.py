"""The one loop by which networks are fitted here: ratios, guides and latent weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.progress import track

HALF = (torch.bfloat16, torch.float16)


def descend(
    network: nn.Module,
    rates: Sequence[float],
    loss: Callable[[], Tensor],
    look: Callable[[int], bool],
    looks: Container[int],
    *,
    what: str,
    progress: bool | None,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
    **settings: Any,
) -> int | None:
    """Train a network in place, one update for each rate.

    Args:
        network: Its free weights are trained.
        rates: Learning rate of each update.
        loss: Of a new batch, a scalar.
        look: Called with the number of updates so far; False ends the fit.
        looks: After which numbers of updates it is called.
        what: For the progress bar.
        progress: Show one.
        optimizer: Its class.
        settings: Of the optimizer.

    Returns:
        After how many updates ``look`` ended the fit, or the numbers were too large for the
        optimizer; None after the last update.
    """
    free = [weight for weight in network.parameters() if weight.requires_grad]
    # Of half precision the optimiser has copies in full: its small numbers would be 0 there.
    full = [w if w.dtype not in HALF else w.detach().float().requires_grad_() for w in free]
    halves = [(weight, own) for weight, own in zip(free, full, strict=True) if weight is not own]
    steps = optimizer(full, lr=rates[0], **settings)
    with torch.enable_grad(), track(len(rates), what, progress) as advance:
        for step in range(len(rates) + 1):
            if step in looks and not look(step):
                return step
            if step == len(rates):
                break
            for group in steps.param_groups:
                group["lr"] = rates[step]
            value = loss()
            network.zero_grad(set_to_none=True)
            value.backward()
            for weight, own in halves:
                own.grad = None if weight.grad is None else weight.grad.float()
            try:
                steps.step()
            except RuntimeError as error:
                if "overflow" not in str(error):
                    raise
                return step + 1
            with torch.no_grad():
                for weight, own in halves:
                    weight.copy_(own)
            advance(1)
    return None


class Best:
    """The weights of the lowest loss so far.

    Args:
        network: Whose weights.
    """

    def __init__(self, network: nn.Module) -> None:
        self.loss, self.step = math.inf, 0
        self._network, self._weights = network, copy.deepcopy(network.state_dict())

    def offer(self, loss: float, step: int) -> bool:
        """Keep the weights as they are if none were better; False if the loss is not finite."""
        if loss < self.loss:
            self.loss, self.step = loss, step
            self._weights = copy.deepcopy(self._network.state_dict())
        return math.isfinite(loss)

    def restore(self) -> None:
        """Give the network the weights that were kept."""
        self._network.load_state_dict(self._weights)
