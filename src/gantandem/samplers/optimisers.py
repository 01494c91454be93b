"""What movers along a gradient share: precision, rows, momentum and Adam by lane."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def wide(h: Tensor) -> torch.dtype:
    """Float32 at least: a squared gradient underflows in half precision."""
    return torch.promote_types(h.dtype, torch.float32)


def by_lane(values: Tensor, like: Tensor) -> Tensor:
    """View (W,) values so that they multiply the rows of a tensor."""
    return values.view(-1, *[1] * (like.dim() - 1))


def rounded(value: float) -> float:
    """Three significant digits: a resolved setting is written into laws and files."""
    return float(f"{value:.3g}")


class Moments(NamedTuple):
    """What an optimiser remembers of the slopes g of each lane, (W, *h_shape) in each.

    Args:
        mean: Of momentum the running sum of g; of Adam m / (1 - beta1^t).
        square: Of Adam v / (1 - beta2^t); None for momentum.
    """

    mean: Tensor
    square: Tensor | None

    @staticmethod
    def zeros(h: Tensor, *, square: bool) -> Moments:
        """Moments of lanes that have not moved yet."""
        zero = torch.zeros_like(h, dtype=wide(h))
        return Moments(zero, zero.clone() if square else None)


def momentum(h: Tensor, g: Tensor, moments: Moments, *, step_size: float, decay: float) -> Tensor:
    """Move uphill with momentum: m <- decay m + g (in place), h <- h + step_size m."""
    return torch.add(h, moments.mean.mul_(decay).add_(g), alpha=step_size)


def adam(
    h: Tensor,
    g: Tensor,
    moments: Moments,
    step: Tensor,
    *,
    last: int,
    step_size: float,
    betas: tuple[float, float],
    scale: Tensor | None = None,
) -> Tensor:
    """Move uphill by Adam (Kingma and Ba, ICLR 2015, Algorithm 1), each lane at its own t.

    m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
    h <- h + step_size (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + 1e-8).

    Args:
        h: (W, *h_shape) where the lanes are.
        g: (W, *h_shape) slopes there, of a precision of ``wide``.
        moments: Corrected for their start; they are updated in place.
        step: (W,) moves made so far, t - 1, from 0 to ``last``.
        last: Highest step.
        step_size: In units of h.
        betas: (beta1, beta2).
        scale: (W,) factors of the move; None leaves it as it is.

    Returns:
        (W, *h_shape), where the lanes are then.
    """
    assert moments.square is not None  # made for Adam
    m = moments.mean.lerp_(g, _newest(betas[0], step, last, g))
    v = moments.square.lerp_(g.square(), _newest(betas[1], step, last, g))
    if scale is not None:
        m = m * by_lane(scale, m).to(m.dtype)
    return torch.addcdiv(h, m, v.sqrt().add_(1e-8), value=step_size)


def _newest(beta: float, step: Tensor, last: int, g: Tensor) -> Tensor:
    """Share of the newest slope in a corrected moment, (1 - beta) / (1 - beta^t), by lane.

    m_t / (1 - beta^t) moves towards g_t by this share: all the way at t = 1.
    """
    return by_lane(_shares(beta, last, g.device, g.dtype).index_select(0, step), g)


_SHARES: dict[tuple[float, int, torch.device, torch.dtype], Tensor] = {}


def _shares(beta: float, last: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # A dictionary: torch.compile would look through functools.lru_cache and compute them anew.
    key = (beta, last, device, dtype)
    if key not in _SHARES:
        t = torch.arange(1, last + 2, dtype=torch.float64)
        _SHARES[key] = ((1 - beta) / (1 - beta**t)).to(dtype).to(device)
    return _SHARES[key]
