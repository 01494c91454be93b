"""Parts of a RUN as bytes and back: ratios with what is known of them, and w(z)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, TypeAdapter
from torch import Tensor, nn
from typing_extensions import NotRequired, TypedDict

from gantandem.discriminator.diagnostics import Diagnosis
from gantandem.discriminator.latent_weights import ReweightedLatent
from gantandem.errors import ConfigError
from gantandem.files import check_content, parse_json
from gantandem.gan import GAN
from gantandem.nets import Given
from gantandem.nets.weights import assign, pack, read_tensors
from gantandem.networks.score import Output, Score
from gantandem.ratios.calibrators import make_calibrator
from gantandem.ratios.law import Law
from gantandem.ratios.ratio import Ratio
from gantandem.runs.contents import Contents
from gantandem.runs.specs import rebuilt

SEEN = "gantandem.seen."
REWEIGHTING = "reweighting.safetensors"


class LawNotes(TypedDict):
    """What a law was made of."""

    exact: str
    traces: list[list[float]]


class Chosen(TypedDict, total=False):
    """Which candidate became the ratio."""

    __pydantic_config__ = ConfigDict(extra="allow")  # pyright: ignore
    name: str


class Notes(TypedDict):
    """What is noted of a ratio; earlier versions noted less."""

    spec: dict[str, Any]
    origin: Literal["shipped", "fitted"]
    output: Output
    correction: Annotated[float, Field(allow_inf_nan=False)]
    calibrator: dict[str, Any] | None
    diagnosis: dict[str, Any] | None
    strength: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    chosen: NotRequired[Chosen]
    proposal: NotRequired[str]
    stale: NotRequired[bool]
    law: NotRequired[LawNotes]


class Weighing(TypedDict):
    """What is noted of w(z)."""

    spec: dict[str, Any]
    budget: Annotated[int, Field(gt=0)]
    acceptance: Annotated[float, Field(gt=0, le=1)]


_NOTES: TypeAdapter[Any] = TypeAdapter(Notes)
_WEIGHING: TypeAdapter[Any] = TypeAdapter(Weighing)


def _checked(text: str, model: TypeAdapter[Any], path: Path) -> Any:
    """The notes in a text.

    Raises:
        ConfigError: If they are not what was written.
    """
    again = "copy the RUN again from its source, or repeat the step that made it"
    try:
        notes = parse_json(text)
    except ValueError as error:
        raise ConfigError(f"{path}: damaged: {error}; {again}") from None
    check_content(notes, model, path, again, ConfigError)
    return notes


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
    if noted in contents.roles:
        contents.check(noted)
        path = contents.path(noted)
        notes = _checked(path.read_text(encoding="utf-8"), _NOTES, path)
    else:
        notes = _checked(metadata.get("gantandem", ""), _NOTES, path)
    network = rebuilt(notes["spec"], given=given, trust=trust).to(device)
    assign(network, tensors, str(contents.path(role)))
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
    notes = _checked(metadata.get("gantandem", ""), _WEIGHING, path)
    network = rebuilt(notes["spec"], trust=trust)
    options = {k: notes[k] for k in ("budget", "acceptance")}
    assign(network.to(gan.device), tensors, str(path))
    latent = ReweightedLatent(base=gan.latent, network=network, **options)
    return gan.replace(reweighted=latent, specs={**gan.specs, "reweighted": notes["spec"]})
