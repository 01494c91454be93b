"""What movers along a gradient share: precision, rows, and the moments of Adam by lane."""

from __future__ import annotations

import torch
from torch import Tensor


def wide(h: Tensor) -> torch.dtype:
    """Float32 at least: a squared gradient underflows in half precision."""
    return torch.promote_types(h.dtype, torch.float32)


def rows(values: Tensor, like: Tensor) -> Tensor:
    """View (W,) values so that they multiply the rows of a tensor."""
    return values.view(-1, *[1] * (like.dim() - 1))


def rounded(value: float) -> float:
    """Three significant digits: a resolved setting is written into laws and files."""
    return float(f"{value:.3g}")


def adam_weight(beta: float, step: Tensor, last: int, like: Tensor) -> Tensor:
    """Share of the newest value in a moment of Adam's, by lane.

    The moment of Kingma and Ba corrected for its start, m_t / (1 - beta^t), moves towards the
    newest value by the share (1 - beta) / (1 - beta^t): all the way at t = 1.

    Args:
        beta: Decay of the moment.
        step: (W,) moves made so far, t - 1, from 0 to ``last``.
        last: Highest step.
        like: (W, *h_shape) slope, whose rows the weights are to multiply.
    """
    return rows(_adam_weights(beta, last, like.device, like.dtype).index_select(0, step), like)


_WEIGHTS: dict[tuple[float, int, torch.device, torch.dtype], Tensor] = {}


def _adam_weights(beta: float, last: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # A dictionary: torch.compile would look through functools.lru_cache and compute them anew.
    key = (beta, last, device, dtype)
    if key not in _WEIGHTS:
        t = torch.arange(1, last + 2, dtype=torch.float64)
        _WEIGHTS[key] = ((1 - beta) / (1 - beta**t)).to(dtype).to(device)
    return _WEIGHTS[key]
