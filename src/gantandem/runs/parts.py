"""Parts of a RUN as bytes and back: ratios with what is known of them, and w(z)."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from gantandem.discriminator.diagnostics import Diagnosis
from gantandem.discriminator.latent_weights import ReweightedLatent
from gantandem.errors import ConfigError, WeightsError
from gantandem.files import parse_json
from gantandem.gan import GAN
from gantandem.nets import Given
from gantandem.nets.weights import assign, pack, read_tensors
from gantandem.networks.score import Score
from gantandem.ratios.calibrators import make_calibrator
from gantandem.ratios.law import Law
from gantandem.ratios.ratio import Ratio
from gantandem.runs.contents import Contents
from gantandem.runs.specs import rebuilt

SEEN = "gantandem.seen."
REWEIGHTING = "reweighting.safetensors"


def with_memory(network: nn.Module, fitted: Score | Ratio) -> bytes:
    """A network's weights, and the hashes of the samples that it was fitted on."""
    seen = {SEEN + step: hashes for step, hashes in fitted.seen.items()}
    return pack({**network.state_dict(), **seen})


def memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take these hashes out of what a file holds."""
    steps = [name for name in tensors if name.startswith(SEEN)]
    return {name.removeprefix(SEEN): tensors.pop(name) for name in steps}


def notes_of(law: str, ratio: Ratio, spec: dict[str, Any]) -> bytes:
    """What is known of a ratio beside its weights, as JSON."""
    notes = {
        "spec": spec,
        "origin": ratio.origin,
        "output": ratio.score.output,
        "correction": ratio.correction,
        "strength": ratio.strength,
        "chosen": ratio.chosen,
        "proposal": ratio.proposal,
        "calibrator": ratio.calibrator.config() if ratio.calibrator else None,
        "diagnosis": ratio.diagnosis.to_dict() if ratio.diagnosis else None,
        "stale": ratio.stale,
    }
    if isinstance(law, Law) and law.exact:
        notes["law"] = {"exact": law.exact, "traces": law.traces}
    return json.dumps(notes, indent=1).encode()


def read_ratio(
    contents: Contents, law: str, *, device: torch.device, given: Given, trust: bool
) -> tuple[Law, Ratio]:
    """Read a ratio back, with the law that it was fitted on.

    Raises:
        ConfigError: If what is noted of it is not what :func:`notes_of` writes.
        WeightsError: If a file is damaged.
    """
    role, noted = f"ratios/{law}.safetensors", f"ratios/{law}.json"
    path = contents.path(role)
    tensors, metadata = read_tensors(path)
    contents.check(role)
    seen = memory(tensors)
    try:
        if noted in contents.roles:
            contents.check(noted)
            notes = parse_json(contents.path(noted).read_text(encoding="utf-8"))
        else:
            notes = parse_json(metadata["gantandem"])
        network = rebuilt(notes["spec"], given=given, trust=trust).to(device)
        assign(network, tensors, str(path))
        diagnosis = notes["diagnosis"]
        ratio = Ratio(
            Score(network, notes["output"]),
            correction=notes["correction"],
            strength=notes.get("strength", 1.0),
            chosen=notes.get("chosen", {}),
            proposal=notes.get("proposal", ""),
            calibrator=make_calibrator(notes["calibrator"]) if notes["calibrator"] else None,
            origin=notes["origin"],
            spec=notes["spec"],
            diagnosis=Diagnosis.from_dict(diagnosis) if diagnosis else None,
            seen=seen,
        )
        known = Law(law, **notes.get("law", {}))
    except (WeightsError, ConfigError):
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a ratio file written by save_run ({error})") from None
    if notes.get("stale"):
        object.__setattr__(ratio, "weights", "of another network")
    return known, ratio


def pack_reweighting(latent: ReweightedLatent, spec: dict[str, Any]) -> bytes:
    """The weights of w(z), with its settings."""
    notes = {"spec": spec, "budget": latent.budget, "acceptance": latent.acceptance}
    return pack(latent.network.state_dict(), {"gantandem": json.dumps(notes)})


def read_reweighting(contents: Contents, gan: GAN, trust: bool) -> GAN:
    """A GAN with the w(z) that a folder holds.

    Raises:
        ConfigError: If the file is of another kind.
        WeightsError: If it is damaged.
    """
    path = contents.path(REWEIGHTING)
    tensors, metadata = read_tensors(path)
    contents.check(REWEIGHTING)
    try:
        notes = parse_json(metadata["gantandem"])
        network = rebuilt(notes["spec"], trust=trust)
        options = {k: notes[k] for k in ("budget", "acceptance")}
    except ConfigError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a file written by save_run ({error})") from None
    assign(network.to(gan.device), tensors, str(path))
    latent = ReweightedLatent(base=gan.latent, network=network, **options)
    return gan.replace(reweighted=latent, specs={**gan.specs, "reweighted": notes["spec"]})
