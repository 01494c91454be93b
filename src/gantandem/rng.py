"""Stateless random numbers: every draw is a pure function of (seed, purpose, id, attempt, step).

Philox 4x32-10 (Salmon et al., SC 2011) in torch integer operations, so that the same numbers come
out for a sample wherever, whenever and beside whomever it is drawn. Nothing here reads or changes
torch's global random state.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gantandem.settings import Seed, check

RNG_VERSION = 1
"""Recorded in every manifest; raised whenever the same key would give other numbers."""

_MASK = 0xFFFFFFFF
_MULTIPLIER = np.array([0xCD9E8D57, 0xD2511F53], np.int64)  # of words 2 and 0
_WEYL = (0x9E3779B9, 0xBB67AE85)
_CHUNK = 32768  # torch runs element-wise work up to this size on one thread
_LANES = 64  # a multiple of every vector width, so that no scalar remainder is computed


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> list[Tensor]:
    """Ten rounds of Philox 4x32.

    Args:
        counter: Four int64 tensors of one shape (or broadcastable), values in [0, 2^32).
        key: Two integers in [0, 2^32).

    Returns:
        Four int64 tensors of the broadcast shape, values in [0, 2^32).
    """
    c0, c1, c2, c3 = torch.broadcast_tensors(*counter)
    # Words 2 and 0 side by side, and words 1 and 3, for the two halves of a round at once.
    even, odd = torch.stack([c2, c0]), torch.stack([c1, c3])
    shape = (2, *[1] * c0.dim())
    if even.device.type == "cpu":  # the same integers, by operations that cost less than torch's
        keys = [words.reshape(shape) for words in _round_keys(key)]
        factor = _MULTIPLIER.reshape(shape)
        arrays = _rounds(even.numpy(), odd.numpy(), keys, factor, lambda words: words[::-1])
        even, odd = map(torch.from_numpy, arrays)
    else:
        *keys, factor = (words.reshape(shape) for words in _on_device(key, even.device))
        even, odd = _rounds(even, odd, keys, factor, lambda words: words.flip(0))
    return [even[0], odd[0], even[1], odd[1]]


def _rounds(even: Any, odd: Any, keys: list[Any], multiplier: Any, swap: Any) -> tuple[Any, Any]:
    """All rounds, on arrays or tensors (2, ...); words 0 and 2, and 1 and 3, come out."""
    high = swap(even)
    for round_key in keys:
        # The product of two 32-bit words wraps in int64, but its 64 bits are the right ones.
        product = swap(high) * multiplier
        high = product >> 32
        high &= _MASK
        high ^= odd
        high ^= round_key
        product &= _MASK
        odd = product
    return high, odd


@functools.lru_cache(maxsize=64)
def _round_keys(key: tuple[int, int]) -> list[np.ndarray]:
    """The key of each round, (2,) int64."""
    words = [[(k + r * w) & _MASK for k, w in zip(key, _WEYL, strict=True)] for r in range(10)]
    return list(np.array(words, np.int64))


@functools.lru_cache(maxsize=256)
def _on_device(key: tuple[int, int], device: torch.device) -> list[Tensor]:
    """The key of each round, and the multiplier: kept, since a host waits while it sends them."""
    return [torch.from_numpy(words).to(device) for words in (*_round_keys(key), _MULTIPLIER)]


def stable(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply an element-wise function so that a value never depends on its place in the tensor.

    Torch's vector and scalar code paths round transcendental functions differently; which one an
    element meets depends on the length of the tensor and on the number of threads. Here each
    element goes through the vector path of one thread.
    """
    flat = x.reshape(-1)
    padded = torch.nn.functional.pad(flat, (0, -flat.numel() % _LANES), value=0.5)
    if x.device.type != "cpu" or padded.numel() <= _CHUNK:
        return function(padded)[: flat.numel()].view(x.shape)
    return torch.cat([function(p) for p in padded.split(_CHUNK)])[: flat.numel()].view(x.shape)


