"""A RUN: the folder that holds a GAN with everything known of it.

``run.yaml`` (what it is), ``generator.safetensors``, ``guide.safetensors``,
``reweighting.safetensors`` and ``ratios/<law>.safetensors``. Weights are never pickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor, nn

from gantandem.discriminator.diagnostics import Diagnosis
from gantandem.discriminator.latent_weights import ReweightedLatent
from gantandem.errors import ConfigError, InputError, WeightsError
from gantandem.files import write_bytes
from gantandem.gan import GAN
from gantandem.latent import make_latent
from gantandem.nets import build, load_weights, save_weights
from gantandem.nets.weights import assign, read_tensors, write_tensors
from gantandem.networks.devices import find_device
from gantandem.networks.score import Score
from gantandem.ratios.calibrators import make_calibrator
from gantandem.ratios.law import Law
from gantandem.ratios.ratio import Ratio
from gantandem.samplers import from_config
from gantandem.settings import check, to_config

RUN_FILE = "run.yaml"
CONDITION_FILE = "condition.safetensors"
REWEIGHTING_FILE = "reweighting.safetensors"
SEEN = "gantandem.seen."


def save_run(gan: GAN, folder: str | Path, meta: dict[str, Any] | None = None) -> Path:
    """Write a GAN as a RUN folder.

    Args:
        gan: Its ``specs`` must describe how to rebuild ``generator`` and ``guide``.
        folder: Made if needed; its other files are kept.
        meta: What else ``run.yaml`` should hold (task, seed, ...); kept as given.

    Raises:
        InputError: If a network's description is missing or is one of another network, the
            latent is neither ``Normal`` nor ``Uniform``, or the condition is a function.
        OutputError: If a file cannot be written.
    """
    check("save_run gan", GAN, gan)
    folder = Path(folder)
    content: dict[str, Any] = dict(meta or {})
    _check_describable(gan)
    content["generator"] = _spec(gan, "generator", gan.generator)
    save_weights(gan.generator, folder / "generator.safetensors")
    content["latent"] = gan.latent.config()
    if isinstance(gan.condition, Tensor):
        content["condition"] = CONDITION_FILE
        write_tensors(folder / CONDITION_FILE, {"condition": gan.condition})
    if gan.guide is not None:
        content["discriminator"] = _spec(gan, "guide", gan.guide.network)
        content["output"] = gan.guide.output
        write_tensors(folder / "guide.safetensors", _with_memory(gan.guide.network, gan.guide))
    content["state"] = {
        "shaped": gan.shaped,
        "spread": gan.spread,
        "real_logits": gan.real_logits,
        "setup_passes": gan.setup_passes,
        "proposal": None if gan.proposal is None else to_config(gan.proposal),
        "history": list(gan.history),
    }
    for law, ratio in gan.ratios.items():
        notes = {
            "spec": _ratio_spec(gan, ratio),
            "origin": ratio.origin,
            "output": ratio.score.output,
            "correction": ratio.correction,
            "strength": ratio.strength,
            "chosen": ratio.chosen,
            "calibrator": ratio.calibrator.config() if ratio.calibrator else None,
            "diagnosis": ratio.diagnosis.to_dict() if ratio.diagnosis else None,
            "stale": ratio.stale,
        }
        if isinstance(law, Law) and law.exact:
            notes["law"] = {"exact": law.exact, "traces": law.traces}
        path = folder / "ratios" / f"{law}.safetensors"
        tensors = _with_memory(ratio.score.network, ratio)
        write_tensors(path, tensors, {"gantandem": json.dumps(notes)})
    _save_reweighting(gan, folder / REWEIGHTING_FILE)
    text = yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False).encode()
    write_bytes(folder / RUN_FILE, text)
    return folder


def _with_memory(network: nn.Module, fitted: Score | Ratio) -> dict[str, Tensor]:
    """A network's weights, and the hashes of the samples that it was fitted on."""
    return {**network.state_dict(), **{SEEN + step: seen for step, seen in fitted.seen.items()}}


def _memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take these hashes out of what a file holds."""
    steps = [name for name in tensors if name.startswith(SEEN)]
    return {name.removeprefix(SEEN): tensors.pop(name) for name in steps}


def _check_describable(gan: GAN) -> None:
    make_latent(gan.latent.config())
    if gan.condition is not None and not isinstance(gan.condition, Tensor):
        raise InputError(
            "save_run: no file can hold a condition that is a function; give the conditions as a "
            "tensor: gan.with_condition(gan.conditions(torch.arange(1000)))"
        )


def _save_reweighting(gan: GAN, path: Path) -> None:
    latent = gan.reweighted
    if not isinstance(latent, ReweightedLatent):
        path.unlink(missing_ok=True)  # of weights that this GAN does not hold
        return
    spec = _spec(gan, "reweighted", latent.network)
    notes = {"spec": spec, "budget": latent.budget, "acceptance": latent.acceptance}
    save_weights(latent.network, path, {"gantandem": json.dumps(notes)})


def _read_reweighting(gan: GAN, path: Path) -> GAN:
    _, metadata = read_tensors(path)
    try:
        notes = json.loads(metadata["gantandem"])
        network, options = _build(notes["spec"]), {k: notes[k] for k in ("budget", "acceptance")}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a file written by save_run ({error})") from None
    load_weights(network.to(gan.device), path)
    latent = ReweightedLatent(base=gan.latent, network=network, **options)
    return gan.replace(reweighted=latent, specs={**gan.specs, "reweighted": notes["spec"]})


def _spec(gan: GAN, name: str, network: nn.Module) -> dict[str, Any]:
    return _checked(gan.specs.get(name), network, f"gan.specs[{name!r}]")


def _ratio_spec(gan: GAN, ratio: Ratio) -> dict[str, Any]:
    """A ratio's own description, or that of the discriminator it shares or started from."""
    known = ratio.spec or gan.specs.get("discriminator") or gan.specs.get("guide")
    return _checked(known, ratio.score.network, "fit_ratio(spec=...)")


