"""Training of baseline GANs: deterministic by seed, resumable, nothing pickled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gantandem.errors import ConfigError, DataError, NonFiniteError, renamed
from gantandem.nets import build
from gantandem.networks.devices import find_device
from gantandem.progress import keeping, uninterrupted
from gantandem.training.checkpoint import TrainState, identity_of, restore, write_checkpoint
from gantandem.training.config import Trainable as Trainable
from gantandem.training.config import TrainConfig as TrainConfig
from gantandem.training.losses import Loss, get_loss

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"
LOST = 0.01
"""Nats: a discriminator below this loss has nothing more to teach."""


@dataclass(frozen=True)
class TrainInfo:
    """Losses of one iteration, scalars."""

    discriminator_loss: Tensor
    generator_loss: Tensor


class Pair(NamedTuple):
    """The networks of a GAN."""

    generator: nn.Module
    discriminator: nn.Module


@renamed(out_dir="folder")
def train_gan(
    task: Trainable,
    data: Tensor,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    train: TrainConfig | None = None,
    resume: bool = True,
    on_step: Callable[[TrainState, TrainInfo, int], None] | None = None,
    device: str | torch.device | None = None,
) -> Pair:
    """Train a GAN and return its networks, in eval mode.

    The same seed gives the same weights bit by bit on one machine, build and number of threads,
    however often the run was interrupted and resumed; torch's global random state is left alone.
    On a GPU this holds up to rounding (see ``deterministic``), and for networks without noise.

    Args:
        task: Networks, latent and default settings.
        data: Real samples (N, *x_shape), the fit part only.
        seed: Of initialisation, order of the data, latents and whatever noise the networks draw.
        folder: Gets a checkpoint every ``checkpoint_every`` iterations and at the end; a RUN of
            the networks is made by ``gantandem train`` or :func:`gantandem.save_run`. Default:
            nothing is written.
        train: Settings. Default: those of the task.
        resume: Go on from the checkpoint in ``folder`` if there is one. Default True; False
            starts anew and overwrites it.
        on_step: Called with (state, info, iterations done) after every update.
        device: Where the networks are trained and returned, such as ``"cuda"``; None for the CPU.
            Initial weights, batches and latents are those of the CPU.

    Raises:
        InputError: If there is no such device.
        ConfigError: If the checkpoint in ``folder`` is of another run or has gone too far.
        DataError: If there are fewer samples than a batch.
        NonFiniteError: If a loss becomes NaN or infinite; the last checkpoint is kept.
        KeyboardInterrupt: On Ctrl-C, after saying which checkpoint is kept.

    Source: Goodfellow et al., NeurIPS 2014, Algorithm 1 with one discriminator step.
    """
    train, where = train or task.train, find_device(device)
    if len(data) < train.batch_size:
        raise DataError(f"{len(data)} samples are fewer than the batch_size of {train.batch_size}")
    folder = Path(folder) if folder is not None else None
    identity = identity_of(task, train, seed, data)
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        state = _fresh(task, train, seed, where)
        if folder is not None and resume and (folder / CHECKPOINT).exists():
            restore(state, folder / CHECKPOINT, identity)
            if state.iteration > train.iterations:
                raise ConfigError(
                    f"{folder / CHECKPOINT} is at iteration {state.iteration}, which is more than "
                    f"iterations={train.iterations}. Use another folder, or overwrite=True "
                    "(--overwrite) to train again in this folder"
                )
            logger.info("resuming %s at iteration %d", folder, state.iteration)
        checkpoint = None if folder is None else folder / CHECKPOINT

        def kept() -> str:
            there = checkpoint is not None and checkpoint.exists()
            return f"run it again to resume from {checkpoint}" if there else ""

        with keeping(kept):
            _loop(state, task, train, data, seed, folder, identity, on_step)
    for network in (state.generator, state.discriminator):
        network.zero_grad(set_to_none=True)
        network.eval()
    return Pair(state.generator, state.discriminator)


def draw_latent(latent: Mapping[str, Any], n: int, noise: torch.Generator) -> Tensor:
    """Draw n latents, shape (n, dim) or (n, *dim), from a task's latent description.

    Raises:
        ConfigError: If the kind is neither "normal" nor "uniform".
    """
    dim = latent["dim"]
    shape = (n, dim) if isinstance(dim, int) else (n, *dim)
    if latent["kind"] == "normal":
        return torch.randn(shape, generator=noise)
    if latent["kind"] == "uniform":
        unit = torch.rand(shape, generator=noise)
        return latent["low"] + (latent["high"] - latent["low"]) * unit
    raise ConfigError(f"latent kind {latent['kind']!r}: allowed are 'normal' and 'uniform'")


def _loop(
    state: TrainState,
    task: Trainable,
    train: TrainConfig,
    data: Tensor,
    seed: int,
    folder: Path | None,
    identity: dict[str, str],
    on_step: Callable[[TrainState, TrainInfo, int], None] | None,
) -> None:
    per_epoch, loss = len(data) // train.batch_size, get_loss(train.loss)
    where = next(state.generator.parameters()).device
    epoch, order = -1, torch.empty(0, dtype=torch.long)
    while state.iteration < train.iterations:
        if epoch != state.iteration // per_epoch:
            epoch = state.iteration // per_epoch
            # A function of (seed, epoch) alone, so a resumed run finds its place without a record.
            order = torch.randperm(len(data), generator=_stream(seed, 1, epoch))
        at = state.iteration % per_epoch * train.batch_size
        real = data[order[at : at + train.batch_size]]
        with uninterrupted():
            z = draw_latent(task.latent, len(real), state.noise)
            info = _update(state, loss, real.to(where), z.to(where))
            state.iteration += 1
            if on_step is not None:
                on_step(state, info, state.iteration)
            if state.iteration % train.checkpoint_every == 0 or state.iteration == train.iterations:
                _report(state, info)
                if folder is not None:
                    write_checkpoint(state, folder / CHECKPOINT, identity)


def _update(state: TrainState, loss: Loss, real: Tensor, z: Tensor) -> TrainInfo:
    generator, discriminator = state.generator, state.discriminator
    fake = generator(z)
    # Real and fake go through D apart: BatchNorm over both at once would tell D which is which.
    d_loss = loss.discriminator(discriminator(real), discriminator(fake.detach()))
    state.discriminator_optimiser.zero_grad()
    d_loss.backward()
    state.discriminator_optimiser.step()
    g_loss = loss.generator(discriminator(fake))
    state.generator_optimiser.zero_grad()
    g_loss.backward(inputs=list(generator.parameters()))  # and none of D's weight gradients
    state.generator_optimiser.step()
    return TrainInfo(d_loss.detach(), g_loss.detach())


def _report(state: TrainState, info: TrainInfo) -> None:
    losses = info.discriminator_loss.item(), info.generator_loss.item()
    if not all(torch.isfinite(torch.tensor(loss)) for loss in losses):
        raise NonFiniteError(
            f"losses of D and G are {losses} at iteration {state.iteration}. The last checkpoint "
            "is kept; try smaller learning rates"
        )
    logger.info("iteration %d: loss of D %.4f, of G %.4f", state.iteration, *losses)
    if losses[0] < LOST:
        logger.warning(
            "iteration %d: the discriminator recognises every generated sample (loss %.4f), so "
            "the generator no longer learns from it. Look at the samples, and try another seed "
            "or a smaller discriminator_rate",
            state.iteration,
            losses[0],
        )


def _stream(seed: int, purpose: int, index: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + index * 101 + purpose)


def _fresh(task: Trainable, train: TrainConfig, seed: int, device: torch.device) -> TrainState:
    generator, discriminator = (
        build(task.networks[role]).train().to(device) for role in ("generator", "discriminator")
    )
    return TrainState(
        generator=generator,
        discriminator=discriminator,
        generator_optimiser=_optimiser(generator, train, train.generator_rate),
        discriminator_optimiser=_optimiser(discriminator, train, train.discriminator_rate),
        noise=_stream(seed, 2),
    )


def _optimiser(network: nn.Module, train: TrainConfig, rate: float) -> torch.optim.Optimizer:
    if train.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), rate)
    return torch.optim.Adam(network.parameters(), rate, (train.beta1, 0.999), fused=True)
