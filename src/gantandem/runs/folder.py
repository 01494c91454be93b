"""A RUN: the folder that holds a GAN with everything known of it.

``run.yaml`` (what it is, and the files that belong to it), and weights named by their content:
``generator-...``, ``guide-...``, ``discriminator-...`` (as trained), ``ratios/LAW-...``. Weights
are never pickled. See :mod:`gantandem.runs.contents` for how it is written.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gantandem.discriminator.latent_weights import ReweightedLatent
from gantandem.errors import ConfigError, InputError
from gantandem.files import check_content
from gantandem.gan import GAN
from gantandem.latent import Latent, as_latent, make_latent
from gantandem.nets.hashing import hashed_once
from gantandem.nets.weights import assign, pack, read_tensors
from gantandem.networks.devices import find_device
from gantandem.networks.doors import as_network
from gantandem.networks.score import Score
from gantandem.reporting.stale import weights_of
from gantandem.runs.contents import Contents, commit
from gantandem.runs.parts import (
    REWEIGHTING,
    memory,
    notes_of,
    pack_reweighting,
    read_ratio,
    read_reweighting,
    with_memory,
)
from gantandem.runs.reading import read_yaml
from gantandem.runs.recipe import RUN_FILE
from gantandem.runs.run_file import AGAIN, RUN
from gantandem.runs.specs import check_texts, find_specs, rebuilt
from gantandem.samplers import from_config
from gantandem.settings import check, to_config

CONDITION = "condition.safetensors"


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
        ConfigError: If the folder holds a ``run.yaml`` of something else.
        LockedError: If another command writes to the folder.
        OutputError: If a file cannot be written; the folder then holds what it held before.
    """
    return store(gan, folder, meta, specs=specs)


