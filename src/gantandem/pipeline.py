"""The steps from a task to measured samples, each from one run folder to the same run folder.

``train_run`` -> ``shape_run`` -> ``fit_run`` -> ``compare_run`` is the whole collaborative recipe;
``demo`` runs it in one go. Every step leaves the folder complete, so any of them can be repeated.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantandem._version import __version__
from gantandem.config import Recipe, load_run, near
from gantandem.errors import ConfigError, GANtandemError, InputError, OutputError, WeightsError
from gantandem.report import evidence as files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from gantandem.data.real import Real
    from gantandem.discriminator import Diagnosis
    from gantandem.gan import GAN
    from gantandem.samplers.base import Mover, Selector
    from gantandem.samples import Samples
    from gantandem.tasks import Task

logger = logging.getLogger(__name__)

DEFAULT_SAMPLERS = ("direct", "drs", "metropolis", "refine", "collaborative")
PICTURES = 100
"""Real and refined images kept for the report."""
DEFENSIVE = 0.5
"""Share of widened starts in the default recipe; ``shape.refine.defensive=0`` switches them off."""


class Workspace:
    """A run folder opened for work: its settings, task, networks and data.

    Args:
        run: The folder.
        overrides: ``key=value`` texts; they are kept in ``run.yaml`` when a step saves.

    Raises:
        ConfigError: If the folder holds no run, or a setting is wrong.
        WeightsError: If a weight file is damaged.
    """

    def __init__(self, run: str | Path, overrides: Sequence[str] = ()) -> None:
        from gantandem.runs import load_run as load_networks

        self.run = Path(run)
        self.recipe = load_run(self.run, overrides)
        self.task = task_of(self.recipe)
        self.gan, _ = load_networks(self.run)
        self._real: Real | None = None

    @property
    def real(self) -> Real:
        """The task's data in four parts, loaded once."""
        if self._real is None:
            self._real = self.task.real(self.recipe.seed, self.recipe.data)
        return self._real

    def save(self, gan: GAN) -> None:
        """Keep improved networks and the settings that made them."""
        from gantandem.runs import save_run

        self.gan = gan
        save_run(gan, self.run, self.recipe.given())

    def refinement(self) -> Mover:
        """The refinement to shape for: the task's defaults under the recipe's settings."""
        from gantandem.samplers import from_config

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
        from gantandem.config import apply_overrides
        from gantandem.samplers import SAMPLERS, collaborative, from_config, to_config

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
    from gantandem.tasks import get_task

    task = get_task(recipe.task)
    networks = dict(task.networks)
    for role in ("generator", "discriminator"):
        networks[role] = getattr(recipe, role) or networks[role]
    latent = recipe.latent.settings() if recipe.latent is not None else task.latent
    train = dataclasses.replace(task.train, **recipe.train.given())
    return dataclasses.replace(task, networks=networks, latent=latent, train=train)


def train_run(recipe: Recipe, out: str | Path, *, resume: bool = True) -> Workspace:
    """Train the baseline GAN of a recipe into a run folder.

    Raises:
        ConfigError: If the folder holds a checkpoint of another run.
        KeyboardInterrupt: On Ctrl-C; the last checkpoint is kept.
    """
    from gantandem.progress import track
    from gantandem.training.gan import train_gan

    task, out = task_of(recipe), Path(out)
    real = task.real(recipe.seed, recipe.data)
    with track(task.train.iterations, "train") as update:
        last = 0

        def on_step(state: Any, info: Any, step: int) -> None:
            nonlocal last
            update(step - last)
            last = step

        generator, discriminator = train_gan(
            task, real.fit, seed=recipe.seed, out_dir=out, resume=resume, on_step=on_step
        )
    return _new_run(recipe, task, generator, discriminator, out)