@dataclass(frozen=True)
class Key:
    """A source of random numbers: a 64-bit Philox key.

    Args:
        seed: Any integer from 0 to 2^64 - 1.

    Raises:
        InputError: If the seed is anything else.

    Example:
        >>> key = Key(0).fold("latent")
        >>> key.normal(torch.arange(4), shape=(2,)).shape
        torch.Size([4, 2])
    """

    seed: int

    def __post_init__(self) -> None:
        """Check the range of the seed."""
        object.__setattr__(self, "seed", check("seed", Seed, self.seed))

    def fold(self, purpose: str | int) -> Key:
        """Derive an independent key for a named purpose (or a number)."""
        digest = hashlib.blake2b(
            str(purpose).encode(), key=self.seed.to_bytes(8, "little"), digest_size=8
        )
        return Key(int.from_bytes(digest.digest(), "little"))

    @property
    def _words(self) -> tuple[int, int]:
        return self.seed & _MASK, self.seed >> 32

    def bits(
        self, ids: Tensor, attempts: Tensor | int = 0, step: Tensor | int = 0, count: int = 4
    ) -> Tensor:
        """Draw 32-bit words, one row for each id.

        Args:
            ids: (N,) int64, in [0, 2^32).
            attempts: (N,) int64 or one integer, in [0, 2^32).
            step: (N,) int64 or one integer, in [0, 2^32).
            count: Words a row.

        Returns:
            (N, count) int64, values in [0, 2^32).
        """
        blocks = torch.arange((count + 3) // 4, device=ids.device)[None, :]
        column = [
            v[:, None] if isinstance(v, Tensor) else torch.full((1, 1), v, device=ids.device)
            for v in (step, attempts, ids)
        ]
        words = philox((blocks, column[0], column[1], column[2]), self._words)
        return torch.stack(words, dim=-1).reshape(len(ids), -1)[:, :count]

    def uniform(
        self,
        ids: Tensor,
        attempts: Tensor | int = 0,
        step: Tensor | int = 0,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        """Draw float32 uniforms in the open interval (0, 1), of shape (N, *shape)."""
        words = self.bits(ids, attempts, step, math.prod(shape))
        return ((words >> 9).float() + 0.5).mul_(2.0**-23).view(len(ids), *shape)

    def log_uniform(
        self, ids: Tensor, attempts: Tensor | int = 0, step: Tensor | int = 0
    ) -> Tensor:
        """Draw logarithms of float64 uniforms in (0, 1), of shape (N,)."""
        words = self.bits(ids, attempts, step, 2)
        fine = (words[:, 0] << 20 | words[:, 1] >> 12).double()
        return stable(torch.log, (fine + 0.5) * 2.0**-52)

    def normal(
        self,
        ids: Tensor,
        attempts: Tensor | int = 0,
        step: Tensor | int = 0,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        """Draw float32 standard normals of shape (N, *shape), by Box-Muller."""
        count = math.prod(shape)
        u = self.uniform(ids, attempts, step, ((count + 1) // 2, 2))
        radius = stable(lambda a: torch.sqrt(-2 * torch.log(a)), u[..., 0])
        angle = 2 * math.pi * u[..., 1]
        pair = (radius * stable(torch.cos, angle), radius * stable(torch.sin, angle))
        return torch.stack(pair, -1).reshape(len(ids), -1)[:, :count].reshape(len(ids), *shape)

    def integers(
        self, high: int, ids: Tensor, attempts: Tensor | int = 0, step: Tensor | int = 0
    ) -> Tensor:
        """Draw (N,) int64 integers in [0, high), for high below 2^24."""
        return (self.uniform(ids, attempts, step) * high).long().clamp_(max=high - 1)

    def generator(self, device: torch.device | Literal["cpu"] = "cpu") -> torch.Generator:
        """Make a torch generator seeded from this key, for shuffling and training."""
        return torch.Generator(device).manual_seed(self.seed & (2**63 - 1))
