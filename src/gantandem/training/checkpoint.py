"""Checkpoints of a training run: tensors and settings, nothing pickled."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gantandem.errors import ConfigError
from gantandem.nets.weights import assign, read_tensors, write_tensors
from gantandem.training.config import Trainable, TrainConfig


@dataclass(kw_only=True)
class TrainState:
    """The networks (in train mode), their optimisers and the noise stream at one iteration."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer
    noise: torch.Generator
    iteration: int = 0


def identity_of(task: Trainable, train: TrainConfig, seed: int, data: Tensor) -> dict[str, str]:
    """Return all that decides the weights at an iteration, by name, each as JSON text."""
    settings = dataclasses.asdict(train)
    for free in ("iterations", "checkpoint_every"):
        del settings[free]
    if settings["loss"] == "non-saturating":
        del settings["loss"]  # the only one of earlier checkpoints, which do not name it
    parts = {
        "task": task.name,
        "seed": seed,
        "networks": {role: dict(spec) for role, spec in task.networks.items()},
        "latent": dict(task.latent),
        "data_shape": list(data.shape),
        **settings,
    }
    return {name: json.dumps(value, sort_keys=True) for name, value in parts.items()}


def write_checkpoint(state: TrainState, path: Path, identity: dict[str, str]) -> None:
    """Write everything that the next update depends on."""
    tensors = {"rng.noise": state.noise.get_state(), "rng.torch": torch.get_rng_state()}
    for role, network, optimiser in _roles(state):
        tensors |= {f"{role}.{name}": value for name, value in network.state_dict().items()}
        for index, moments in optimiser.state_dict()["state"].items():
            for name, value in moments.items():
                if value is not None:
                    tensors[f"optimiser.{role}.{index}.{name}"] = value
    write_tensors(path, tensors, {**identity, "iteration": str(state.iteration)})


def restore(state: TrainState, path: Path, identity: dict[str, str]) -> None:
    """Read a checkpoint back.

    Raises:
        ConfigError: If it is of another run.
    """
    tensors, metadata = read_tensors(path)
    for name, value in identity.items():
        if metadata.get(name) != value:
            raise ConfigError(
                f"{path} is of another run: its {name} is {metadata.get(name)}, asked for is "
                f"{value}. Use another folder, or resume=False to overwrite"
            )
    for role, network, optimiser in _roles(state):
        assign(network, _under(tensors, f"{role}."), str(path))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, f"optimiser.{role}.").items():
            index, _, name = key.partition(".")
            moments.setdefault(int(index), {})[name] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": moments, "param_groups": groups})
    state.noise.set_state(tensors["rng.noise"])
    torch.set_rng_state(tensors["rng.torch"])
    state.iteration = int(metadata["iteration"])


def _roles(state: TrainState) -> list[tuple[str, nn.Module, torch.optim.Optimizer]]:
    return [
        ("generator", state.generator, state.generator_optimiser),
        ("discriminator", state.discriminator, state.discriminator_optimiser),
    ]


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
