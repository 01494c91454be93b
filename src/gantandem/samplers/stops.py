"""Where a refinement ends, and the best of what a lane has seen on its way."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gantandem.rng import Key
from gantandem.samplers.optimisers import by_lane


class Best(NamedTuple):
    """The sample of the highest logit that each lane has seen, and the moves behind it."""

    x: Tensor
    logit: Tensor
    steps: Tensor

    @staticmethod
    def none(like: Tensor) -> Best:
        """Lanes that have seen nothing; ``like`` (W, *x_shape) holds samples to be."""
        count, device = len(like), like.device
        lowest = torch.full((count,), -torch.inf, dtype=torch.float64, device=device)
        steps = torch.zeros(count, dtype=torch.int64, device=device)
        return Best(torch.zeros_like(like), lowest, steps)

    def of(self, x: Tensor, logit: Tensor, steps: Tensor) -> Best:
        """The better one, lane by lane; of equal ones the first."""
        better = logit > self.logit
        return Best(
            torch.where(by_lane(better, x), x, self.x),
            torch.where(better, logit, self.logit),
            torch.where(better, steps, self.steps),
        )


def uniform_stop(key: Key, ids: Tensor, attempts: Tensor, most: int) -> Tensor:
    """A step for each lane, (W,) int64, uniform in 0..most."""
    return key.fold("stop").integers(most + 1, ids, attempts)


def geometric_stop(
    key: Key, ids: Tensor, attempts: Tensor, most: int, probability: float
) -> Tensor:
    """A step for each lane, (W,) int64, up to ``most``: it stops before each with a probability."""
    steps = torch.arange(most, device=ids.device)
    survive = torch.tensor(1 - probability).double() ** (steps + 1)
    uniform = key.fold("stop").uniform(ids, attempts).double()
    return (uniform[:, None] < survive.to(ids.device)).sum(1)