def store(
    gan: GAN,
    folder: str | Path,
    meta: dict[str, Any] | None = None,
    *,
    specs: Mapping[str, dict[str, Any]] | None = None,
    trained: bool = False,
    gone: tuple[str, ...] = (),
) -> Path:
    """Write a GAN as :func:`save_run` does.

    Args:
        gan: As there.
        folder: As there.
        meta: As there.
        specs: As there.
        trained: Its guide is the discriminator as it was trained, from which every shaping
            starts. Otherwise the one that the folder holds is kept, if the generator is the same.
        gone: Own files of the folder that do not belong to this GAN, and are removed.
    """
    check("save_run gan", GAN, gan)
    folder = Path(folder)
    content: dict[str, Any] = dict(meta or {})
    if gan.condition is not None and not isinstance(gan.condition, Tensor):
        raise InputError(
            "save_run: a condition that is a function cannot be saved; give the conditions as a "
            "tensor: gan.with_condition(gan.conditions(torch.arange(1000)))"
        )
    found = find_specs(gan, specs)
    with hashed_once(), commit(folder, gone) as made:
        content |= {"generator": found["generator"], "latent": gan.latent.to_file()}
        made.add("generator", pack(gan.generator.state_dict()))
        same = made.files.keys() & (made.before.get("files") or {}).keys()
        if isinstance(gan.condition, Tensor):
            made.add("condition", pack({"condition": gan.condition}))
        state: dict[str, Any] = {}
        if gan.guide is not None:
            content |= {"discriminator": found["guide"], "output": gan.guide.output}
            guide = with_memory(gan.guide.network, gan.guide)
            made.add("guide", guide)
            if trained:
                made.add("discriminator", guide)
            elif same and made.keep("discriminator.safetensors"):
                state["guide"] = {"spec": found["guide"], "output": gan.guide.output}
                before = made.before
                content |= {name: before[name] for name in ("discriminator", "output")}
        state |= {
            "shaped": gan.shaped,
            "spread": gan.spread,
            "real_logits": gan.real_logits,
            "setup_passes": gan.setup_passes,
            "proposal": None if gan.proposal is None else to_config(gan.proposal),
            "history": list(gan.history),
            "weights": weights_of(gan),
        }
        for law, ratio in gan.ratios.items():
            made.add(f"ratios/{law}", with_memory(ratio.score.network, ratio))
            made.add(f"ratios/{law}", notes_of(law, ratio, found[law]), ".json")
        if isinstance(gan.reweighted, ReweightedLatent):
            made.add("reweighting", pack_reweighting(gan.reweighted, found["reweighted"]))
        made.finish({**content, "state": state})
    return folder


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
    trust: bool = False,
    trained: bool = False,
) -> Loaded:
    """Read a RUN folder, as :func:`save_run` and ``GAN.save`` write it.

    Args:
        folder: The RUN.
        device: Where its networks will run, such as ``"cuda"``; None for the CPU.
        generator: A network of the saved one's class and sizes, where a file cannot describe it;
            a copy of it gets the weights.
        discriminator: Likewise, for the guide and the ratios that are of its kind.
        latent: The prior, where it is neither ``Normal`` nor ``Uniform``.
        trust: Import classes that are not built in by the names in the files, which runs code.
        trained: Read the GAN as it was trained, without what shaping and fitting made since.

    Returns:
        The ``gan``, and the other entries of ``run.yaml`` as ``meta``.

    Raises:
        ConfigError: If ``run.yaml`` is missing or not readable, or names what is not trusted.
        WeightsError: If a weight file is truncated, changed, pickled or does not fit.
        InputError: If there is no such device.
    """
    folder, where = Path(folder), find_device(device)
    meta = read_run_file(folder)
    state = meta.pop("state", None) or {}
    contents = Contents(folder, meta.pop("files", None))
    roles = {"generator": generator, "discriminator": discriminator}
    described = {**meta, **({"guide": guide["spec"]} if (guide := state.get("guide")) else {})}
    given = [(described.get(n, {}), as_network(m, n)) for n, m in roles.items() if m is not None]

    def network(spec: Any, role: str) -> tuple[nn.Module, dict[str, Tensor]]:
        made = rebuilt(spec, given=given, trust=trust).to(where)
        tensors, _ = read_tensors(contents.path(role))
        contents.check(role)
        seen = memory(tensors)
        assign(made, tensors, str(contents.path(role)))
        return made, seen

    built, _ = network(meta["generator"], "generator.safetensors")
    known = {"generator": meta["generator"]}
    score = None
    if "discriminator" in meta:
        about = {"spec": meta["discriminator"], "output": meta.get("output", "logit")}
        role = "discriminator" if trained and "discriminator.safetensors" in contents.roles else ""
        about = about if role or "guide" not in state else state["guide"]
        made, seen = network(about["spec"], f"{role or 'guide'}.safetensors")
        score, known["guide"] = Score(made, about["output"], seen=seen), about["spec"]
    condition = None
    if CONDITION in contents.roles and (contents.current or "condition" in meta):
        contents.check(CONDITION)
        condition = read_tensors(contents.path(CONDITION))[0]["condition"]
    meta.pop("condition", None)
    gan = GAN(built, score, _prior(meta["latent"], latent), condition=condition)
    gan = gan.replace(specs={"guide": {}, **known})
    if trained:
        return Loaded(gan, meta)
    names = [Path(role) for role in contents.roles if role.startswith("ratios/")]
    laws = [name.stem for name in names if name.suffix == ".safetensors"]
    read = functools.partial(read_ratio, contents, device=where, given=given, trust=trust)
    check_texts(state.get("proposal"), trust, "state.proposal")
    gan = gan.replace(
        ratios=dict(read(law) for law in laws) if laws or state else gan.ratios,
        shaped=bool(state.get("shaped", False)),
        spread=state.get("spread"),
        real_logits=state.get("real_logits"),
        setup_passes=int(state.get("setup_passes", 0)),
        history=state.get("history", ()),
        proposal=from_config(state["proposal"]) if state.get("proposal") else None,
    )
    if REWEIGHTING in contents.roles:
        gan = read_reweighting(contents, gan, trust)
    return Loaded(gan, meta)


def read_run_file(folder: Path) -> dict[str, Any]:
    """Read ``run.yaml`` and check that what is needed to build the networks is there.

    Raises:
        ConfigError: If it is not.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise ConfigError(
            f"{folder} is not a RUN folder: it has no {RUN_FILE}. Make one with `gan.save`, "
            "`gantandem train` or `gantandem demo`"
        )
    meta = read_yaml(path)
    missing = [k for k in ("generator", "latent") if k not in meta]
    if missing:
        raise ConfigError(
            f"{path}: missing {', '.join(missing)}; allowed keys are described in "
            "docs/design.md under RUN"
        )
    check_content(meta, RUN, path, AGAIN, ConfigError)
    return meta


def _prior(config: dict[str, Any], given: Any) -> Latent:
    """The prior that a file describes, or the user gives."""
    if given is None:
        return make_latent(config)
    latent = as_latent(given)
    own = json.loads(json.dumps(latent.to_file()))
    inputs = own.get("kind") == config.get("kind") == "inputs"  # others of them are welcome
    if own != config and not inputs:
        raise InputError(f"latent: got {own}, but the networks were saved with {config}")
    return latent
