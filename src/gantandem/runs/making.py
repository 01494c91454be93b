"""How a run begins: with trained or shipped weights, in a folder that may hold a run already."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gantandem.data.matching import check_shape
from gantandem.errors import ConfigError, GANtandemError, WeightsError
from gantandem.files import parse_json
from gantandem.files.locking import locked
from gantandem.gan import GAN
from gantandem.latent import make_latent
from gantandem.nets import build
from gantandem.nets.hashing import weights_hash
from gantandem.nets.weights import read_tensors
from gantandem.progress import track
from gantandem.reporting import evidence
from gantandem.runs.contents import present
from gantandem.runs.folder import load_run, store
from gantandem.runs.recipe import Recipe
from gantandem.runs.workspace import Workspace, task_of
from gantandem.tasks import OWN, OwnTask, Task
from gantandem.training.checkpoint import difference, identity_of
from gantandem.training.gan import CHECKPOINT, Pair, draw_latent, train_gan
from gantandem.training.losses import get_loss

logger = logging.getLogger(__name__)


def train_run(
    recipe: Recipe,
    out: str | Path,
    *,
    resume: bool = True,
    overwrite: bool = False,
    device: str | None = None,
    trust: bool = False,
) -> Workspace:
    """Train the baseline GAN of a recipe into a run folder, on a device such as ``"cuda"``.

    A run that was trained so already is opened as it is. Recipe and data are read before anything
    is changed, and what is overwritten goes at the end, when the new networks are there.

    Args:
        recipe: What to train.
        out: The run folder.
        resume: Go on from the checkpoint in the folder, if there is one.
        overwrite: Give up what the folder holds of another run, or found and measured since.
        device: Where to train.
        trust: Import what is not built in by the names in a run that the folder holds already.

    Raises:
        ConfigError: If the folder holds a checkpoint of another run, or anything that would be
            lost, and ``overwrite`` is not set.
        LockedError: If another command writes to the folder.
        KeyboardInterrupt: On Ctrl-C; the last checkpoint is kept.
    """
    task, out = task_of(recipe), Path(out)
    missing = [r for r in ("generator", "discriminator") if r not in task.networks]
    if missing := missing + ([] if task.latent else ["latent"]):
        raise ConfigError(
            f"task {task.name}: {', '.join(missing)} must be given: 'gantandem init' writes a "
            "recipe that explains these keys, and 'gantandem import' makes a run from trained "
            "networks"
        )
    real = task.real(recipe.seed, recipe.data)
    if isinstance(task, OwnTask):
        _try(task, tuple(real.fit.shape[1:]))
    identity = identity_of(task, task.train, recipe.seed, real.fit)
    origin = {**identity, "iterations": str(task.train.iterations), "output": _output(recipe, task)}
    checkpoint = out / CHECKPOINT

    def make() -> GAN:
        with track(task.train.iterations, "train") as advance:
            last = 0

            def on_step(state: Any, info: Any, step: int) -> None:
                nonlocal last
                advance(step - last)
                last = step

            where = {"folder": out, "on_step": on_step, "device": device}
            going_on = resume and not (overwrite and _of_another(checkpoint, identity, task))
            pair = train_gan(task, real.fit, seed=recipe.seed, resume=going_on, **where)
        return as_gan(pair, recipe, task)

    with locked(out, "train"):
        first = not present(out) or (resume and not _of_another(checkpoint, identity, task))
        how = {"overwrite": overwrite, "device": device, "going_on": first, "trust": trust}
        return begin(recipe, out, origin, make, **how)


def _try(task: Task, shape: tuple[int, ...]) -> None:
    """Refuse networks of a user's own that do not fit each other, or the data.

    Raises:
        ConfigError: If a network does not take what it is given.
        DataError: If the samples have another shape than the generator's.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        generator, judge = (build(task.networks[r]).eval() for r in ("generator", "discriminator"))
        z = draw_latent(task.latent, 2, torch.Generator().manual_seed(0))
        role, what = "generator", f"latents of shape {tuple(z.shape)}"
        try:
            x = generator(z)
            role, what = "discriminator", f"the generator's output of shape {tuple(x.shape)}"
            judge(x)
        except Exception as error:  # of a network of the user's own
            raise ConfigError(f"the {role} does not take {what}: {error}") from error
    check_shape(shape, tuple(x.shape[1:]), "data")


