"""The built-in tasks, by name."""

from __future__ import annotations

from gantandem.data.mixtures import Mixture, balanced_8, grid_25, imbalanced_8
from gantandem.errors import look_up
from gantandem.tasks.base import Metrics as Metrics
from gantandem.tasks.base import Task as Task
from gantandem.tasks.images import DigitsTask as DigitsTask
from gantandem.tasks.own import OWN as OWN
from gantandem.tasks.own import OwnTask as OwnTask
from gantandem.tasks.plane import MixtureTask as MixtureTask
from gantandem.training.gan import TrainConfig

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
                "check_samples": 2000,
            },
            fit_defaults={
                "n": 20_000,
                "schedule": ((400, 1e-3), (200, 1e-4)),
                "batch": 512,
                "weight_decay": 0.01,
            },
            hub="ylecun/mnist",
        ),
    )
}


def get_task(name: str) -> Task:
    """Return a built-in task, one of your own as ``module:name``, or ``own``: see ``OwnTask``.

    Raises:
        ConfigError: If there is none of that name, or it is no :class:`Task`.
    """
    return look_up("task", name, {**dict(sorted(TASKS.items())), OWN.name: OWN}, Task, made=True)