def shape_run(work: Workspace) -> GAN:
    """Shape the guide of a run for its refinement; keeps the landscape before and after."""
    from gantandem.discriminator import shape
    from gantandem.samplers.refine import Refine

    refine = work.refinement()
    assert isinstance(refine, Refine)
    before = work.gan
    settings = {k: v for k, v in work.recipe.shape.given().items() if k != "refine"}
    shaped = shape(
        before,
        work.real,
        refine=refine,
        distance=work.task.distance,
        seed=work.recipe.seed,
        **settings,
    )
    work.save(shaped)
    write_json(work.run / files.SHAPING_FILE, list(shaped.history))
    if work.task.x_shape == (2,):
        _write_landscape(work, before, shaped)
    return shaped


def fit_run(
    work: Workspace, samplers: Iterable[str] = ("direct", "collaborative")
) -> dict[str, Diagnosis]:
    """Fit a ratio on the law of each sampler's proposals and diagnose it on test data."""
    from gantandem.discriminator import fit_ratio

    found = {}
    for name in samplers:
        proposal = proposal_of(work.sampler(name))
        settings = work.recipe.fit_ratio.given()
        gan = fit_ratio(work.gan, work.real, proposal=proposal, seed=work.recipe.seed, **settings)
        work.save(gan)
        found[name] = diagnose_run(work, name, f"{name}, refitted")
    return found


def calibrate_run(work: Workspace, sampler: str, method: str = "isotonic") -> dict[str, Diagnosis]:
    """Calibrate the ratio on a sampler's law; the diagnoses before and after, on test data."""
    from gantandem.discriminator import calibrate

    proposal = proposal_of(work.sampler(sampler))
    before = diagnose_run(work, sampler, sampler)
    work.save(calibrate(work.gan, work.real, proposal=proposal, method=method))  # type: ignore
    label = f"{sampler}, {method}"
    return {sampler: before, label: diagnose_run(work, sampler, label)}


def diagnose_run(work: Workspace, sampler: str, label: str | None = None) -> Diagnosis:
    """Diagnose the ratio on the law of a sampler's proposals; kept for the report."""
    from gantandem.discriminator import diagnose

    found = diagnose(work.gan, work.real, proposal=proposal_of(work.sampler(sampler)))
    path = work.run / files.DIAGNOSIS_FILE
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_json(path, {**kept, label or sampler: found.to_dict()})
    work.save(work.gan)
    return found