def begin(
    recipe: Recipe,
    out: Path,
    origin: dict[str, str],
    make: Callable[[], GAN],
    *,
    overwrite: bool = False,
    device: str | None = None,
    going_on: bool = False,
    trust: bool = False,
) -> Workspace:
    """Make a run of new networks, unless the folder holds that run already.

    Args:
        recipe: Of the run.
        out: Its folder.
        origin: All that decides the networks.
        make: Makes them.
        overwrite: Give up what the folder holds.
        device: Where they run.
        going_on: What the folder holds is an earlier stage of these networks.
        trust: Import what is not built in by the names in the folder's files.
    """
    content = present(out)
    same = (content.get("record") or {}).get("origin") == origin
    found = losses(out, trust) if content else measured(out)
    if same and not (overwrite and found):
        logger.info("%s holds this run already: nothing to do", out)
        return Workspace(out, device=device, trust=trust)
    if content and not (same or going_on):
        found = ["its generator and discriminator", *found]
    if found and not overwrite:
        raise ConfigError(
            f"{out} holds a run, and these parts of it would be lost: {', '.join(found)}. Choose "
            "another folder, or pass overwrite=True (--overwrite)"
        )
    if found:
        logger.warning("overwrites in %s: %s", out, ", ".join(found))
    gone = [evidence.COMMANDS, evidence.WARNED] if found else []
    gan, meta = make(), recipe.given()
    if recipe.task != OWN.name or "train" in meta:
        meta["train"] = dataclasses.asdict(task_of(recipe).train)
    meta["record"] = {"origin": origin, "passes": {}}
    store(gan, out, meta, trained=True, gone=(*measured(out), *gone))
    return Workspace(out, device=device, trust=True)  # all that it names was just built


def as_gan(pair: Pair, recipe: Recipe, task: Task) -> GAN:
    """The GAN of networks that were built as a task says."""
    latent, output = make_latent(dict(task.latent)), _output(recipe, task)
    gan = GAN(pair.generator, pair.discriminator, latent, output=output)  # type: ignore[arg-type]
    networks = {role: dict(spec) for role, spec in task.networks.items()}
    specs = {"generator": networks["generator"], "guide": networks["discriminator"]}
    return gan.replace(specs=specs)


def losses(out: Path, trust: bool = False) -> list[str]:
    """What a run folder holds beside its networks as they were trained; as words."""
    found = []
    try:
        gan = load_run(out, trust=trust).gan
        fitted = [ratio for ratio in gan.ratios.values() if ratio.origin == "fitted"]
        calibrated = [r for r in gan.ratios.values() if r.calibrator and r.origin != "fitted"]
        found += ["the shaped guide"] if gan.shaped else []
        found += [f"fitted ratios ({len(fitted)})"] if fitted else []
        found += ["a calibration"] if calibrated else []
        found += ["w(z)"] if gan.reweighted is not None else []
    except GANtandemError as error:
        found.append(f"networks that cannot be read ({error})")
    return found + measured(out)


def measured(out: Path) -> list[str]:
    """The files in a run folder that steps leave beside ``run.yaml`` and weights; never others."""
    named = [getattr(evidence, name) for name in dir(evidence) if name.endswith("_FILE")]
    named += ["sweep.png", "report.html"]
    try:
        rows = parse_json((out / evidence.METRICS_FILE).read_text(encoding="utf-8"))["samplers"]
        named += [evidence.samples_file(out, name).relative_to(out).as_posix() for name in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return [name for name in dict.fromkeys(named) if (out / name).is_file()]


def new_origin(pair: Pair, recipe: Recipe, task: Task) -> dict[str, str]:
    """What decides a run of given weights."""
    hashes = {role: weights_hash(network) for role, network in pair._asdict().items()}
    latent = json.dumps(dict(task.latent), sort_keys=True)
    return {"task": task.name, **hashes, "latent": latent, "output": _output(recipe, task)}


def _output(recipe: Recipe, task: Task) -> str:
    return str(recipe.given().get("output", get_loss(task.train.loss).output))


def _of_another(checkpoint: Path, identity: dict[str, str], task: Task) -> bool:
    """Whether a checkpoint is there that is no stage on the way of this training."""
    if not checkpoint.is_file():
        return False
    try:
        _, metadata = read_tensors(checkpoint)
    except WeightsError:
        return True
    done = metadata.get("iteration", "")
    past = not done.isdecimal() or int(done) > task.train.iterations
    return past or bool(difference(metadata, identity))
