"""A GAN, or a RUN, of weight files and data that others left: ``gantandem import``."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from gantandem.data.images import HUB_NAME
from gantandem.discriminator.parts import parts_for
from gantandem.errors import ConfigError, WeightsError, imports
from gantandem.files import parse_json
from gantandem.files.locking import locked
from gantandem.gan import GAN
from gantandem.nets import TORCH
from gantandem.nets.hashing import weights_hash
from gantandem.nets.layouts import AUTO, place_of
from gantandem.nets.unwrapping import Role
from gantandem.networks.layers import middle
from gantandem.networks.score import Output
from gantandem.runs.conditions import label_rows, read_condition
from gantandem.runs.contents import present
from gantandem.runs.making import begin
from gantandem.runs.reading import apply_overrides, parse
from gantandem.runs.stepping import begins
from gantandem.runs.weights import generating, judged, network_of, read_latent, spec_of
from gantandem.runs.workspace import Workspace, task_of
from gantandem.tasks.own import OwnTask, opened

logger = logging.getLogger(__name__)


@begins
def import_run(
    out: str | Path,
    *,
    data: str | None = None,
    output: Output = "logit",
    condition: str | None = None,
    range: Sequence[float] | None = None,
    seed: int = 0,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    device: str | None = None,
    trust: bool = False,
    **files: Any,
) -> Workspace:
    """Make a RUN of weight files and data that every other step takes.

    Everything is tried before anything is written. What the weights and data were, the range of
    images, and the layer to refine stand in ``run.yaml``.

    Args:
        out: The folder.
        data: Real data, see :func:`~gantandem.open_data`; None for a RUN that
            only samples.
        output: As for :class:`GAN`.
        condition: ``"labels"``: those of the data; or what
            :func:`~gantandem.runs.conditions.read_condition` reads.
        range: The values of black and white in images; None finds them.
        seed: Of what is drawn and fitted later.
        overrides: ``key=value`` texts on the settings, such as ``generator.width=128``.
        overwrite: Give up what the folder holds.
        device: Where the networks run.
        trust: Import what is not built in by the names in a run that the folder holds already.
            What the call itself names is the user's own.
        files: ``generator``, ``weights_g``, ``discriminator``, ``weights_d``, ``latent``, ``key``,
            ``strip_prefix``, ``adapt_g`` and ``adapt_d``, as for :func:`from_files`.

    Raises:
        ConfigError, WeightsError, InputError: As :func:`from_files`, or if the folder holds
            another run and ``overwrite`` is not set.
        DataError: If the data cannot be read, or do not suit the generator.
        LockedError: If another command writes to the folder.
    """
    out = Path(out)
    roles: tuple[Role, ...] = get_args(Role)
    networks: dict[Role, Any] = {role: files.pop(role, None) for role in roles}
    weights = {"generator": files.get("weights_g"), "discriminator": files.get("weights_d")}
    layout = (files.get("layout") or AUTO, files.get("key"), files.get("strip_prefix"))
    options = {role: place_of(layout[0], role, *layout[1:]) for role in roles}
    content: dict[str, Any] = {"task": "own", "seed": seed, "output": output}
    content |= {"data": _place(data)} if data is not None else {}
    content |= {"range": list(range)} if range is not None else {}
    for role, network in networks.items():
        if (spec := spec_of(role, network, weights[role], options[role])) is not None:
            content[role] = spec
    content, origins = apply_overrides(content, overrides)
    recipe = parse(content, "import", origins)
    if isinstance(latent := files.get("latent"), str) and not latent.startswith("images:"):
        read_latent(latent)  # what is misspelt is said before anything is loaded
    for path in weights.values():
        if path is not None and not Path(path).is_file():
            raise WeightsError(f"{path}: no such file")
    task = task_of(recipe)
    if recipe.data is not None and isinstance(task, OwnTask):
        logger.info("import: the data are read")
        opened(recipe.data)  # which says what is wrong with them before networks are loaded
    given = _conditions(condition, recipe.data)
    logger.info("import: loading the networks and checking them on a few latents")
    judge = network_of(
        "discriminator",
        recipe.discriminator,
        weights["discriminator"],
        adapt=files.get("adapt_d") or (),
        **options["discriminator"],
    )
    gan = generating(
        recipe.generator,
        weights["generator"],
        files.get("latent"),
        given,
        adapt=files.get("adapt_g") or (),
        judge=judge,
        **options["generator"],
    )
    task = task.of_run(gan, recipe.data)
    real = None if recipe.data is None else task.real(seed, recipe.data)
    if judge is not None:
        gan = judged(gan, judge, recipe.output, real)
    if real is not None:
        parts_for(gan, real, f"data {recipe.data}")
    logger.info("import: looking for the layer to refine")
    recipe = parse(_settled(content, gan, task.range), "import", origins)
    latent = json.dumps(gan.latent.config(), sort_keys=True)
    origin = {"task": "own", "generator": weights_hash(gan.generator), "latent": latent}
    if gan.guide is not None:
        origin |= {"discriminator": weights_hash(gan.guide.network), "output": gan.guide.output}
    with locked(out, "import"):
        typed = {_net(network) for network in (recipe.generator, recipe.discriminator)}
        typed |= {_net(content.get(role)) for role in roles}
        how = {"overwrite": overwrite, "device": device, "trust": trust or _names(out) <= typed}
        return begin(recipe, out, origin, lambda: gan, **how)


def _net(network: Any) -> str | None:
    """The name by which a network was typed."""
    return network.get("net") if isinstance(network, Mapping) else network


def _names(out: Path) -> set[str | None]:
    """The classes that the files of a run would import, wherever they stand in them."""

    def found(value: Any) -> Iterator[str]:
        if isinstance(value, Mapping | list | tuple):
            for one in value.values() if isinstance(value, Mapping) else value:
                yield from found(one)
        elif imports(value) and value not in TORCH:
            yield value

    every: list[Any] = [present(out)]
    for path in (out / "ratios").glob("*.json"):
        try:
            every.append(parse_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            every.append(["unreadable:Notes"])  # which nobody typed
    return {*found(every)}


def _settled(
    content: Mapping[str, Any], gan: GAN, bounds: Sequence[float] | None
) -> dict[str, Any]:
    """The settings with what was found: the range of images, and the layer to refine."""
    own = {k: v for k, v in content.items() if k not in ("generator", "discriminator")}
    if bounds is not None:
        own["range"] = list(bounds)
    shape = dict(own.get("shape") or {})
    refine = dict(shape.get("refine") or {})
    if "layer" not in refine and (layer := middle(gan)) is not None:
        own["shape"] = {**shape, "refine": {**refine, "layer": layer}}
    return own


def _place(data: str) -> str:
    """A folder or file by a name that holds in every other folder; a hub name as it is."""
    path = Path(data).expanduser()
    return str(path.resolve()) if path.exists() or not HUB_NAME.fullmatch(data) else data


def _conditions(condition: str | None, data: str | None) -> Tensor | None:
    if condition != "labels":
        return None if condition is None else read_condition(condition)
    if data is None:
        raise ConfigError("condition: 'labels' means the labels of the data: give data")
    return label_rows(opened(data), data)
