"""What the published architectures share, whose names of weights fit files in circulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of a file's weights by name, spectral norm taken off."""


class Published(nn.Module):
    """An architecture that finds out, from a file, how it must be built to fit."""

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights.

        Raises:
            KeyError, IndexError, ValueError: If the weights are not of this architecture.
        """
        raise NotImplementedError
