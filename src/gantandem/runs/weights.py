"""A GAN of weight files that others left: networks, latent, and statistics that must be filled."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributions as dist
from torch.utils._pytree import tree_leaves

from gantandem.adapt import wrapped
from gantandem.condition import Condition, as_condition, rows_for
from gantandem.data.real import RealData
from gantandem.discriminator.parts import parts_for
from gantandem.errors import ConfigError, InputError
from gantandem.gan import GAN
from gantandem.latent import Inputs, Latent, Normal, Uniform, as_latent
from gantandem.nets import build
from gantandem.nets.copying import copy_network
from gantandem.nets.foreign import find_architecture, find_arguments, load_foreign
from gantandem.nets.layouts import AUTO, place_of
from gantandem.nets.published import PUBLISHED
from gantandem.nets.unwrapping import Role
from gantandem.networks.score import Output
from gantandem.networks.statistics import refresh_statistics, unfilled
from gantandem.rng import Key

logger = logging.getLogger(__name__)

Network = nn.Module | str | Mapping[str, Any] | None
Prior = Latent | dist.Distribution | int | tuple[int, ...] | str
BATCHES, BATCH = 32, 64
"""Batches, and samples of one, that statistics which were never filled are filled from."""
WEIGHT_FILES = {".safetensors", ".pt", ".pth", ".ckpt", ".bin"}
IMAGES = re.compile(r"images:(?:(\d+)x(\d+):)?(.+)")
TRIED = 3
"""Weights that may tell the size of the latent."""
LATENT = re.compile(r"(normal|uniform):(\d+(?:x\d+)*)(?::([^:]+))?")


def from_files(
    generator: Network = None,
    weights_g: str | Path | None = None,
    *,
    discriminator: Network = None,
    weights_d: str | Path | None = None,
    latent: Prior | None = None,
    output: Output = "logit",
    condition: Condition | None = None,
    key: str | None = None,
    strip_prefix: str | None = None,
    layout: str = AUTO,
    adapt_g: Sequence[str] = (),
    adapt_d: Sequence[str] = (),
    real: RealData | None = None,
) -> GAN:
    """Make a GAN of weight files; ``GAN.from_files`` is this function.

    Args:
        generator: A built-in architecture's name such as ``"dcgan-generator-32"``,
            ``"module:Class"``, ``{"net": name, **arguments}`` or a module, of which a copy gets
            the weights. None, or ``"auto"``, takes the built-in one that the file fits.
        weights_g: Its weights: ``.safetensors``, or a state dict in ``.pt`` or ``.pth``.
        discriminator: Likewise; None without ``weights_d`` where there is none.
        weights_d: Its weights.
        latent: The prior, as for :class:`GAN`, or as text: ``"normal:100x1x1"``, ``"uniform:62"``,
            ``"uniform:62:0,1"``, ``"images:FOLDER"``. None reads the size of a standard normal
            off the generator.
        output: What the discriminator returns, as for :class:`GAN`.
        condition: As for :class:`GAN`.
        key: The entry of the files that holds the weights, where it is not found.
        strip_prefix: What the names of weights begin with, where it is not found.
        layout: How the files are laid out: one of ``gantandem.nets.layouts.LAYOUTS``; ``"auto"``
            tries what is known.
        adapt_g: Adapters around the generator, the innermost first: ``["item=0"]``.
        adapt_d: Likewise, around the discriminator.
        real: Real samples; they are needed where statistics of the discriminator must be filled.

    Raises:
        ConfigError: If there is no such architecture, class or adapter.
        WeightsError: If a file cannot be read or does not fit; the message says what would.
        InputError: If the networks do not fit each other, the latent or the condition.
    """
    for_g = place_of(layout, "generator", key, strip_prefix)
    for_d = place_of(layout, "discriminator", key, strip_prefix)
    judge = network_of("discriminator", discriminator, weights_d, adapt=adapt_d, **for_d)
    gan = generating(generator, weights_g, latent, condition, adapt=adapt_g, judge=judge, **for_g)
    return gan if judge is None else judged(gan, judge, output, real)


def spec_of(
    role: Role, network: Network, weights: str | Path | None, options: Mapping[str, Any]
) -> dict[str, Any] | None:
    """How a network is built: as it was asked for, or by the weights that it is for."""
    if isinstance(network, Mapping):
        return dict(network)
    if isinstance(network, Path) or (
        isinstance(network, str) and Path(network).suffix in WEIGHT_FILES
    ):
        raise ConfigError(
            f"{role}: {str(network)!r} is a file of weights: pass it as weights_{role[0]}. If "
            f"{role} is left out, the architecture is found from the weights"
        )
    if network not in (None, "auto"):
        if not isinstance(network, str) or network not in PUBLISHED[role] or weights is None:
            return {"net": network}
        spec = find_arguments(weights, role, network, **options)
        if len(spec) > 1:
            logger.info("%s: the weights are those of %s", role, _said(spec))
        return spec
    if weights is None:
        if role == "discriminator" and network is None:
            return None
        flag = f"weights_{role[0]}"
        raise ConfigError(f"{role}: there is neither an architecture nor a file of weights: {flag}")
    spec = dict(find_architecture(weights, role, **options))
    logger.info("%s: the weights are those of %s", role, _said(spec))
    return spec


def _said(spec: Mapping[str, Any]) -> str:
    arguments = [f"{name}={value}" for name, value in spec.items() if name != "net"]
    return f"{spec['net']}{f' ({chr(44).join(arguments)})' if arguments else ''}"


def network_of(
    role: Role,
    network: Network,
    weights: str | Path | None,
    key: str | None,
    strip_prefix: str | None,
    adapt: Sequence[str],
) -> nn.Module | None:
    """A network with its weights, in the adapters that were asked for; None if there is none."""
    options = {"key": key, "strip_prefix": strip_prefix}
    if isinstance(network, nn.Module):
        made = copy_network(network)
    else:
        spec = spec_of(role, network, weights, options)
        if spec is None:
            return None
        if weights is None:
            raise ConfigError(
                f"{role} {spec['net']}: its weights are missing: give weights_{role[0]}, a "
                ".safetensors, .pt or .pth file"
            )
        with torch.random.fork_rng(devices=[]):  # initial weights are overwritten
            made = build(spec)
    if weights is not None:
        for note in load_foreign(made, weights, role, **options):
            logger.info("%s: %s", role, note)
    made = made.eval()
    return wrapped(made, adapt).eval() if adapt else made


def generating(
    generator: Network,
    weights: str | Path | None,
    latent: Prior | None,
    condition: Condition | None,
    key: str | None,
    strip_prefix: str | None,
    adapt: Sequence[str],
    *,
    judge: nn.Module | None,
) -> GAN:
    """The GAN of a generator alone, its statistics filled; ``judge`` tells which output it is."""
    network = network_of("generator", generator, weights, key, strip_prefix, adapt)
    assert network is not None  # a generator is asked for
    prior = read_latent(latent) if latent is not None else _find_latent(network, condition)
    if unfilled(network):
        ids = torch.arange(BATCHES * BATCH)
        z, cond = prior.draw(Key(0).fold("refresh"), ids), as_condition(condition)
        inputs = [z] if cond is None else [z, rows_for(cond, ids)]
        parts = [column.split(BATCH) for column in inputs]
        network = _refreshed("generator", network, list(zip(*parts, strict=True)))
    try:
        return GAN(network, None, prior, condition=condition)
    except InputError:
        if judge is not None:  # of several outputs the one that it takes is named
            GAN(network, judge, prior, condition=condition)
        raise


def judged(gan: GAN, judge: nn.Module, output: Output, real: RealData | None) -> GAN:
    """The GAN with its discriminator, the statistics of that filled."""
    if unfilled(judge) and real is not None:
        rows = parts_for(gan, real, "real").rows("fit")
        half = BATCH // 2
        count = min(BATCHES * half, len(rows.x))
        ids = torch.arange(count, device=gan.device)
        asked = gan if rows.cond is None else gan.with_condition(rows.cond[:count])
        z, cond = gan.latent.draw(Key(0).fold("refresh"), ids), asked.conditions(ids)
        with gan.networks.frozen():
            made = torch.cat([gan.decode(*part) for part in _split(z, cond, half)])
        columns = [(rows.x[:count], made)] + ([] if cond is None else [(cond, cond)])
        halves = [[column.split(half) for column in pair] for pair in columns]
        batches = [
            tuple(torch.cat([a[i], b[i]]) for a, b in halves) for i in range(len(halves[0][0]))
        ]
        judge = _refreshed("discriminator", judge, batches)
    return GAN(gan.generator, judge, gan.latent, output=output, condition=gan.condition)


def _split(z: Tensor, cond: Tensor | None, size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    for start in range(0, len(z), size):
        rows = slice(start, start + size)
        yield z[rows], None if cond is None else cond[rows]


def _refreshed(role: str, network: nn.Module, batches: Sequence[Any]) -> nn.Module:
    count = len(unfilled(network))
    network = refresh_statistics(network, batches).eval()
    what = "latents" if role == "generator" else "real and generated samples"
    logger.info(
        "%s: %d layers kept statistics that were never filled, as in an averaged copy of the "
        "weights; they are filled from %d batches of %s", role, count, len(batches), what,
    )  # fmt: skip
    return network


def read_latent(given: Prior) -> Latent:
    """A prior, which may be a text.

    Raises:
        ConfigError: If the text is none of ``normal:SHAPE``, ``uniform:SHAPE``,
            ``uniform:SHAPE:LOW,HIGH``, ``images:FOLDER`` and ``images:HxW:FOLDER``.
        DataError: If the folder holds no images.
    """
    if not isinstance(given, str):
        return as_latent(given)
    if images := IMAGES.fullmatch(given.strip()):
        height, width, folder = images.groups()
        return Inputs(folder, size=(int(height), int(width)) if height else None)
    match = LATENT.fullmatch(given.strip())
    with contextlib.suppress(ValueError):
        if match is not None:
            kind, sizes, ends = match.groups()
            shape = tuple(int(size) for size in sizes.split("x"))
            dim = shape[0] if len(shape) == 1 else shape
            if kind == "normal" and ends is None:
                return Normal(dim)
            low, high = (float(end) for end in (ends or "-1,1").split(","))
            if kind == "uniform":
                return Uniform(dim, low, high)
    raise ConfigError(
        f"latent: got {given!r}; allowed is normal:SHAPE, uniform:SHAPE or "
        "uniform:SHAPE:LOW,HIGH, for example normal:128, normal:100x1x1 or uniform:62:-1,1; or "
        "images:FOLDER and images:256x256:FOLDER, for a translator"
    )


def _find_latent(network: nn.Module, condition: Condition | None) -> Latent:
    """A standard normal of the size that the generator takes, read off its first weights.

    Raises:
        InputError: If it takes none of the shapes that are tried.
    """
    given = as_condition(condition)
    ids = torch.arange(3)
    beside = () if given is None else (rows_for(given, ids),)
    first = [weight for weight in network.parameters() if weight.dim() > 1][:TRIED]
    sizes = dict.fromkeys(size for weight in first for size in weight.shape[:2])
    for shape in [shape for size in sizes for shape in ((size,), (size, 1, 1))]:
        with contextlib.suppress(Exception), torch.no_grad():
            found = Normal(shape[0] if len(shape) == 1 else shape)
            z = found.draw(Key(0).fold("size"), ids)
            made = _rows(network(z, *beside), len(z))
            turned = _rows(network(z.flip(0), *(one.flip(0) for one in beside)), len(z))
            # What only broadcasts gives rows of one another.
            same = (torch.allclose(a.flip(0), b, atol=1e-4) for a, b in zip(made, turned))  # noqa: B905
            if made and all(same):
                logger.info("latent: a standard normal of shape %s", shape)
                return found
    raise InputError(
        "latent: its shape cannot be found from the generator; give it, for example normal:128 "
        "or normal:100x1x1"
    )


def _rows(value: Any, count: int) -> list[Tensor]:
    """What has a row for each latent in what a generator returns."""
    leaves = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    return [leaf for leaf in leaves if leaf.shape[:1] == (count,)]
