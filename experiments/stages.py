"""What the figures stop at: generators at an iteration, discriminators after so many updates."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gantandem.discriminator.parts import batches, frozen_copy, seeded, trainable
from gantandem.gan import GAN
from gantandem.nets import build
from gantandem.progress import track
from gantandem.rng import Key
from gantandem.runs import Workspace, fit_run, shape_run, train_run
from gantandem.runs.reading import load_recipe
from gantandem.training.gan import CHECKPOINT
from gantandem.training.losses import discriminator_loss

STARTS = {"new": "newly drawn weights", "trained": "the discriminator that the GAN came with"}


def train_stage(folder: Path, seed: int, stage: int, overrides: Sequence[str] = ()) -> Workspace:
    """Train the imbalanced 8 Gaussians to a stage, from the checkpoint of the nearest earlier one.

    Args:
        folder: Of this seed; every stage has a run folder in it.
        seed: Of the recipe.
        stage: Iterations of the generator.
        overrides: ``key=value`` texts on the recipe.
    """
    run = folder / str(stage)
    earlier = [int(path.parent.name) for path in folder.glob(f"*/{CHECKPOINT}")]
    earlier = [done for done in earlier if done < stage]
    if earlier and not (run / CHECKPOINT).is_file():
        run.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / str(max(earlier)) / CHECKPOINT, run / CHECKPOINT)
    settings = [f"seed={seed}", *overrides, f"train.iterations={stage}"]
    return train_run(load_recipe("imbalanced-8", settings), run, overwrite=True)


def shape_and_fit(
    work: Workspace, samplers: Sequence[str] = ("direct", "collaborative")
) -> dict[str, Any]:
    """Shape a run's guide and fit its ratios; what that took, for ``setup`` of metrics.

    Args:
        work: The run.
        samplers: On whose proposals a ratio is fitted.
    """
    begin = time.perf_counter()
    shaped = shape_run(work)
    fit_run(work, samplers)
    seconds = round(time.perf_counter() - begin, 1)
    updates, threads = shaped.history[-1]["update"], torch.get_num_threads()
    return {"shape and fit": {"seconds": seconds, "updates": updates, "threads": threads}}


def stages(
    work: Workspace, start: str, updates: Sequence[int], *, rate: float | None = None
) -> Iterator[tuple[int, nn.Module]]:
    """Train D against the generator as it is, and yield a frozen copy at every stage.

    The update is that of the GAN's own training (same loss, optimiser SGD and batch size) with
    the generator left alone.

    Args:
        work: A trained GAN.
        start: ``"new"`` or ``"trained"``, see ``STARTS``.
        updates: Ascending numbers of updates.
        rate: Of SGD; None takes that of the GAN's training.
    """
    gan, train = work.gan, work.task.train
    key = Key(work.recipe.seed).fold(f"table1 {start}")
    if start == "new":
        with seeded(key.fold("weights"), gan.device):
            network = build(work.task.networks["discriminator"])
    else:
        network = gan.networks.need_guide("stages").network
    own = trainable(network)
    rate = train.discriminator_rate if rate is None else rate
    optimiser = torch.optim.SGD(own.parameters(), lr=rate)
    real = batches(work.real.fit, train.batch_size, key.fold("real").generator())
    with track(updates[-1], f"discriminator, {start}") as tick:
        for step in range(updates[-1] + 1):
            if step in updates:
                yield step, frozen_copy(own)
            if step == updates[-1]:
                return
            made = _made(gan, key.fold("made"), step, train.batch_size)
            loss = discriminator_loss(own(next(real)), own(made))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            tick(1)


def _made(gan: GAN, key: Key, step: int, size: int) -> torch.Tensor:
    """Fresh samples of the plain generator; every id is used once."""
    ids = torch.arange(step * size, (step + 1) * size)
    with gan.networks.frozen():
        return gan.decode(gan.latent.draw(key, ids))
