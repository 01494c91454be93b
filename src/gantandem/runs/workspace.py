"""A run folder opened for work: settings, task, networks, data, and samplers by name."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gantandem.condition import like
from gantandem.data.matching import probe
from gantandem.data.ranges import Range, find_range
from gantandem.data.real import Real
from gantandem.errors import ConfigError, InputError, near
from gantandem.files.locking import locked
from gantandem.gan import GAN
from gantandem.progress import collected
from gantandem.runs.conditions import read_condition
from gantandem.runs.contents import digest_of, present
from gantandem.runs.folder import load_run, store
from gantandem.runs.naming import given_inputs
from gantandem.runs.reading import apply_overrides, load_settings
from gantandem.runs.recipe import RUN_FILE, Recipe
from gantandem.samplers import SAMPLERS, collaborative, from_config, to_config
from gantandem.samplers.base import Mover, Selector
from gantandem.tasks import Task, get_task

logger = logging.getLogger(__name__)

DEFENSIVE = 0.5
"""Share of widened starts in the default recipe; ``shape.refine.defensive=0`` switches them off."""

TAKES = {
    "shape": ("shape", "fit_ratio", "seed", "data"),
    "fit-ratio": ("fit_ratio", "samplers", "seed", "data"),
    "calibrate": ("samplers", "seed", "data"),
    "diagnose": ("samplers", "seed", "data"),
    "compare": ("samplers", "range", "seed", "data"),
    "recommend": ("shape", "fit_ratio", "samplers", "seed", "data"),
    "compare --sweep --fit": ("samplers", "range", "fit_ratio", "seed", "data"),
}
"""The settings that the steps use, of those that a recipe has."""

RECOMMENDED = "recommended"
"""The name under which a run keeps the sampler that was recommended."""


class Workspace:
    """A run folder opened for work: its settings, task, networks and data.

    Args:
        run: The folder.
        overrides: ``key=value`` texts; they are kept in ``run.yaml`` when a step saves.
        device: Where the networks run, such as ``"cuda"``; None for the CPU.
        step: For which of the steps in ``TAKES`` it is opened, which then takes no other settings.
        trust: Import classes that are not built in by the names in the folder's files, which runs
            code. What ``overrides`` name is the user's own.

    Attributes:
        record: What is noted of the run in ``run.yaml``: where its weights are from (``origin``),
            and the passes that each step took (``passes``).
        warned: What was warned of when it was opened.
        kept: What to say after Ctrl-C of what a step has kept so far; "" where that is nothing.
        adds: Whether a step adds to what it kept in an earlier call.

    Raises:
        ConfigError: If the folder holds no run, a setting is wrong or not used by the step, or a
            file names what is not trusted.
        WeightsError: If a weight file is damaged.
        InputError: If there is no such device.
    """

    def __init__(
        self,
        run: str | Path,
        overrides: Sequence[str] = (),
        device: str | None = None,
        step: str | None = None,
        *,
        trust: bool = False,
    ) -> None:
        self.run, self._device, self._trust = Path(run), device, trust
        self.recipe = load_settings(self.run, overrides, trust=trust)
        self._settings = load_settings(self.run, trust=trust) if overrides else self.recipe
        self._stamp = digest_of(self.run / RUN_FILE)
        self.task = task_of(self.recipe)
        with collected() as self.warned:
            self.gan, meta = load_run(self.run, device=device, trust=trust)
        self.task = self.task.of_run(self.gan, self.recipe.data)
        self.record: dict[str, Any] = meta.get("record") or {}
        if step is not None:
            check_taken(step, overrides, unshaped=self.gan.proposal is None)
        # Freshly built networks are in train mode, where BatchNorm would change with every batch.
        for score in (self.gan.guide, *(ratio.score for ratio in self.gan.ratios.values())):
            if score is not None:
                score.network.eval()
        self.gan.generator.eval()
        self._real: Real | None = None
        self.kept, self.adds = "", False

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

    def trained(self) -> GAN:
        """The GAN as it was trained, whatever was shaped and fitted since.

        Runs of earlier versions kept one guide alone: it is kept from now on, or, where it was
        shaped already, taken as it is.
        """
        origin = self.record.get("origin") or {}
        if origin.get("task") == "own" and "discriminator" not in origin:
            gan = self.gan  # which came without one
            return GAN(gan.generator, None, gan.latent, condition=gan.condition).replace(
                specs=gan.specs
            )
        files = present(self.run).get("files") or ()
        if not any(name.startswith("discriminator-") for name in files):
            if self.gan.shaped:
                logger.warning(
                    "%s was written by an earlier version, which did not keep the trained "
                    "discriminator: shaping continues from the shaped guide", self.run,
                )  # fmt: skip
            else:
                self._store(self.gan, self._settings, self.record, trained=True)
        where = {"device": self._device, "trust": self._trust}
        return load_run(self.run, trained=True, **where).gan

    def keep_sizes(self, section: str, sizes: Mapping[str, int]) -> None:
        """Let sizes that a budget chose be settings of this run, as if they had been given."""
        part = getattr(self.recipe, section).model_copy(update=dict(sizes))
        self.recipe = self.recipe.model_copy(update={section: part})

    @property
    def passes(self) -> dict[str, int]:
        """The passes that each step took, by its name."""
        earlier = {"earlier steps": self.gan.setup_passes} if self.gan.setup_passes else {}
        return dict(self.record.get("passes", earlier))

    def save(
        self,
        gan: GAN,
        passes: Mapping[str, int] | None = None,
        *,
        settings: bool = True,
        **record: Any,
    ) -> None:
        """Keep improved networks, the settings that made them, and what is noted of the run.

        Args:
            gan: What the run holds from now on.
            passes: Of all steps; None where none was made.
            settings: Keep the settings that this workspace was opened with.
            record: What else is noted.
        """
        passes = dict(self.passes if passes is None else passes)
        gan = gan.replace(setup_passes=sum(passes.values()))
        noted = {**self.record, **record, "passes": passes}
        recipe = self.recipe if settings else self._settings
        self._store(gan, recipe, noted)
        self.gan, self.record, self._settings = gan, noted, recipe

    def _store(
        self, gan: GAN, recipe: Recipe, record: dict[str, Any], trained: bool = False
    ) -> None:
        with self.writing("save"):
            store(gan, self.run, {**recipe.given(), "record": record}, trained=trained)
            self._stamp = digest_of(self.run / RUN_FILE)

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Keep other writers out of the folder.

        Raises:
            LockedError: If another command writes there.
            ConfigError: If one did since this workspace was opened.
        """
        with locked(self.run, what):
            present(self.run)
            if digest_of(self.run / RUN_FILE) != self._stamp:
                raise ConfigError(
                    f"{self.run} was changed by another command in the meantime: repeat this "
                    "command"
                )
            yield

    def ask(self, condition: str) -> None:
        """Ask for other conditions, as typed: see ``read_condition``; the run keeps its own.

        Raises:
            InputError: If the GAN has none, or they are of another kind.
        """
        if self.gan.condition is None:
            raise InputError(
                f"condition: the GAN of {self.run} has no condition, so leave the condition out"
            )
        rows = like(self.gan.networks.example_conditions(), read_condition(condition))
        assert rows is not None  # as conditions were asked for
        self.gan = self.gan.with_condition(rows)

    def translate(self, folder: str | Path) -> None:
        """Give a translator the images of another folder; the run keeps its own."""
        self.gan = given_inputs(self.gan, folder)

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
            known = [*self.recipe.samplers, "collaborative", *SAMPLERS]
            raise ConfigError(f"unknown sampler {name!r}; {near(name, known)}, or 'module:Name'")
        if overrides:
            sampler = from_config(apply_overrides(to_config(sampler), overrides)[0])
        return sampler


