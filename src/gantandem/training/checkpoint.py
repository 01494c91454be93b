"""Checkpoints of a training run: tensors and settings, nothing pickled."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gantandem.errors import ConfigError, WeightsError
from gantandem.nets.weights import assign, differences, read_tensors, tell, write_tensors
from gantandem.training.config import Trainable, TrainConfig

logger = logging.getLogger(__name__)


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
        "data": fingerprint(data),
        **settings,
    }
    return {name: json.dumps(value, sort_keys=True) for name, value in parts.items()}


def fingerprint(data: Tensor) -> str:
    """Hash real samples (N, *x_shape) by what they are, wherever they were read from."""
    digest = hashlib.blake2b(f"{tuple(data.shape)}{data.dtype}".encode(), digest_size=16)
    for part in data.split(4096):
        digest.update(part.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def difference(metadata: dict[str, str], identity: dict[str, str]) -> str:
    """In what a checkpoint is of another run; empty if it is of this one.

    Checkpoints of earlier versions tell nothing of their data but the shape.
    """
    for name, value in identity.items():
        if name == "data" and name not in metadata:
            logger.warning(
                "the checkpoint was written by an earlier version, which did not record its "
                "data, so it is not known whether these data are the same"
            )
        elif metadata.get(name) != value:
            return f"its {name} is {metadata.get(name)}, asked for is {value}"
    return ""


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
        WeightsError: If it is damaged.
    """
    tensors, metadata = read_tensors(path)
    other = difference(metadata, identity)
    if other:
        raise ConfigError(
            f"{path} belongs to another run: {other}. Use another folder, or overwrite=True "
            "(--overwrite) to train again in this folder"
        )
    damaged = f"{path} is damaged; --overwrite (overwrite=True) trains again from the start"
    iteration = metadata.get("iteration", "")
    if not re.fullmatch(r"\d{1,12}", iteration, re.ASCII):
        raise WeightsError(f"{damaged}: its iteration is {iteration!r}")
    for role, network, optimiser in _roles(state):
        assign(network, _under(tensors, f"{role}."), str(path))
        found = _under(tensors, f"optimiser.{role}.")
        wanted = _moments(optimiser, {name.partition(".")[0] for name in found})
        if problems := differences(wanted, found):
            raise WeightsError(f"{damaged}: moments {tell(problems)}")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in found.items():
            index, _, which = name.partition(".")
            moments.setdefault(int(index), {})[which] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": moments, "param_groups": groups})
    try:
        state.noise.set_state(tensors["rng.noise"])
        torch.set_rng_state(tensors["rng.torch"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{damaged}: its random numbers ({error})") from error
    state.iteration = int(iteration)


def _moments(optimiser: torch.optim.Optimizer, of: Collection[str]) -> dict[str, Tensor]:
    """What an optimiser keeps of those of its parameters, by name."""
    if not isinstance(optimiser, torch.optim.Adam):
        return {}
    weights = [one for group in optimiser.param_groups for one in group["params"]]
    known = {str(i): one for i, one in enumerate(weights) if str(i) in of}
    steps = {f"{i}.step": torch.zeros(()) for i in known}
    parts = ("exp_avg", "exp_avg_sq")
    return steps | {f"{i}.{part}": one for i, one in known.items() for part in parts}


def _roles(state: TrainState) -> list[tuple[str, nn.Module, torch.optim.Optimizer]]:
    return [
        ("generator", state.generator, state.generator_optimiser),
        ("discriminator", state.discriminator, state.discriminator_optimiser),
    ]


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
