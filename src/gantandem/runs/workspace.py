"""A run folder opened for work: settings, task, networks, data, and samplers by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gantandem.data.matching import probe
from gantandem.data.ranges import Range, find_range
from gantandem.data.real import Real
from gantandem.errors import ConfigError, InputError, near
from gantandem.gan import GAN
from gantandem.runs.folder import load_run, save_run
from gantandem.runs.reading import apply_overrides, load_settings
from gantandem.runs.recipe import Recipe
from gantandem.samplers import SAMPLERS, collaborative, from_config, to_config
from gantandem.samplers.base import Mover, Selector
from gantandem.tasks import Task, get_task

DEFENSIVE = 0.5
"""Share of widened starts in the default recipe; ``shape.refine.defensive=0`` switches them off."""


class Workspace:
    """A run folder opened for work: its settings, task, networks and data.

    Args:
        run: The folder.
        overrides: ``key=value`` texts; they are kept in ``run.yaml`` when a step saves.
        device: Where the networks run, such as ``"cuda"``; None for the CPU.

    Raises:
        ConfigError: If the folder holds no run, or a setting is wrong.
        WeightsError: If a weight file is damaged.
        InputError: If there is no such device.
    """

    def __init__(
        self, run: str | Path, overrides: Sequence[str] = (), device: str | None = None
    ) -> None:
        self.run = Path(run)
        self.recipe = load_settings(self.run, overrides)
        self.task = task_of(self.recipe)
        self.gan = load_run(self.run, device=device).gan
        # Freshly built networks are in train mode, where BatchNorm would change with every batch.
        for score in (self.gan.guide, *(ratio.score for ratio in self.gan.ratios.values())):
            if score is not None:
                score.network.eval()
        self.gan.generator.eval()
        self._real: Real | None = None

    @property
    def real(self) -> Real:
        """The task's data in four parts, loaded once."""
        if self._real is None:
            self._real = self.task.real(self.recipe.seed, self.recipe.data)
        return self._real

    def range(self) -> Range | None:
        """The values of black and of white: as stated, or found by what the generator makes.

        None where the samples are no images, or their values are of no usual range.
        """
        if len(self.task.x_shape) != 3 or self.task.range is not None:
            return self.task.range
        return find_range(probe(self.gan.networks).cpu().numpy())

    def save(self, gan: GAN) -> None:
        """Keep improved networks and the settings that made them."""
        self.gan = gan
        save_run(gan, self.run, self.recipe.given())

    def refinement(self) -> Mover:
        """The refinement to shape for: the task's defaults under the recipe's settings."""
        defaults = dict(self.task.sampler_defaults.get("refine", {}))
        given = self.recipe.shape.refine or {}
        settings = {"layer": self.task.layer, "defensive": DEFENSIVE, **defaults, **given}
        return from_config({"name": "refine", **settings})

    def sampler(self, name: str, overrides: Sequence[str] = ()) -> Mover | Selector:
        """Build a sampler by name.

        Args:
            name: One of the recipe's ``samplers``, ``"collaborative"``, a built-in, or
                ``"module:Name"``. ``"refine"`` is the shaped refinement without widened starts.
            overrides: ``key=value`` texts on its settings, nested keys dotted.

        Raises:
            ConfigError: If there is no such sampler or setting.
            InputError: If it needs a step that has not been made yet.
        """
        sampler: Any
        if name in self.recipe.samplers:
            sampler = from_config(self.recipe.samplers[name])
        elif name == "collaborative":
            if self.gan.proposal is None:
                raise InputError(
                    f"collaborative: {self.run} was not shaped yet: 'gantandem shape {self.run}', "
                    f"then 'gantandem fit-ratio {self.run}'"
                )
            sampler = collaborative(self.gan)
        elif name == "refine":
            mover = self.gan.proposal or self.refinement()
            sampler = from_config({**to_config(mover), "defensive": 0.0})
        elif name in SAMPLERS or ":" in name:
            sampler = from_config(name)
        else:
            known = {*self.recipe.samplers, "collaborative", *SAMPLERS}
            raise ConfigError(f"unknown sampler {name!r}; {near(name, known)}, or 'module:Name'")
        if overrides:
            sampler = from_config(apply_overrides(to_config(sampler), overrides)[0])
        return sampler


def task_of(recipe: Recipe) -> Task:
    """The recipe's task, with the recipe's networks, latent and training settings."""
    task = get_task(recipe.task)
    networks = dict(task.networks)
    for role in ("generator", "discriminator"):
        networks[role] = getattr(recipe, role) or networks[role]
    latent = recipe.latent.settings() if recipe.latent is not None else task.latent
    train = dataclasses.replace(task.train, **recipe.train.given())
    bounds = recipe.range or task.range
    return dataclasses.replace(task, networks=networks, latent=latent, train=train, range=bounds)


def proposal_of(sampler: Mover | Selector) -> Mover:
    """The mover whose law a sampler accepts on: its proposal, or itself."""
    return sampler.proposal if isinstance(sampler, Selector) else sampler
