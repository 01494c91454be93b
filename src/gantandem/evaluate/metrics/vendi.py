"""The Vendi score: how many different samples there are, in effect."""

from __future__ import annotations

import torch
from torch import Tensor

from gantandem.errors import InputError
from gantandem.evaluate.metrics.finite import need_finite


def vendi_score(features: Tensor) -> float:
    """Return exp of the entropy of the eigenvalues of K / N, with K the cosine similarity of rows.

    1 where all rows point the same way, N where every two are orthogonal. It knows no real data:
    noise scores high. Compare with the score of as many real samples, on the same features.

    Args:
        features: (N, F) of samples; other shapes are flattened.

    Raises:
        InputError: If there is no row, or a row is zero.
        NonFiniteError: If a feature is not finite.

    Source: Friedman and Dieng, TMLR 2023, Definition 3.1, with the cosine kernel.
    """
    x = need_finite(features, "features (vendi_score)").detach().double().flatten(1)
    lengths = x.norm(dim=1, keepdim=True)
    if len(x) == 0 or bool((lengths == 0).any()):
        raise InputError("vendi_score: wanted is at least one row of features, and none of zeros")
    x = x / lengths
    # X X' / N and X' X / N have the same eigenvalues but for zeros: the smaller one is solved.
    kernel = (x.T @ x if x.shape[1] < len(x) else x @ x.T) / len(x)
    values = torch.linalg.eigvalsh(kernel).clamp(min=0)
    return float(torch.special.entr(values).sum().exp())
