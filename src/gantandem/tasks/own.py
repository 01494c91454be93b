"""A user's own data: what it takes to fit, compare and report any GAN with them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantandem.data.matching import WIDE, probe
from gantandem.data.ranges import find_range
from gantandem.data.real import Real, Stored
from gantandem.data.sources import Opened, fitted, in_range, open_source
from gantandem.discriminator.parts import split_real
from gantandem.errors import ConfigError, DataError, InputError
from gantandem.evaluate.against import Against
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.manifold import manifold_metrics
from gantandem.evaluate.metrics.pareto import Axis, Pareto
from gantandem.gan import GAN
from gantandem.settings import check, show
from gantandem.tasks.base import Metrics, Task
from gantandem.training.gan import TrainConfig

MOST = 10_000
"""Held-out samples that others are measured against, at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnTask(Task):
    """Networks and data of a user's own; measured against held-out real data.

    Args:
        data: Where the data are, see :func:`gantandem.data.sources.open_source`.
        labelled: Whether the GAN is conditional, so that samples bring their labels.
    """

    name: str = "own"
    x_shape: tuple[int, ...] = ()
    layer: str = "latent"
    train: TrainConfig = TrainConfig(
        iterations=10_000,
        batch_size=64,
        optimiser="adam",
        generator_rate=2e-4,
        discriminator_rate=2e-4,
    )
    pareto: Pareto = Pareto(
        quality=Axis("precision", "high", "precision"),
        diversity=Axis("coverage", "high", "coverage"),
        distance=Axis("sliced_w1", "low", "sliced W1"),
    )
    data: str | None = None
    labelled: bool = False

    def of_run(self, gan: GAN, data: str | None) -> OwnTask:
        """Note what the generator makes, and where the real data are."""
        x = probe(gan.networks)
        pictures, wide = x.dim() == 4, x[0].numel() >= WIDE
        bounds = self.range or (find_range(x.cpu().numpy()) if pictures else None)
        return replace(
            self,
            name="own data" if data is None else Path(data).name,
            x_shape=tuple(x.shape[1:]),
            layer=self.layer if wide else "data",
            sampler_defaults={"refine": {"defensive": 0.0}} if wide else {},
            range=bounds,
            data=data,
            labelled=gan.condition is not None,
        )

    def real(self, seed: int = 0, data: str | None = None) -> Real:
        """Return the data in four parts; what the source sets apart for tests is the test part.

        Without that, the content of each sample decides, as in :func:`gantandem.split_real`.

        Raises:
            DataError: If the data cannot be read, or have no labels where the GAN has conditions.
        """
        source = data or self.data
        if source is None:
            raise ConfigError(
                "data: this run has no data, but this step needs real samples: give data=FOLDER, "
                "a hub name, or an .npy or .npz file"
            )
        found = _fitted(source, tuple(self.x_shape))
        if self.labelled and found.labels is None:
            raise DataError(
                f"data {source}: the GAN is conditional, but the samples have no labels. Labels "
                "are the sub-folders of a folder of images, the column 'label' of Parquet files, "
                "or 'label' of an .npz file"
            )
        x = in_range(found.x, self.range, f"data {source}")
        rows: Any = (x, found.labels) if self.labelled else x
        parts = split_real(rows)
        if found.test is None or (self.labelled and found.test_labels is None):
            return parts
        test, conditions = _mixed(in_range(found.test, self.range)), parts.conditions
        if conditions is not None and found.test_labels is not None:
            conditions = replace(conditions, test=_mixed(found.test_labels))
        return replace(parts, test=test, conditions=conditions)

    def metrics(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return :class:`~gantandem.evaluate.against.Against` held-out real data."""
        return dict(Against(_held_out(self)[0][: len(x)])(x))

    def floor(self, n: int) -> Metrics:
        """Return what other held-out real samples score, at most n."""
        return dict(_floor(self, n))

    def manifold(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return precision, recall, density and coverage against held-out real data."""
        test = _held_out(self)[0]
        size = min(len(x), len(test))
        return manifold_metrics(x[:size].detach().float().cpu(), test[:size])

    def manifold_floor(self, n: int) -> Metrics:
        """Return what other held-out real samples score, at most n."""
        return self.manifold(_held_out(self)[1][:n])

    def distance(self, x: Tensor, real_x: Tensor) -> float:
        """Return the sliced Wasserstein-1 distance of two sets of samples."""
        return sliced_wasserstein(x.detach().cpu(), real_x.cpu())


def open_data(source: str | Path, gan: GAN) -> Real:
    """Read a user's own data as a GAN makes its samples, in four parts.

    Args:
        source: A folder of images (labels are its sub-folders; ``train`` and ``test`` may be among
            them), a folder of Parquet files, ``OWNER/NAME`` on the hub, a Parquet file of numbers,
            or an ``.npy`` or ``.npz`` file.
        gan: Images are read in the range of what it makes, and labels where it is conditional.

    Raises:
        DataError: If they cannot be read, or have no labels where the GAN has conditions.
        MissingExtraError: If an extra is needed that is not installed.
    """
    check("open_data gan", GAN, gan)
    if not isinstance(source, str | Path):
        raise InputError(
            f"open_data source: got {show(source)}, allowed is a path or OWNER/NAME. Pass tensors "
            "and datasets directly to real=, without open_data"
        )
    return OWN.of_run(gan, str(source)).real()


OWN = OwnTask(latent={}, networks={})
"""What ``task: own`` in a recipe means."""


@functools.lru_cache(maxsize=1)
def opened(source: str) -> Opened:
    """What :func:`open_source` gives, read once."""
    return open_source(source)


@functools.lru_cache(maxsize=1)
def _fitted(source: str, shape: tuple[int, ...]) -> Opened:
    """The data, images as large as the generator's."""
    found = opened(source)
    test = None if found.test is None else fitted(found.test, shape, f"data {source}, test")
    return found._replace(x=fitted(found.x, shape, f"data {source}"), test=test)


@functools.lru_cache(maxsize=1)
def _held_out(task: OwnTask) -> tuple[Tensor, Tensor]:
    """Test samples, and the select part: what generated ones could reach."""
    parts = task.real()
    return parts.test[:MOST].float().cpu(), parts.select[:MOST].float().cpu()


@functools.lru_cache(maxsize=4)
def _floor(task: OwnTask, n: int) -> Metrics:
    test, select = _held_out(task)
    return {**Against(test[:n])(select[:n]), "n": len(select[:n])}


def _mixed(rows: Any) -> Any:
    """Rows in an order of no meaning: a folder has one class after the other."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return rows.part(order) if isinstance(rows, Stored) else rows[order]