def check_taken(step: str, overrides: Sequence[str], *, unshaped: bool) -> None:
    """Refuse settings that a step does not use.

    Raises:
        ConfigError: Naming those that it takes.
    """
    taken = (*TAKES[step], *(("shape.refine",) if unshaped and step != "shape" else ()))
    for text in overrides:
        key = text.partition("=")[0].strip()
        if not any(key == one or key.startswith(f"{one}.") for one in taken):
            raise ConfigError(
                f"{text!r}: {step} does not use {key}; it takes {', '.join(taken)}. Give settings "
                "of other steps to these steps"
            )


def task_of(recipe: Recipe) -> Task:
    """The recipe's task, with the recipe's networks, latent and training settings."""
    task = get_task(recipe.task)
    networks = dict(task.networks)
    for role in ("generator", "discriminator"):
        networks |= {role: spec} if (spec := getattr(recipe, role)) else {}
    latent = recipe.latent.settings() if recipe.latent is not None else task.latent
    train = dataclasses.replace(task.train, **recipe.train.given())
    bounds = recipe.range or task.range
    others = {"train": train, "range": bounds, "data": recipe.data or task.data}
    return dataclasses.replace(task, networks=networks, latent=latent, **others)


def proposal_of(sampler: Mover | Selector) -> Mover:
    """The mover whose law a sampler accepts on: its proposal, or itself."""
    return sampler.proposal if isinstance(sampler, Selector) else sampler
