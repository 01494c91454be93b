"""What a network takes: shapes, lists, keywords and types of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from gantandem.adapt.base import Adapter, check_names
from gantandem.errors import InputError
from gantandem.settings import plain

Shape = tuple[int, ...]
HALF = (torch.float16, torch.bfloat16)
TYPES = {str(t).removeprefix("torch."): t for t in (*HALF, torch.float32, torch.float64)}


def as_shape(size: Any, where: str) -> Shape:
    """A shape from itself or from one size; -1 stands for what is left.

    Raises:
        InputError: If it is neither.
    """
    shape = plain(size)
    shape = (shape,) if isinstance(shape, int) else shape
    if not isinstance(shape, tuple) or not all(isinstance(n, int) for n in shape):
        raise InputError(f"{where}: got {size!r}, allowed is a size or a shape such as (100, 1, 1)")
    return shape


class Reshape(Adapter):
    """Each row in another shape: (N, 100) latents for a generator that takes (N, 100, 1, 1).

    Args:
        network: What is given the reshaped rows.
        shape: Of one row; ``(-1,)``, the default, makes it flat.
    """

    def __init__(self, network: nn.Module, shape: int | Sequence[int] = (-1,)) -> None:
        super().__init__(network)
        self.shape = as_shape(shape, "Reshape")

    def forward(self, x: Tensor, *cond: Any) -> Any:
        """Reshape the rows: (N, ...) to (N, *shape)."""
        return self.network(x.reshape(x.shape[0], *self.shape), *cond)


class Parts(Adapter):
    """One latent cut into several: z and noise, a list of styles, latents by name.

    With sizes (100, 28) the latent has 128 columns: ``GAN(Parts(G, (100, 28)), D, latent=128)``.

    Args:
        network: What is given the parts.
        shapes: Size or shape of each part, in order; or a mapping from the names of arguments.
        how: ``"arguments"`` calls ``network(z, noise)``, ``"list"`` calls ``network([z, noise])``.
            Named parts are keywords, or with ``"dict"`` one dict.

    Raises:
        InputError: If the network's forward has no argument of such a name.
    """

    def __init__(
        self,
        network: nn.Module,
        shapes: Sequence[Any] | Mapping[str, Any],
        how: Literal["arguments", "list", "dict"] = "arguments",
    ) -> None:
        super().__init__(network)
        self.how = how
        if how not in ("arguments", "list", "dict"):
            allowed = "'arguments', 'list' and 'dict'"
            raise InputError(f"Parts how: got {how!r}, allowed are {allowed}")
        if (how == "dict" and not isinstance(shapes, Mapping)) or isinstance(shapes, str):
            raise InputError(f"Parts: got {shapes!r}; write sizes with names, {{'z': 100}}")
        if isinstance(shapes, Mapping):
            self.shapes: Any = {str(k): as_shape(v, "Parts") for k, v in shapes.items()}
            if how != "dict":
                check_names(self, list(self.shapes), f"adapt.Parts({{}}, {dict(shapes)})")
        else:
            every = plain(shapes)
            every = (every,) if isinstance(every, int) else every
            self.shapes = tuple(as_shape(v, "Parts") for v in every)

    @property
    def columns(self) -> int:
        """How many the latents have."""
        shapes = self.shapes.values() if isinstance(self.shapes, dict) else self.shapes
        return sum(map(math.prod, shapes))

    def forward(self, z: Tensor, *cond: Any) -> Any:
        """Cut (N, d) latents, d the sum of all parts."""
        named = isinstance(self.shapes, dict)
        shapes = list(self.shapes.values()) if named else self.shapes
        cuts = z.flatten(1).split([math.prod(shape) for shape in shapes], 1)
        parts = [cuts[i].reshape(z.shape[0], *shape) for i, shape in enumerate(shapes)]
        if named:
            by_name = dict(zip(self.shapes, parts, strict=True))
            return (
                self.network(by_name, *cond)
                if self.how == "dict"
                else self.network(*cond, **by_name)
            )
        return self.network(parts, *cond) if self.how == "list" else self.network(*parts, *cond)


class With(Adapter):
    """Fixed arguments in every call: ``With(G, {"noise_mode": "const"})``.

    Args:
        network: What is called.
        arguments: By name; numbers, texts, flags, None.
    """

    def __init__(self, network: nn.Module, arguments: Mapping[str, Any]) -> None:
        super().__init__(network)
        if not isinstance(arguments, Mapping):
            raise InputError(f'With: got {arguments!r}, allowed is a mapping {{"name": value}}')
        self.arguments = dict(arguments)
        check_names(self, list(self.arguments), f"adapt.With({{}}, {self.arguments})")

    def forward(self, *inputs: Any) -> Any:
        """Call the network with them."""
        return self.network(*inputs, **self.arguments)


class Twice(Adapter):
    """Calls ``network(x, x)``, for a discriminator that scores a real and a made batch at once.

    It returns both scores; take one: ``Item(Twice(D), 0)``.
    """

    def forward(self, x: Any, *cond: Any) -> Any:
        """Give the samples twice."""
        return self.network(x, x, *cond)


class OwnType(Adapter):
    """A network of half or double precision, given its inputs in the type of its weights.

    What it returns in half precision becomes float32, so that small moves of a sample are not lost.

    Args:
        network: What has such weights.
        dtype: ``"float16"``, ``"bfloat16"``, ``"float32"`` or ``"float64"``: converts the network
            itself, as a saved one is when it is built anew. None, the default, leaves it.
    """

    def __init__(self, network: nn.Module, dtype: str | None = None) -> None:
        super().__init__(network)
        if dtype is not None and dtype not in TYPES:
            raise InputError(f"OwnType: got {dtype!r}, allowed are {', '.join(TYPES)}")
        if dtype is not None:
            self.network.to(TYPES[dtype])

    @property
    def dtype(self) -> str:
        """Of the weights."""
        return str(self._type).removeprefix("torch.")

    @property
    def _type(self) -> torch.dtype:
        weight = next((p for p in self.network.parameters() if p.is_floating_point()), None)
        return torch.get_default_dtype() if weight is None else weight.dtype

    def forward(self, *inputs: Any) -> Any:
        """Convert floating inputs, call, and give at least float32 back."""
        return full(self.network(*(_typed(value, self._type) for value in inputs)))


def _typed(value: Any, dtype: torch.dtype) -> Any:
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if floating else value


def full(value: Any) -> Any:
    """A tensor of half precision as float32; anything else as it is."""
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value


fx.wrap("_typed")  # what looks at values is one step of a traced generator
fx.wrap("full")
