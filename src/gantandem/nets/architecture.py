"""What the published architectures share, whose names of weights fit files in circulation."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of a file's weights by name, spectral norm taken off."""


class Published(nn.Module):
    """An architecture that finds out, from a file, how it must be built to fit.

    It keeps its arguments in attributes, ``filters`` in ``_filters``, so that a GAN can be saved.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Note the arguments before the layers are made."""
        network = super().__new__(cls)
        with contextlib.suppress(TypeError):  # which __init__ raises, in its own words
            given = inspect.signature(cls).bind(*args, **kwargs).arguments
            vars(network).update({f"_{name}": value for name, value in given.items()})
        return network

    @classmethod
    def read_arguments(cls, shapes: Shapes) -> dict[str, Any]:
        """Read the arguments off the shapes of a file's weights.

        Raises:
            KeyError, IndexError, ValueError: If the weights are not of this architecture.
        """
        raise NotImplementedError