def compare_run(
    work: Workspace,
    samplers: Sequence[str] = DEFAULT_SAMPLERS,
    n: int = 10_000,
    *,
    seed: int | None = None,
    setup: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Draw n samples with each sampler, measure them, and write samples and ``metrics.json``.

    Args:
        work: The run.
        samplers: Names, see :meth:`Workspace.sampler`.
        n: Samples of each.
        seed: Of the samples; None for the recipe's.
        setup: What was spent before, by step: ``{"seconds": .., "passes": ..}``.

    Returns:
        The content of ``metrics.json``.

    Raises:
        InputError: If ``n`` is not positive or a sampler cannot run on this GAN.
        KeyboardInterrupt: On Ctrl-C; the samplers that finished are kept.
    """
    from gantandem.comparing import compare

    built = {name: work.sampler(name) for name in samplers}
    seed = work.recipe.seed if seed is None else seed
    metrics = _metrics_head(work, n, seed, setup or {})
    shown = work.real.test if work.task.x_shape == (2,) else work.real.test[:PICTURES]
    _write_arrays(work.run / files.REAL_FILE, x=shown.numpy())
    for name, sampler in built.items():
        logger.info("sampling %s", name)
        result = compare(work.gan, {name: sampler}, work.task.metrics, n, seed=seed)[name]
        if result.samples.manifest["interrupted"]:
            raise KeyboardInterrupt
        metrics["samplers"][name] = result.row
        result.samples.save(work.run / files.SAMPLES / f"{name}.npz")
        _write_pairs(work, result.samples)
        write_json(work.run / files.METRICS_FILE, metrics)
    return metrics


def sample_run(
    work: Workspace,
    name: str,
    n: int,
    folder: str | Path,
    *,
    seed: int = 0,
    kind: str = "npz",
    strict: bool = True,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Stream n samples of a run into files; returns the manifest, which is written too.

    Raises:
        InputError: If ``n`` is not positive, or the folder holds samples already.
        OutputError: If a file cannot be written; what was kept is said.
        KeyboardInterrupt: On Ctrl-C; what was kept is said.
    """
    from gantandem.engine import sample_iter
    from gantandem.writers import MANIFEST, make_writer

    sampler = work.sampler(name, overrides)
    writer = make_writer(kind, folder, overwrite=overwrite)
    blocks = sample_iter(work.gan, sampler, n, seed=seed, strict=strict)
    manifest: dict[str, Any] = {}
    try:
        for block in blocks:
            manifest = block.manifest
            writer.add(block)
        writer.close()
    except KeyboardInterrupt:
        writer.close()
        raise KeyboardInterrupt(_kept(writer.kept, n, writer.folder)) from None
    except OutputError as error:
        raise OutputError(f"{error}. {_kept(writer.kept, n, writer.folder)}") from error
    except GANtandemError:
        writer.close()
        raise
    finally:
        if writer.kept:
            write_json(writer.folder / MANIFEST, {**manifest, "returned": writer.kept})
    return manifest


def _kept(count: int, n: int, folder: Path) -> str:
    return f"the first {count:,} of {n:,} samples are kept in {folder}" if count else "nothing kept"


def demo(
    out: str | Path,
    *,
    seed: int = 0,
    n: int = 10_000,
    pretrained: bool = False,
    samplers: Sequence[str] = DEFAULT_SAMPLERS,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Run the main job on the 2D task, from nothing to a report.

    Args:
        out: Run folder.
        seed: Of everything.
        n: Samples of each sampler.
        pretrained: Load the shipped weights instead of training.
        samplers: What to compare.
        overrides: ``key=value`` texts on the recipe.

    Returns:
        The content of ``metrics.json``.
    """
    from gantandem.config import load_recipe
    from gantandem.report import write_report

    recipe = load_recipe("imbalanced-8", [f"seed={seed}", *overrides])
    setup: dict[str, Any] = {}
    with _step("train", setup):
        work = _pretrained_run(recipe, out) if pretrained else train_run(recipe, out)
    with _step("diagnose", setup):
        diagnose_run(work, "direct", "direct, as trained")
    with _step("shape", setup, work):
        shape_run(work)
    with _step("fit ratios", setup, work):
        fit_run(work)
    with _step("compare", {}):
        metrics = compare_run(work, samplers, n, setup=setup)
    with _step("report", {}):
        write_report(work.run)
    return metrics


def proposal_of(sampler: Mover | Selector) -> Mover:
    """The mover whose law a sampler accepts on: its proposal, or itself."""
    from gantandem.samplers.base import Selector

    return sampler.proposal if isinstance(sampler, Selector) else sampler


@contextmanager
def _step(name: str, setup: dict[str, Any], work: Workspace | None = None) -> Iterator[None]:
    logger.info("%s ...", name)
    begin, passes = time.perf_counter(), work.gan.setup_passes if work else 0
    yield
    setup[name] = {"seconds": round(time.perf_counter() - begin, 2)}
    if work is not None:
        setup[name]["passes"] = work.gan.setup_passes - passes
    logger.info("%s: %.1f s", name, setup[name]["seconds"])


def _pretrained_run(recipe: Recipe, out: str | Path) -> Workspace:
    """Make a run folder of the weights that ship with the package."""
    from importlib import resources

    from gantandem.nets import build, load_weights

    task = task_of(recipe)
    networks = {}
    for role, spec in task.networks.items():
        networks[role] = build(spec)
        asset = resources.files("gantandem.assets").joinpath(f"{task.name}-{role}.safetensors")
        with resources.as_file(asset) as path:
            if not path.is_file():
                raise WeightsError(f"no weights of {task.name} ship with this version: train them")
            load_weights(networks[role], path)
    return _new_run(recipe, task, networks["generator"], networks["discriminator"], Path(out))


def _new_run(
    recipe: Recipe, task: Task, generator: nn.Module, discriminator: nn.Module, out: Path
) -> Workspace:
    """Save a baseline GAN; what was measured on other weights in that folder goes."""
    from gantandem.gan import GAN
    from gantandem.latent import make_latent
    from gantandem.runs import save_run

    kept = ("ratios/*.safetensors", "evidence/*", "samples/*.npz", "metrics.json", "report.html")
    for path in [path for pattern in kept for path in out.glob(pattern)]:
        path.unlink()
    gan = GAN(generator, discriminator, make_latent(dict(task.latent)), output=recipe.output)
    networks = {role: dict(spec) for role, spec in task.networks.items()}
    gan.specs = {"generator": networks["generator"], "guide": networks["discriminator"]}
    save_run(gan, out, {**recipe.given(), "train": dataclasses.asdict(task.train)})
    return Workspace(out)


def _metrics_head(work: Workspace, n: int, seed: int, setup: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"n: got {n!r}, allowed is an integer of 1 or more")
    logger.info("measuring real data against real data")
    return {
        "schema": 1,
        "version": __version__,
        "task": work.task.name,
        "seed": seed,
        "floor": work.task.floor(n),
        "discriminator": _discriminator(work),
        "samplers": {},
        "setup": dict(setup),
    }


def _discriminator(work: Workspace) -> dict[str, float]:
    """The diagnosis of the ratio that judges the default sampler, else of the plain generator."""
    from gantandem.engine import prepare
    from gantandem.samplers import Direct

    for mover in (work.gan.proposal, Direct()):
        if mover is None:
            continue
        ratio = work.gan.ratios.get(work.gan.law(prepare(work.gan, mover)[0]))
        if ratio is not None and ratio.diagnosis is not None:
            return {k: getattr(ratio.diagnosis, k) for k in ("brier", "z", "ece", "mce", "auc")}
    return {}


def _write_landscape(work: Workspace, before: GAN, after: GAN) -> None:
    """Score a grid over the plane with the guide as it was and as it is."""
    import torch

    from gantandem.report.plane import whole_view

    real = work.real.test
    view = whole_view(real.numpy())
    left, right, bottom, top = view.extent
    axis_x, axis_y = torch.linspace(left, right, 161), torch.linspace(bottom, top, 161)
    grid = torch.cartesian_prod(axis_y, axis_x).flip(1)
    logits = []
    for gan in (before, after):
        with gan.frozen():
            logits.append(gan.need_guide("landscape")(grid).view(161, 161).cpu().numpy())
    _write_arrays(
        work.run / files.LANDSCAPE_FILE,
        axis_x=axis_x.numpy(),
        axis_y=axis_y.numpy(),
        before=logits[0],
        after=logits[1],
    )


def _write_pairs(work: Workspace, samples: Samples) -> None:
    """Keep some refined images beside what the plain generator makes of the same latents."""
    moved = bool((samples.steps > 0).any())
    if len(work.task.x_shape) != 3 or not moved:
        return
    z, ids = samples.z[:PICTURES], samples.ids[:PICTURES]
    with work.gan.frozen():
        before = work.gan.decode(z, work.gan.conditions(ids))
    after = samples.x[:PICTURES]
    _write_arrays(
        work.run / files.PAIRS_FILE, before=before.cpu().numpy(), after=after.cpu().numpy()
    )


def _write_arrays(path: Path, **arrays: Any) -> None:
    import numpy as np

    from gantandem.samples import write_atomic

    write_atomic(path, lambda file: np.savez_compressed(file, **arrays))


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all; NaN and infinity become null."""
    from gantandem.samples import write_atomic

    text = json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"
    write_atomic(Path(path), lambda file: file.write(text.encode()))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
