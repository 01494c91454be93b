"""A RUN: the folder that holds a GAN with everything known of it.

``run.yaml`` (what it is), ``generator.safetensors``, ``guide.safetensors``,
``reweighting.safetensors`` and ``ratios/<law>.safetensors``. Weights are never pickled.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
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
from gantandem.latent import Latent, as_latent, make_latent
from gantandem.nets import Given, load_weights, save_weights
from gantandem.nets.weights import assign, read_tensors, write_tensors
from gantandem.networks.devices import find_device
from gantandem.networks.doors import as_network
from gantandem.networks.score import Score
from gantandem.ratios.calibrators import make_calibrator
from gantandem.ratios.law import Law
from gantandem.ratios.ratio import Ratio
from gantandem.runs.specs import check_names, find_specs, rebuilt
from gantandem.samplers import from_config
from gantandem.settings import check, to_config

RUN_FILE = "run.yaml"
CONDITION_FILE = "condition.safetensors"
REWEIGHTING_FILE = "reweighting.safetensors"
SEEN = "gantandem.seen."


def save_run(
    gan: GAN,
    folder: str | Path,
    meta: dict[str, Any] | None = None,
    *,
    specs: Mapping[str, dict[str, Any]] | None = None,
) -> Path:
    """Write a GAN as a RUN folder.

    Args:
        gan: How to rebuild its networks stands in its ``specs``, or is found from their classes
            and attributes; each description is tried before anything is written.
        folder: Made if needed; its other files are kept.
        meta: What else ``run.yaml`` should hold (task, seed, ...); kept as given.
        specs: How to rebuild networks of which that is not known:
            ``{"generator": {"net": "my.module:Net", "width": 64}, "discriminator": ...}``.

    Raises:
        InputError: If how to rebuild a network is not known, or the condition is a function.
        OutputError: If a file cannot be written.
    """
    check("save_run gan", GAN, gan)
    folder = Path(folder)
    content: dict[str, Any] = dict(meta or {})
    if gan.condition is not None and not isinstance(gan.condition, Tensor):
        raise InputError(
            "save_run: no file can hold a condition that is a function; give the conditions as a "
            "tensor: gan.with_condition(gan.conditions(torch.arange(1000)))"
        )
    found = find_specs(gan, specs)
    content["generator"] = found["generator"]
    save_weights(gan.generator, folder / "generator.safetensors")
    content["latent"] = gan.latent.config()
    if isinstance(gan.condition, Tensor):
        content["condition"] = CONDITION_FILE
        write_tensors(folder / CONDITION_FILE, {"condition": gan.condition})
    if gan.guide is not None:
        content["discriminator"] = found["guide"]
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
            "spec": found[law],
            "origin": ratio.origin,
            "proposal": ratio.proposal,
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
    _save_reweighting(gan, folder / REWEIGHTING_FILE, found)
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


def _save_reweighting(gan: GAN, path: Path, found: dict[str, dict[str, Any]]) -> None:
    latent = gan.reweighted
    if not isinstance(latent, ReweightedLatent):
        path.unlink(missing_ok=True)  # of weights that this GAN does not hold
        return
    spec = found["reweighted"]
    notes = {"spec": spec, "budget": latent.budget, "acceptance": latent.acceptance}
    save_weights(latent.network, path, {"gantandem": json.dumps(notes)})


def _read_reweighting(gan: GAN, path: Path, trust: bool) -> GAN:
    _, metadata = read_tensors(path)
    try:
        notes = json.loads(metadata["gantandem"])
        network = rebuilt(notes["spec"], trust=trust)
        options = {k: notes[k] for k in ("budget", "acceptance")}
    except ConfigError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a file written by save_run ({error})") from None
    load_weights(network.to(gan.device), path)
    latent = ReweightedLatent(base=gan.latent, network=network, **options)
    return gan.replace(reweighted=latent, specs={**gan.specs, "reweighted": notes["spec"]})


class Loaded(NamedTuple):
    """What :func:`load_run` returns.

    Args:
        gan: With everything that the folder knows of it.
        meta: The other entries of ``run.yaml``.
    """

    gan: GAN
    meta: dict[str, Any]


def load_run(
    folder: str | Path,
    *,
    device: str | torch.device | None = None,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    latent: Any = None,
    trust: bool = True,
) -> Loaded:
    """Read a RUN folder, as :func:`save_run` and ``GAN.save`` write it.

    Args:
        folder: The RUN.
        device: Where its networks will run, such as ``"cuda"``; None for the CPU.
        generator: A network of the saved one's class and sizes, where a file cannot describe it;
            a copy of it gets the weights.
        discriminator: Likewise, for the guide and the ratios that are of its kind.
        latent: The prior, where it is neither ``Normal`` nor ``Uniform``.
        trust: Whether classes that are not built in may be imported by the names in the files.

    Returns:
        The ``gan``, and the other entries of ``run.yaml`` as ``meta``.

    Raises:
        ConfigError: If ``run.yaml`` is missing or not readable, or names what is not trusted.
        WeightsError: If a weight file is truncated, pickled or does not fit.
        InputError: If there is no such device.
    """
    folder, where = Path(folder), find_device(device)
    meta = read_run_file(folder)
    roles = {"generator": generator, "discriminator": discriminator}
    given = [(meta.get(n, {}), as_network(m, n)) for n, m in roles.items() if m is not None]
    generator = rebuilt(meta["generator"], given=given, trust=trust).to(where)
    load_weights(generator, folder / "generator.safetensors")
    output = meta.get("output", "logit")
    guide = None
    if "discriminator" in meta:
        network = rebuilt(meta["discriminator"], given=given, trust=trust).to(where)
        tensors, _ = read_tensors(folder / "guide.safetensors")
        seen = _memory(tensors)
        assign(network, tensors, str(folder / "guide.safetensors"))
        guide = Score(network, output, seen=seen)
    condition = None
    if "condition" in meta:
        condition = read_tensors(folder / CONDITION_FILE)[0]["condition"]
    gan = GAN(generator, guide, _prior(meta["latent"], latent), condition=condition)
    state = meta.pop("state", None) or {}
    files = sorted((folder / "ratios").glob("*.safetensors"))
    read = functools.partial(_read_ratio, device=where, given=given, trust=trust)
    check_names(state.get("proposal"), trust, "name")
    gan = gan.replace(
        specs={"generator": meta["generator"], "guide": meta.get("discriminator", {})},
        ratios=dict(read(path) for path in files) if files or state else gan.ratios,
        shaped=bool(state.get("shaped", False)),
        spread=state.get("spread"),
        real_logits=state.get("real_logits"),
        setup_passes=int(state.get("setup_passes", 0)),
        history=state.get("history", ()),
        proposal=from_config(state["proposal"]) if state.get("proposal") else None,
    )
    if (folder / REWEIGHTING_FILE).is_file():
        gan = _read_reweighting(gan, folder / REWEIGHTING_FILE, trust)
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


def _prior(config: dict[str, Any], given: Any) -> Latent:
    """The prior that a file describes, or the user gives."""
    if given is None:
        return make_latent(config)
    latent = as_latent(given)
    own = json.loads(json.dumps(latent.config()))
    if own != config:
        raise InputError(f"latent: got {own}, but the networks were saved with {config}")
    return latent


def _read_ratio(
    path: Path, *, device: torch.device, given: Given, trust: bool
) -> tuple[Law, Ratio]:
    tensors, metadata = read_tensors(path)
    seen = _memory(tensors)
    try:
        notes = json.loads(metadata["gantandem"])
        network = rebuilt(notes["spec"], given=given, trust=trust).to(device)
        assign(network, tensors, str(path))
        diagnosis = notes["diagnosis"]
        ratio = Ratio(
            Score(network, notes["output"]),
            correction=notes["correction"],
            strength=notes.get("strength", 1.0),
            proposal=notes.get("proposal", ""),
            chosen=notes.get("chosen", {}),
            calibrator=make_calibrator(notes["calibrator"]) if notes["calibrator"] else None,
            origin=notes["origin"],
            spec=notes["spec"],
            diagnosis=Diagnosis.from_dict(diagnosis) if diagnosis else None,
            seen=seen,
        )
    except (WeightsError, ConfigError):
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a ratio file written by save_run ({error})") from None
    if notes.get("stale"):
        object.__setattr__(ratio, "weights", "of another network")
    return Law(path.stem, **notes.get("law", {})), ratio
