"""Networks that draw noise while they run: kept fixed, or made a part of the latent."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gantandem.adapt.base import Adapter, sizes_of
from gantandem.adapt.inputs import as_shape
from gantandem.errors import InputError
from gantandem.rng import Key

Feed = Callable[[str, Tensor], Tensor]
"""From the place of a draw, and what was drawn there, to standard normals of its shape."""

FOREIGN = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError)
"""What a network raises that is given what it does not take."""
_NORMAL = {torch.randn, torch.randn_like}
_UNIFORM = {torch.rand, torch.rand_like}
_DROPOUT = {nn.functional.dropout, torch.dropout}


class _Replaced(TorchFunctionMode):
    """Numbers of our own wherever torch draws some, named by the layer and its count of calls."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.feed = feed
        self.calls: dict[str, int] = {}
        self.open: list[list[Any]] = [["", 0]]

    def enter(self, name: str) -> None:
        """A layer begins."""
        call = self.calls[name] = self.calls.get(name, -1) + 1
        self.open.append([f"{name}:{call}", 0])

    def leave(self) -> None:
        """It ends."""
        self.open.pop()

    def _noise(self, drawn: Tensor) -> Tensor:
        top = self.open[-1]
        place, top[1] = f"{top[0]}:{top[1]}", top[1] + 1
        return self.feed(place, drawn)

    def _uniform(self, drawn: Tensor) -> Tensor:
        return torch.special.ndtr(self._noise(drawn)).clamp(max=1 - 2**-24)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        options = dict(kwargs or {})
        if func in _NORMAL:
            drawn = func(*args, **options)
            return self._noise(drawn).to(drawn.dtype)
        if func in _UNIFORM:
            drawn = func(*args, **options)
            return self._uniform(drawn).to(drawn.dtype)
        if func is torch.normal:
            drawn = func(*args, **options)
            mean, std = _two(args, options, ("mean", "std"), (0.0, 1.0))
            return (mean + std * self._noise(drawn)).to(drawn.dtype)
        if func is Tensor.normal_:
            mean, std = _two(args[1:], options, ("mean", "std"), (0.0, 1.0))
            return args[0].copy_(mean + std * self._noise(args[0]))
        if func is Tensor.uniform_:
            low, high = _two(args[1:], options, ("from", "to"), (0.0, 1.0))
            return args[0].copy_(low + (high - low) * self._uniform(args[0]))
        if func in _DROPOUT:
            names = dict(zip(("input", "p", "training"), args, strict=False)) | options
            x, p = names["input"], names.get("p", 0.5)
            if names.get("training", names.get("train", True)) and 0 < p < 1:
                return x * (self._uniform(x) >= p).to(x.dtype) / (1 - p)
        return func(*args, **options)


def _two(args: Any, options: Any, names: tuple[str, str], otherwise: tuple[Any, Any]) -> list[Any]:
    given = dict(zip(names, args, strict=False)) | options
    return [given.get(name, value) for name, value in zip(names, otherwise, strict=True)]


@contextlib.contextmanager
def _replaced(network: nn.Module, feed: Feed) -> Iterator[None]:
    """Feed what a network draws in the block; hooks that tell where are gone afterwards."""
    mode = _Replaced(feed)
    hooks: list[Any] = []
    try:
        for name, module in network.named_modules():
            hooks.append(module.register_forward_pre_hook(lambda _m, _x, n=name: mode.enter(n)))
            left = module.register_forward_hook(lambda *_: mode.leave(), always_call=True)
            hooks.append(left)
        with mode:
            yield
    finally:
        for hook in hooks:
            hook.remove()


class FixedNoise(Adapter):
    """A generator whose noise is the same for every sample: drawn once, from a seed.

    It works for ``torch.randn`` and the like, ``normal_``, ``uniform_`` and dropout, wherever the
    network's forward calls them; the network itself stays as it is. Samples then lack what the
    noise would vary. Use it where the noise is large; else make it a part of the latent, with
    :class:`NoiseFromLatent`.

    Args:
        network: What draws noise.
        seed: Of the noise. Default 0.
    """

    def __init__(self, network: nn.Module, seed: int = 0) -> None:
        super().__init__(network)
        self.seed = seed

    def forward(self, x: Tensor, *cond: Any) -> Any:
        """Call the network on N rows."""
        rows = len(x)

        def feed(place: str, drawn: Tensor) -> Tensor:
            shape = tuple(drawn.shape)
            each = bool(shape) and shape[0] in (1, rows)
            one = _fixed(self.seed, place, shape[1:] if each else shape)
            return (one if each else one[0]).to(drawn.device).expand(shape).clone()

        with _replaced(self.network, feed):
            return self.network(x, *cond)


