"""The built-in tasks: real data, networks, training settings and metrics under one name."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantandem.data.images import load_images, load_real, locate, to_range
from gantandem.data.mixtures import Mixture, balanced_8, draw_real, grid_25, imbalanced_8
from gantandem.data.ranges import Range
from gantandem.data.real import Real
from gantandem.errors import ConfigError, WeightsError, near
from gantandem.evaluate.metrics.distance import sliced_wasserstein
from gantandem.evaluate.metrics.manifold import manifold_metrics
from gantandem.evaluate.metrics.mixture import mixture_floor, mixture_metrics
from gantandem.evaluate.metrics.pareto import Axis, Pareto
from gantandem.nets import build, load_weights
from gantandem.training.gan import Pair, TrainConfig

Metrics = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task(ABC):
    """What there is to know of an experiment before any sampler comes in.

    Args:
        name: Name of the task.
        x_shape: Shape of one sample.
        latent: ``{"kind": "normal" | "uniform", "dim": d, "low": .., "high": ..}``.
        networks: ``{"generator": spec, "discriminator": spec}`` for ``gantandem.nets.build``.
        train: Default training settings of the baseline GAN.
        layer: Where ``refine`` works by default: ``"data"`` or a module of the generator.
        sampler_defaults: Settings of samplers that suit this task, for example
            ``{"refine": {"step_size": .1}}``.
        ratio: Network that ratios and the guide to shape start from, for ``gantandem.nets.build``;
            None where the shipped discriminator serves.
        shape_defaults: Settings of :func:`gantandem.shape` that suit this task.
        fit_defaults: Settings of :func:`gantandem.fit_ratio` that suit it.
        range: The values of black and of white in images; None for points, and where they are
            found by what the generator makes.
        pareto: What ``compare --sweep`` weighs against each other: metrics of :meth:`metrics` or
            :meth:`manifold`, each with the way it gets better.
    """

    name: str
    x_shape: tuple[int, ...]
    latent: Mapping[str, Any]
    networks: Mapping[str, Mapping[str, Any]]
    train: TrainConfig
    layer: str
    sampler_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ratio: Mapping[str, Any] | None = None
    shape_defaults: Mapping[str, Any] = field(default_factory=dict)
    fit_defaults: Mapping[str, Any] = field(default_factory=dict)
    range: Range | None = None
    pareto: Pareto

    def pretrained(self) -> Pair:
        """Return the shipped networks, in eval mode.

        Raises:
            WeightsError: If none ship for this task.
        """
        folder = Path(str(files("gantandem") / "assets" / self.name))
        if not folder.is_dir():
            raise WeightsError(f"no weights of {self.name} ship with this version: train them")
        networks = Pair(build(self.networks["generator"]), build(self.networks["discriminator"]))
        for role, network in networks._asdict().items():
            load_weights(network, folder / f"{role}.safetensors")
            network.eval()
        return networks

    @abstractmethod
    def real(self, seed: int = 0, data: str | None = None) -> Real:
        """Return the real data in four disjoint parts.

        Args:
            seed: Of the draws; image sets are split the same way for every seed.
            data: Folder or hub name of an image set; default: see ``gantandem.data.images.locate``.

        Raises:
            DataError: If an image set cannot be found or read.
        """

    @abstractmethod
    def metrics(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return all metrics of samples (N, *x_shape) by name; ``seed`` is of the fresh draw."""

    @abstractmethod
    def floor(self, n: int) -> Metrics:
        """Return what n real samples score against real data."""

    @abstractmethod
    def manifold(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return precision, recall, density and coverage of samples (N, *x_shape), N > 5.

        Against as many real ones where there are so many; ``seed`` is of their draw.
        """

    @abstractmethod
    def manifold_floor(self, n: int) -> Metrics:
        """Return what n real samples score in :meth:`manifold`."""

    @abstractmethod
    def distance(self, x: Tensor, real_x: Tensor) -> float:
        """Return the distance of samples (N, *x_shape) to real ones, by which guides are chosen."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureTask(Task):
    """A Gaussian mixture in the plane, drawn i.i.d.

    Args:
        mixture: The truth.
        sizes: Points in the fit, select, calibrate and test parts.
    """

    mixture: Mixture
    sizes: tuple[int, int, int, int] = (200_000, 20_000, 20_000, 10_000)
    pareto: Pareto = Pareto(
        quality=Axis("good", "high", "good"),
        diversity=Axis("coverage", "high", "coverage"),
        distance=Axis("js", "low", "JS"),
    )

    def real(self, seed: int = 0, data: str | None = None) -> Real:
        """Return four parts of i.i.d. draws by seed; there is no data to be found elsewhere."""
        if data is not None:
            raise ConfigError(f"task {self.name} draws its own data: leave out data={data!r}")
        return draw_real(self.mixture, self.sizes, seed)

    def metrics(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return ``gantandem.evaluate.metrics.mixture.mixture_metrics`` of points (N, 2)."""
        return mixture_metrics(x, self.mixture, seed)

    def floor(self, n: int) -> Metrics:
        """Return the mean metrics of 20 i.i.d. draws of n real points."""
        return dict(_mixture_floor(self, n))

    def manifold(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return ``metrics.manifold.manifold_metrics`` of points against a fresh draw."""
        noise = torch.Generator().manual_seed(4_000_037 + seed)
        return manifold_metrics(x.detach().float().cpu(), self.mixture.draw(len(x), noise))

    def manifold_floor(self, n: int) -> Metrics:
        """Return the metrics of one more fresh draw of n real points."""
        return self.manifold(self.mixture.draw(n, torch.Generator().manual_seed(5_000_011)))

    def distance(self, x: Tensor, real_x: Tensor) -> float:
        """Return the sliced Wasserstein-1 distance of (N, 2) and (M, 2) points."""
        return sliced_wasserstein(x.detach().cpu(), real_x.cpu())


@dataclass(frozen=True, kw_only=True, eq=False)
class DigitsTask(Task):
    """MNIST, from a folder or the hub.

    Args:
        hub: Name of the dataset on the hub.
        sizes: Images in the fit, select and calibrate parts of the training set.
    """

    hub: str
    sizes: tuple[int, int, int] = (50_000, 5_000, 5_000)
    pareto: Pareto = Pareto(
        quality=Axis("precision", "high", "precision"),
        diversity=Axis("coverage", "high", "coverage"),
        distance=Axis("frechet_distance", "low", "Fréchet distance"),
    )

    def real(self, seed: int = 0, data: str | None = None) -> Real:
        """Return images (N, 1, 28, 28) in [-1, 1]; the split is the same for every seed."""
        return load_real(locate(self.name, self.hub, data), self.sizes)

    def metrics(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return ``metrics.images.image_metrics`` of (N, 1, 28, 28) against the test set.

        Raises:
            DataError: If the dataset cannot be found.
            MissingExtraError: If the ``images`` extra is not installed.
        """
        from gantandem.evaluate.metrics.images import image_metrics

        return image_metrics(x, _test_images(self), seed)

    def floor(self, n: int) -> Metrics:
        """Return the metrics of one random half of the test set, at most n, against the other."""
        return dict(_digits_floor(self, n))

    def manifold(self, x: Tensor, seed: int = 0) -> Metrics:
        """Return the metrics on classifier features against images of the test set.

        Raises:
            DataError: If the dataset cannot be found.
        """
        from gantandem.evaluate.metrics.images import image_manifold

        return image_manifold(x, _test_images(self), seed)

    def manifold_floor(self, n: int) -> Metrics:
        """Return the metrics of one random half of the test set, at most n, against the other."""
        return dict(_digits_manifold_floor(self, n))

    def distance(self, x: Tensor, real_x: Tensor) -> float:
        """Return the Frechet distance of classifier features of two sets of images."""
        from gantandem.evaluate.metrics.images import frechet_distance

        return frechet_distance(x, real_x)


@functools.cache
def _mixture_floor(task: MixtureTask, n: int) -> Metrics:
    return mixture_floor(n, task.mixture)


@functools.cache
def _test_images(task: DigitsTask) -> Tensor:
    return to_range(load_images(locate(task.name, task.hub), "test").pixels)


@functools.cache
def _digits_floor(task: DigitsTask, n: int) -> Metrics:
    from gantandem.evaluate.metrics.images import image_metrics

    half, other = _halves(task)
    return {**image_metrics(half[:n], other), "n": len(half[:n])}


@functools.cache
def _digits_manifold_floor(task: DigitsTask, n: int) -> Metrics:
    from gantandem.evaluate.metrics.images import image_manifold

    half, other = _halves(task)
    return image_manifold(half[:n], other)


def _halves(task: DigitsTask) -> tuple[Tensor, ...]:
    """Two halves of the test set, of which MNIST's unshuffled ones are of different sources."""
    images = _test_images(task)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order].chunk(2)


_CIRCLE = TrainConfig(
    iterations=1_000,
    batch_size=1_000,
    optimiser="sgd",
    generator_rate=5e-3,
    discriminator_rate=1e-2,
)

_GRID = TrainConfig(
    iterations=100_000,
    batch_size=1_000,
    optimiser="sgd",
    generator_rate=5e-4,
    discriminator_rate=1e-3,
    checkpoint_every=5_000,
)


def _in_the_plane(
    name: str, mixture: Mixture, width: int, train: TrainConfig, **refine: float
) -> MixtureTask:
    return MixtureTask(
        name=name,
        x_shape=(2,),
        latent={"kind": "normal", "dim": 2},
        networks={
            "generator": {"net": "mlp-generator", "width": width},
            "discriminator": {"net": "mlp-discriminator", "width": width},
        },
        train=train,
        layer="data",
        sampler_defaults={"refine": refine},
        mixture=mixture,
    )


_WIDE = {"step_size": 0.1, "defensive_scale": 1.5}

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _in_the_plane("imbalanced-8", imbalanced_8(), 64, _CIRCLE, **_WIDE),
        _in_the_plane("balanced-8", balanced_8(), 64, _CIRCLE, **_WIDE),
        _in_the_plane("grid-25", grid_25(), 256, _GRID, step_size=0.05),
        DigitsTask(
            name="mnist",
            x_shape=(1, 28, 28),
            latent={"kind": "uniform", "dim": 62, "low": -1.0, "high": 1.0},
            networks={
                "generator": {"net": "infogan-generator"},
                "discriminator": {"net": "infogan-discriminator"},
            },
            train=TrainConfig(
                iterations=3_905,  # 5 epochs of the 50,000 images to fit on
                batch_size=64,
                optimiser="adam",
                generator_rate=1e-3,
                discriminator_rate=2e-4,
                checkpoint_every=200,
            ),
            layer="maps",
            range=(-1.0, 1.0),
            sampler_defaults={"refine": {"steps": 4, "step_size": 0.005, "defensive": 0.0}},
            ratio={"net": "feature-ratio"},
            shape_defaults={
                "updates": 200,
                "learning_rate": 3e-4,
                "batch": 256,
                "width": 128,
                "check_every": 50,
            },
            fit_defaults={
                "pool": 20_000,
                "schedule": ((400, 1e-3), (200, 1e-4)),
                "batch": 512,
                "weight_decay": 0.01,
            },
            hub="ylecun/mnist",
        ),
    )
}


def get_task(name: str) -> Task:
    """Return a built-in task.

    Raises:
        ConfigError: If there is none of that name; near matches are listed.
    """
    if name in TASKS:
        return TASKS[name]
    raise ConfigError(f"unknown task {name!r}; {near(name, sorted(TASKS))}")
