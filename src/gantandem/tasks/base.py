"""What a task is: real data, networks, training settings and metrics under one name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gantandem.data.ranges import Range
from gantandem.data.real import Real
from gantandem.errors import WeightsError
from gantandem.evaluate.metrics.pareto import Pareto
from gantandem.nets import build, load_weights
from gantandem.training.gan import Pair, TrainConfig

if TYPE_CHECKING:
    from gantandem.gan import GAN

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
        shape_defaults: Settings of :func:`gantandem.shape_discriminator` that suit this task.
        fit_defaults: Settings of :func:`gantandem.fit_ratio` that suit it.
        range: The values of black and of white in images; None for points, and where they are
            found by what the generator makes.
        pareto: What ``compare --sweep`` weighs against each other: metrics of :meth:`metrics` or
            :meth:`manifold`, each with the way it gets better.
        data: Folder or hub name of an image set in place of the task's own, for everything: what
            trains, what fits and what measures.
        eyes: The network through whose features :meth:`metrics` looks at samples, if any.
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
    data: str | None = None
    eyes: str | None = None

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

    def of_run(self, gan: GAN, data: str | None) -> Task:
        """Return this task as a run of it is worked on; one that knows all of itself stays.

        Args:
            gan: Of the run.
            data: Where its data are, as its settings say.
        """
        return self

    @abstractmethod
    def real(self, seed: int = 0, data: str | None = None) -> Real:
        """Return the real data in four disjoint parts.

        Args:
            seed: Of the draws; image sets are split the same way for every seed.
            data: Folder or hub name of an image set; default: the task's own ``data``, else as
                ``gantandem.data.images.locate`` says.

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