@functools.lru_cache(maxsize=64)
def _fixed(seed: int, place: str, shape: tuple[int, ...]) -> Tensor:
    return Key(seed).fold(place).normal(torch.zeros(1, dtype=torch.int64), shape=shape)


class NoiseFromLatent(Adapter):
    """A generator whose noise is a part of its latent, drawn for each id as the rest is.

    Latents become wider: ``G = NoiseFromLatent(G, 100)``, then ``GAN(G, D, latent=G.columns)``.
    The first columns are the latent as before, the others what the network would draw itself, as
    standard normals. So samples are functions of their latents, every sampler applies, and what
    moves a latent moves the noise as well.

    Args:
        network: What draws noise: a row of it for each latent.
        latent: The size or shape of the latents that it takes.
        plan: What is drawn where, in numbers a row; None, the default, finds it by two calls.
        condition: (1, ...) a condition to find it with, where the network needs one.

    Attributes:
        columns: How many the latents have.

    Raises:
        InputError: If it draws nothing, or not as many numbers for each row.
    """

    def __init__(
        self,
        network: nn.Module,
        latent: int | Sequence[int],
        plan: Mapping[str, int] | None = None,
        condition: Tensor | None = None,
    ) -> None:
        super().__init__(network)
        self.latent = as_shape(latent, "NoiseFromLatent")
        own = self._find(condition) if plan is None else plan
        self.plan = {place: int(own[place]) for place in sorted(own)}
        self.columns = math.prod(self.latent) + sum(self.plan.values())

    def _find(self, condition: Tensor | None) -> dict[str, int]:
        flags = [(module, module.training) for module in self.network.modules()]
        weight = next(self.network.parameters(), torch.empty(0))
        self.network.eval()
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                seen = [self._seen(rows, weight, condition) for rows in (2, 3)]
        except FOREIGN as error:
            raise self._misfit(error, weight, condition) from error
        finally:
            for module, flag in flags:
                module.training = flag
        if not seen[0]:
            raise InputError(
                f"NoiseFromLatent: {type(self.network).__name__} draws no noise in eval mode"
            )
        if seen[0] != seen[1]:
            raise InputError(
                f"NoiseFromLatent: {type(self.network).__name__} draws noise whose first axis is "
                "not the batch, so the noise cannot come from the latents; use FixedNoise(G)"
            )
        return {place: int(count) for place, count in seen[0].items()}

    def _misfit(self, error: Exception, weight: Tensor, condition: Tensor | None) -> InputError:
        """What to say of latents that the network does not take: which size it takes."""
        kind, asked = type(self.network).__name__, self.latent
        hint = "" if condition is not None else "; if it needs a condition, pass condition=labels"
        sizes = dict.fromkeys(sizes_of(self.network))
        shapes = itertools.chain(*(((size,), (size, 1, 1)) for size in sizes))
        for self.latent in shapes:
            with contextlib.suppress(*FOREIGN):
                self._seen(2, weight, condition)
                shape = self.latent if len(self.latent) > 1 else self.latent[0]
                hint = f". Write adapt.NoiseFromLatent(G, {shape})"
                break
        return InputError(
            f"NoiseFromLatent: {kind} does not take latents of shape {asked}: {error}{hint}"
        )

    def _seen(self, rows: int, weight: Tensor, condition: Tensor | None) -> dict[str, float]:
        seen: dict[str, float] = {}

        def feed(place: str, drawn: Tensor) -> Tensor:
            seen[place] = drawn.numel() / rows
            return torch.zeros_like(drawn)

        z = torch.ones(rows, *self.latent, device=weight.device)
        cond = [] if condition is None else [condition[:1].expand(rows, *condition.shape[1:])]
        with _replaced(self.network, feed):
            self.network(z, *cond)
        return seen

    def forward(self, z: Tensor, *cond: Any) -> Any:
        """Call the network on (N, columns) latents."""
        rows, width = len(z), math.prod(self.latent)
        parts = z.flatten(1).split([width, *self.plan.values()], 1)
        noise = dict(zip(self.plan, parts[1:], strict=True))

        def feed(place: str, drawn: Tensor) -> Tensor:
            if place not in noise or noise[place].numel() != drawn.numel():
                raise InputError(
                    f"NoiseFromLatent: {type(self.network).__name__} draws {tuple(drawn.shape)} "
                    f"at {place!r}, which it did not draw when it was first run; use "
                    "FixedNoise(G)"
                )
            return noise[place].reshape(drawn.shape)

        with _replaced(self.network, feed):
            return self.network(parts[0].reshape(rows, *self.latent), *cond)