def _checked(spec: dict[str, Any] | None, network: nn.Module, where: str) -> dict[str, Any]:
    """Refuse a description that would not give this network back."""
    kind = type(network).__name__
    if not spec:
        raise InputError(
            f"save_run: how to rebuild {kind} is not known. Give it in {where}: "
            "{'net': 'module:Class', ...arguments...}"
        )
    wanted, given = (
        {name: tuple(value.shape) for name, value in module.state_dict().items()}
        for module in (network, _build(spec))
    )
    if wanted != given:
        raise InputError(
            f"save_run: {where} describes another network than this {kind}: {spec} has not its "
            "weights' names and shapes"
        )
    return dict(spec)


def _build(spec: dict[str, Any]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # initial weights are overwritten
        return build(spec)


class Loaded(NamedTuple):
    """What :func:`load_run` returns.

    Args:
        gan: With everything that the folder knows of it.
        meta: The other entries of ``run.yaml``.
    """

    gan: GAN
    meta: dict[str, Any]


def load_run(folder: str | Path, *, device: str | torch.device | None = None) -> Loaded:
    """Read a RUN folder.

    Args:
        folder: The RUN.
        device: Where its networks will run, such as ``"cuda"``; None for the CPU.

    Returns:
        The ``gan``, and the other entries of ``run.yaml`` as ``meta``.

    Raises:
        ConfigError: If ``run.yaml`` is missing or not readable.
        WeightsError: If a weight file is truncated, pickled or does not fit.
        InputError: If there is no such device.
    """
    folder, where = Path(folder), find_device(device)
    meta = read_run_file(folder)
    generator = _build(meta["generator"]).to(where)
    load_weights(generator, folder / "generator.safetensors")
    output = meta.get("output", "logit")
    guide = None
    if "discriminator" in meta:
        network = _build(meta["discriminator"]).to(where)
        tensors, _ = read_tensors(folder / "guide.safetensors")
        seen = _memory(tensors)
        assign(network, tensors, str(folder / "guide.safetensors"))
        guide = Score(network, output, seen=seen)
    condition = None
    if "condition" in meta:
        condition = read_tensors(folder / CONDITION_FILE)[0]["condition"]
    gan = GAN(generator, guide, make_latent(meta["latent"]), condition=condition)
    state = meta.pop("state", None) or {}
    files = sorted((folder / "ratios").glob("*.safetensors"))
    gan = gan.replace(
        specs={"generator": meta["generator"], "guide": meta.get("discriminator", {})},
        ratios=dict(_read_ratio(path, where) for path in files) if files or state else gan.ratios,
        shaped=bool(state.get("shaped", False)),
        spread=state.get("spread"),
        real_logits=state.get("real_logits"),
        setup_passes=int(state.get("setup_passes", 0)),
        history=state.get("history", ()),
        proposal=from_config(state["proposal"]) if state.get("proposal") else None,
    )
    if (folder / REWEIGHTING_FILE).is_file():
        gan = _read_reweighting(gan, folder / REWEIGHTING_FILE)
    return Loaded(gan, meta)


def read_run_file(folder: Path) -> dict[str, Any]:
    """Read ``run.yaml`` and check that what is needed to build the networks is there.

    Raises:
        ConfigError: If it is not.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise ConfigError(
            f"{folder} is not a RUN folder: it has no {RUN_FILE}. `gantandem train` or "
            "`gantandem demo` makes one"
        )
    try:
        meta = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({error})") from None
    missing = [k for k in ("generator", "latent") if not isinstance(meta, dict) or k not in meta]
    if missing:
        raise ConfigError(
            f"{path}: missing {', '.join(missing)}; allowed keys are described in "
            "docs/design.md under RUN"
        )
    return meta


def _read_ratio(path: Path, device: torch.device) -> tuple[Law, Ratio]:
    tensors, metadata = read_tensors(path)
    seen = _memory(tensors)
    try:
        notes = json.loads(metadata["gantandem"])
        network = _build(notes["spec"]).to(device)
        assign(network, tensors, str(path))
        diagnosis = notes["diagnosis"]
        ratio = Ratio(
            Score(network, notes["output"]),
            correction=notes["correction"],
            strength=notes.get("strength", 1.0),
            chosen=notes.get("chosen", {}),
            calibrator=make_calibrator(notes["calibrator"]) if notes["calibrator"] else None,
            origin=notes["origin"],
            spec=notes["spec"],
            diagnosis=Diagnosis.from_dict(diagnosis) if diagnosis else None,
            seen=seen,
        )
    except WeightsError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a ratio file written by save_run ({error})") from None
    if notes.get("stale"):
        object.__setattr__(ratio, "weights", "of another network")
    return Law(path.stem, **notes.get("law", {})), ratio
