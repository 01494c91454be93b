"""What shaping, fitting and calibration share: real parts, batches, draws from a law."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantandem.data.real import Real
from gantandem.engine import Run
from gantandem.errors import DataError
from gantandem.gan import GAN
from gantandem.rng import Key
from gantandem.samplers.base import Mover

MIN_REAL = 40


def split_real(real: Real | Tensor, seed: int = 0) -> Real:
    """Split real samples once: 70% to fit, 10% each to select, calibrate and test.

    A ``Real`` is already split and comes back as it is. The split depends on the data's number
    and the seed alone, so that every call sees the same parts.

    Raises:
        DataError: If there are too few samples, or some are not finite.
    """
    if isinstance(real, Real):
        return real
    if real.dim() < 2 or len(real) < MIN_REAL:
        raise DataError(
            f"real: got shape {tuple(real.shape)}; at least {MIN_REAL} samples (N, *x_shape) are "
            "needed to fit, select, calibrate and test on separate parts"
        )
    if not bool(real.isfinite().all()):
        raise DataError("real: some values are NaN or infinite; remove those samples")
    order = torch.randperm(len(real), generator=Key(seed).fold("split real").generator())
    tenth = len(real) // 10
    cuts = (len(real) - 3 * tenth, tenth, tenth, tenth)
    fit, select, held, test = (real[index] for index in order.split(cuts))
    return Real(fit=fit, select=select, calibrate=held, test=test)


def batches(x: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless shuffled batches; a set smaller than a batch is drawn from with replacement."""
    if len(x) < size:
        while True:
            yield x[torch.randint(len(x), (size,), generator=generator)]
    while True:
        order = torch.randperm(len(x), generator=generator)
        yield from (x[index] for index in order[: len(x) - len(x) % size].split(size))


def draw(gan: GAN, mover: Mover, n: int, purpose: str, *, width: int | None = None) -> Run:
    """Prepare a run of n proposals of a prepared mover, with ids of their own purpose."""
    return Run(gan, mover, n, Key(0).fold(purpose), width=width)


@dataclass
class Drawn:
    """Proposals of a law: x (N, *x_shape), their ids, and the passes spent."""

    x: Tensor
    ids: Tensor
    passes: int


def draw_all(gan: GAN, mover: Mover, n: int, purpose: str, *, width: int | None = None) -> Drawn:
    """Draw n proposals of a prepared mover; samples of a broken lane are left out."""
    run = draw(gan, mover, n, purpose, width=width)
    blocks = list(run.blocks())
    x, ids, sound = (torch.cat([getattr(b, f) for b in blocks]) for f in ("x", "ids", "accepted"))
    return Drawn(x[sound], ids[sound], run.passes)


def logits(score: nn.Module, x: Tensor, batch: int = 1000) -> Tensor:
    """Score a set in eval mode, (N,); every module gets its own mode back."""
    training = [module for module in score.modules() if module.training]
    score.eval()
    with torch.no_grad():
        out = torch.cat([_column(score(part)) for part in x.split(batch)])
    for module in training:  # not score.train(): that would wake the normalisation layers
        module.training = True
    return out


@contextlib.contextmanager
def seeded(key: Key, device: torch.device) -> Iterator[None]:
    """Draw initial weights and dropout from a key; the global random state is given back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(key.seed % 2**63)
        yield


def _column(raw: Tensor) -> Tensor:
    return raw.flatten(1).mean(1) if raw.dim() > 1 else raw


def contrast(network: nn.Module, real: Tensor, made: Tensor) -> Tensor:
    """Logistic loss of real against generated, in nats: its minimum is at log p_real / p_made."""
    on_real, on_made = _column(network(real)), _column(network(made))
    return 0.5 * (F.softplus(-on_real).mean() + F.softplus(on_made).mean())


def trainable(network: nn.Module) -> nn.Module:
    """A copy to fine-tune: weights free, statistics of normalisation layers held as they are."""
    own = copy.deepcopy(network).train()
    for module in own.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    for parameter in own.parameters():
        parameter.requires_grad_(True)
    return own


def frozen_copy(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights stay."""
    return copy.deepcopy(network).eval().requires_grad_(False)
