"""What one sample costs, in operations, which no clock decides; and how fast they are here."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from gantandem.networks.counting import Operations
from gantandem.networks.score import call
from gantandem.rng import Key

if TYPE_CHECKING:
    from gantandem.networks.networks import Networks

TIMED, LANES = 1e9, (64, 2048)
"""The speed is measured on samples of about so many operations; the fewest and the most of them."""


class Cost(NamedTuple):
    """What one sample costs: generator and score, the score alone; and operations a second."""

    whole: float
    score: float
    speed: Callable[[], float]


def measure(networks: Networks, network: nn.Module | None) -> Cost:
    """Count the operations of the networks for one sample.

    Args:
        networks: The generator, with its latents and conditions.
        network: What is followed or trained, in eval mode; None counts the generator alone.
    """

    def run(count: int) -> tuple[int, int]:
        ids = torch.arange(count, device=networks.device)
        z, cond = networks.latent.draw(Key(0).fold("cost"), ids), networks.conditions(ids)
        making, scoring = Operations(), Operations()
        with torch.no_grad():
            with making:
                x = networks.decode(z, cond)
            with scoring:
                _ = None if network is None else call(network, x, cond)
        return making.total, scoring.total

    @functools.cache
    def speed() -> float:
        taken, lanes = [], int(min(max(TIMED / max(made + scored, 1), LANES[0]), LANES[1]))
        with networks.frozen():
            for _ in range(3):
                begin = time.perf_counter()
                run(lanes)
                taken.append(time.perf_counter() - begin)
        return (made + scored) * lanes / statistics.median(taken)

    with networks.frozen():
        made, scored = (value / 2 for value in run(2))
    return Cost(made + scored, scored, speed)
