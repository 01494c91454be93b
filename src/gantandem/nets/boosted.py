"""Ratio networks for data that are rows of numbers: boosted trees, and a linear logit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gantandem.errors import InputError

ROWS = 4096
"""Samples that go down the trees at a time."""


def columns(x: Tensor, cond: Tensor | None) -> Tensor:
    """Samples (N, *x_shape) and their conditions (N, ...) side by side, (N, columns) float64."""
    parts = [x.flatten(1)] if cond is None else [x.flatten(1), cond.reshape(len(x), -1)]
    return torch.cat([part.double() for part in parts], 1)


class BoostedRatio(nn.Module):
    """Logits (N,) of gradient-boosted trees that see a sample and another network's logit of it.

    Trees are flat away from the data, where a network's logit goes on growing, and find edges
    that a small network smooths over; the other network's logit is one more column for them. The
    value is that of the trees; they have no gradient, so the gradient is that of the network
    (chains with an accept test stay exact whatever gradient proposes their moves). Friedman,
    Greedy Function Approximation, Annals of Statistics 2001; scikit-learn's histogram form grows
    the trees, this module only walks down them.

    Args:
        base: The network that gives the further column and the gradient, ``(x)`` or ``(x, cond)``
            to (N,); ``gantandem.nets.build`` makes it of its description.
        trees: Number of trees.
        depth: Questions from a root to a leaf.

    Example:
        >>> import numpy as np
        >>> from gantandem.nets.boosted import LinearRatio
        >>> BoostedRatio(LinearRatio([2]), trees=1, depth=1)(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    feature: Tensor
    threshold: Tensor
    value: Tensor
    start: Tensor

    def __init__(self, base: nn.Module, trees: int, depth: int) -> None:
        super().__init__()
        self.base = base
        self.depth = depth
        # Complete trees: the children of node i are 2 i + 1 and 2 i + 2.
        questions, leaves = 2**depth - 1, 2**depth
        self.register_buffer("feature", torch.zeros(trees, questions, dtype=torch.int64))
        far = torch.full((trees, questions), torch.inf, dtype=torch.float64)
        self.register_buffer("threshold", far)
        self.register_buffer("value", torch.zeros(trees, leaves, dtype=torch.float64))
        self.register_buffer("start", torch.zeros(1, dtype=torch.float64))

    @property
    def trees(self) -> int:
        """How many there are."""
        return len(self.feature)

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Return logits (N,) of samples (N, *x_shape) with conditions (N, ...) or None."""
        base = self.base(x) if cond is None else self.base(x, cond)
        base = base.reshape(len(x), -1).mean(1)
        with torch.no_grad():
            seen = torch.cat([columns(x, cond), base.double()[:, None]], 1)
            boosted = torch.cat([self.walk(part) for part in seen.split(ROWS)]).to(base.dtype)
        return boosted if not base.requires_grad else boosted + (base - base.detach())

    def walk(self, seen: Tensor) -> Tensor:
        """Add up the leaves that rows (N, columns) float64 end in: (N,); NaN for a NaN in a row."""
        trees, questions = self.feature.shape
        feature, threshold = self.feature.flatten(), self.threshold.flatten()
        first = torch.arange(trees, device=seen.device)
        at = torch.zeros(len(seen), trees, dtype=torch.int64, device=seen.device)
        for _ in range(self.depth):
            here = at + first * questions
            at = 2 * at + 1 + (seen.gather(1, feature[here]) > threshold[here])
        leaf = at - questions + first * (questions + 1)
        total = self.start + self.value.flatten()[leaf].sum(1)
        return torch.where(seen.isfinite().all(1), total, torch.nan)

    @classmethod
    def grown(
        cls,
        base: nn.Module,
        model: Any,
        count: int,
        edges: Sequence[np.ndarray] | None = None,
    ) -> BoostedRatio:
        """Take the first ``count`` trees of a fitted ``HistGradientBoostingClassifier``.

        Args:
            base: As for the class.
            model: It saw columns and the base's logit, or the numbers of their bins.
            count: Trees.
            edges: Of the bins of each column, if it saw numbers of bins.

        Raises:
            AttributeError, IndexError, KeyError, ValueError: If this scikit-learn keeps its trees
                in another way.
        """
        grown = [stage[0].nodes for stage in model._predictors[:count]]
        deep = max((int(nodes["depth"].max()) for nodes in grown), default=0)
        own = cls(base, max(len(grown), 1), max(deep, 1))
        for row, nodes in enumerate(grown):
            # From (place in their list, place in the complete tree) downwards.
            waiting = [(0, 0)]
            while waiting:
                index, at = waiting.pop()
                node = nodes[index]
                if at >= own.feature.shape[1]:
                    own.value[row, at - own.feature.shape[1]] = float(node["value"])
                elif node["is_leaf"]:  # every sample goes left from here
                    waiting.append((index, 2 * at + 1))
                else:
                    column, value = int(node["feature_idx"]), float(node["num_threshold"])
                    own.feature[row, at] = column
                    # Up to the number of a bin is up to the edge of that number.
                    own.threshold[row, at] = value if edges is None else edges[column][int(value)]
                    waiting.append((int(node["left"]), 2 * at + 1))
                    waiting.append((int(node["right"]), 2 * at + 2))
        own.start += float(np.asarray(model._baseline_prediction).reshape(-1)[0])
        return own

    def spec(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """How to rebuild it around a network with the description ``base``; empty if that is."""
        if not base:
            return {}
        sizes = {"trees": self.trees, "depth": self.depth}
        return {"net": "boosted-ratio", "base": dict(base), **sizes}


class LinearRatio(nn.Module):
    """A linear logit (N,) of samples and their conditions, all numbers of which are columns.

    All weights are 0 at first: a ratio of 1 everywhere.

    Args:
        x_shape: Of one sample.
        cond_shape: Of one condition; ``()`` with ``conditional`` for labels and single numbers.
        conditional: Whether there are conditions.

    Raises:
        InputError: If the shape of samples is empty.
    """

    def __init__(
        self, x_shape: Sequence[int], cond_shape: Sequence[int] = (), conditional: bool = False
    ) -> None:
        super().__init__()
        if not x_shape:
            raise InputError(
                "linear-ratio x_shape: got (), allowed is a shape with one axis or more"
            )
        beside = int(np.prod(cond_shape)) if conditional else 0
        self.weight = nn.Parameter(torch.zeros(1, int(np.prod(x_shape)) + beside))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Return logits (N,) of samples (N, *x_shape) with conditions (N, ...)."""
        joint = columns(x, cond).to(self.weight.dtype)
        return nn.functional.linear(joint, self.weight, self.bias).squeeze(1)
